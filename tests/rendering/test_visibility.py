import numpy as np
import pytest
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.raster import rasterize
from esca.rendering.shade import sample_texture
from esca.rendering.visibility import uv_visibility

Head = tuple[NDArray[np.float64], Topology]


def test_no_pixel_is_lost_or_counted_twice(
    head: Head, front_camera: Camera, upright: FloatArray, turned_head: FloatArray
) -> None:
    vertices, topology = head
    other = front_camera.window(5, 7, (30, 30), 1.0)
    calls: list[tuple[int, int]] = []
    counts = uv_visibility(
        ((vertices, pose) for pose in (upright, turned_head)),
        topology,
        [front_camera, other],
        16,
        progress=lambda done, total: calls.append((done, total)),
        total=2,
    )
    pixels = sum(
        rasterize(vertices, topology.faces, camera.projection(pose), camera.size).foreground.sum()
        for pose in (upright, turned_head)
        for camera in (front_camera, other)
    )
    assert counts.sum() == pytest.approx(pixels, rel=1e-5)
    assert counts.shape == (16, 16)
    assert calls == [(1, 2), (2, 2)]


def test_the_splat_is_the_transpose_of_sampling(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    texture = np.random.default_rng(5).uniform(0, 1, (16, 16, 1)).astype(np.float32)
    counts = uv_visibility([(vertices, turned_head)], topology, [front_camera], 16)
    raster = rasterize(
        vertices, topology.faces, front_camera.projection(turned_head), front_camera.size
    )
    colours = sample_texture(texture, raster.interpolate(topology.uvs, topology.uv_faces))
    assert (counts * texture[..., 0]).sum() == pytest.approx(colours.sum(), rel=1e-4)


def test_a_square_seen_evenly_is_covered_evenly(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    close = front_camera.window(0, 0, (640, 480), 10.0)
    counts = uv_visibility([(vertices, upright)], topology, [close], 8)
    area = (200 * 2300 / 1100 / 8) ** 2
    assert counts == pytest.approx(np.full((8, 8), area), rel=0.02)


def test_empty_input_is_named(square: Head, front_camera: Camera, upright: FloatArray) -> None:
    vertices, topology = square
    with pytest.raises(EscaError, match="frames: expected one calibration frame"):
        uv_visibility([], topology, [front_camera], 8)
    with pytest.raises(EscaError, match="cameras: expected one calibration view"):
        uv_visibility([(vertices, upright)], topology, [], 8)
