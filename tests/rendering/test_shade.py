import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.shade import render, sample_texture

Head = tuple[NDArray[np.float64], Topology]


def test_samples_are_bilinear_with_clamped_edges() -> None:
    random = np.random.default_rng(3)
    texture = random.uniform(0, 255, (16, 16, 3)).astype(np.float32)
    uv = random.uniform(-0.05, 1.05, (200, 2))
    sampled = sample_texture(texture, uv)
    for channel in range(3):
        expected = map_coordinates(
            texture[..., channel],
            [uv[:, 1] * 16 - 0.5, uv[:, 0] * 16 - 0.5],
            order=1,
            mode="nearest",
        )
        assert sampled[:, channel] == pytest.approx(expected, abs=1e-3)


def test_a_texel_centre_gives_the_texel() -> None:
    texture = np.arange(4 * 4 * 2, dtype=np.float32).reshape(4, 4, 2)
    assert (sample_texture(texture, np.array([[2.5 / 4, 1.5 / 4]])) == texture[1, 2]).all()


def test_the_picture_of_a_square(square: Head, front_camera: Camera, upright: FloatArray) -> None:
    vertices, topology = square
    # Colours linear in u and v: bilinear lookups are exact away from the clamped half texel.
    ramp = (np.arange(64) + 0.5) / 64
    texture = np.stack(
        [np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.ones((64, 64))], axis=2
    )
    picture = render(texture * 255, vertices, topology, front_camera, upright)
    scale = 230 / 1100
    rows, columns = np.mgrid[:64, :48] + 0.5
    u = ((columns - 24) / scale + 100) / 200
    v = (-(rows - 32) / scale + 100) / 200  # image rows run down, y and v run up
    inside = (np.abs(u - 0.5) < 0.49) & (np.abs(v - 0.5) < 0.49)
    outside = (np.abs(u - 0.5) > 0.5) | (np.abs(v - 0.5) > 0.5)
    assert inside.sum() > 1000
    assert np.abs(picture[..., 0] - 255 * u)[inside].max() < 0.01
    assert np.abs(picture[..., 1] - 255 * v)[inside].max() < 0.01
    assert (picture[outside] == 0).all()


def test_supersampling_averages_a_finer_picture(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    texture = np.random.default_rng(0).uniform(0, 255, (32, 32, 3)).astype(np.float32)
    fine_camera = front_camera.window(0, 0, (128, 96), 2.0)
    fine = render(texture, vertices, topology, fine_camera, turned_head)
    expected = (fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) / 4
    picture = render(texture, vertices, topology, front_camera, turned_head, supersample=2)
    assert picture.shape == (64, 48, 3)
    assert np.abs(picture - expected).max() < 1e-3


def test_a_window_is_a_crop(head: Head, front_camera: Camera, turned_head: FloatArray) -> None:
    vertices, topology = head
    texture = np.random.default_rng(0).uniform(0, 255, (32, 32, 3)).astype(np.float32)
    whole = render(texture, vertices, topology, front_camera, turned_head)
    window = front_camera.window(10, 8, (30, 20), 1.0)
    part = render(texture, vertices, topology, window, turned_head)
    assert np.abs(part - whole[10:40, 8:28]).max() < 1e-3


def test_supersample_below_one_is_refused(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    with pytest.raises(EscaError, match="supersample: expected 1 or more, got 0"):
        render(np.zeros((4, 4, 3)), vertices, topology, front_camera, upright, supersample=0)
