import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esca.viewer.tone import as_texels, shown, texels_for

skin = st.integers(12, 225)


@given(skin, st.floats(0.55, 0.9), st.floats(0.6, 1.0))
def test_inverse_of_what_the_page_does(red, green, blue):
    colour = np.array([red, red * green, red * green * blue]) / 255
    np.testing.assert_allclose(shown(texels_for(colour)), colour, atol=1e-6)


@given(st.integers(0, 240))
def test_greys_in_eight_bits_come_out_close(grey):
    picture = np.full((1, 1, 3), grey, np.uint8)
    back = shown(as_texels(picture)[..., :3] / 255) * 255
    assert np.abs(back - grey).max() < 2.5


def test_table_is_close_to_the_formula():
    picture = np.random.default_rng(3).integers(20, 200, (40, 40, 3), dtype=np.uint8)
    exact = np.rint(texels_for(picture / 255) * 255)
    assert np.abs(as_texels(picture)[..., :3] - exact).mean() < 1


def test_white_is_clipped_to_the_brightest_grey():
    assert 240 <= shown(texels_for(np.ones(3)))[0] * 255 < 245
