import numpy as np

from esca.viewer.palette import heat_colours, heat_texture, signed_texture


def test_no_error_shows_the_face_faintly_and_the_full_scale_one_colour():
    grey = np.arange(0, 256, 4, dtype=np.uint8).repeat(4)[None].repeat(3, 0)
    error = np.array([[-1.0], [5.0], [90.0]], np.float32).repeat(256, 1)
    none, some, most = heat_texture(error, grey, 32.0)
    assert (most == np.rint(heat_colours(np.array(1.0)))).all()
    assert none[-1].sum() > 2 * none[0].sum()
    assert (np.diff(none.astype(int), axis=0) >= 0).all()
    assert (some != none).any(1).all()


def test_colours_follow_the_scale():
    error = np.linspace(0, 32, 64, dtype=np.float32)[None]
    white = np.full((1, 64), 255, np.uint8)
    texels = heat_texture(error, white, 32.0)[0].astype(float)
    part = (error[0] / 32)[:, None]
    expected = heat_colours(part[:, 0]) * (1.45 * (1 - part) + part)
    assert np.abs(texels - np.clip(expected, 0, 255)).max() < 1
    np.testing.assert_array_equal(heat_texture(2 * error, white, 64.0)[0], texels)


def test_signed_differences_are_grey_where_there_is_none():
    texels = signed_texture(np.array([[-9.0, 0.0, 9.0]], np.float32), 8.0)[0].astype(int)
    assert np.abs(texels[1] - 128).max() <= 1
    assert texels[0, 2] > texels[0, 0]
    assert texels[2, 0] > texels[2, 2]
