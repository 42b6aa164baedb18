import numpy as np
import pytest
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.atlas import (
    border_texels,
    dilate,
    rasterize_uv,
    texel_positions,
    texel_visibility,
)
from esca.rendering.raster import Scene

Head = tuple[NDArray[np.float64], Topology]


def test_texels_lie_where_their_centres_fall() -> None:
    uvs = np.array([[0.1, 0.1], [0.9, 0.2], [0.3, 0.8]], np.float32)
    topology = Topology(np.array([[0, 1, 2]], np.int32), uvs, np.array([[0, 1, 2]], np.int32))
    raster = rasterize_uv(topology, 16)
    for row in range(16):
        for column in range(16):
            centre = [(column + 0.5) / 16, (row + 0.5) / 16, 1]
            weights = np.linalg.solve(np.vstack([uvs.T, np.ones(3)]), centre)
            assert (raster.triangle[row, column] == 0) == (weights.min() >= 0)
            if weights.min() >= 0:
                assert raster.barycentrics[row, column] == pytest.approx(weights, abs=1e-5)


def test_texel_positions_of_a_square(square: Head) -> None:
    vertices, topology = square
    raster = rasterize_uv(topology, 10)
    assert raster.foreground.all()
    positions = texel_positions(vertices, topology, raster)
    centres = (np.arange(10) + 0.5) * 20 - 100
    assert positions[3, 7] == pytest.approx([centres[7], centres[3], 0], abs=1e-4)
    assert positions.shape == (10, 10, 3)


def test_a_sphere_hides_what_turns_away(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    raster = rasterize_uv(topology, 48)
    seen = texel_visibility(vertices, topology, raster, front_camera, turned_head)
    positions = texel_positions(vertices, topology, raster)
    centre = turned_head[:, :3].T @ (front_camera.centre - turned_head[:, 3])
    # On a sphere about the origin a point is seen if the camera lies above its tangent plane.
    height = (positions @ centre) / 90 - 90
    clear = raster.foreground & (np.abs(height) > 60) & (positions[..., 2] > 10)
    assert clear.sum() > 500
    assert (seen[clear] == (height[clear] > 0)).all()
    assert 0.3 < seen[clear].mean() < 1
    assert not seen[~raster.foreground].any()


def test_something_in_between_hides_a_texel(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    uv_raster = rasterize_uv(topology, 20)
    cover = vertices[:3] * 0.5 + [0, 0, 30]
    scene = Scene(np.concatenate([vertices, cover]), np.vstack([topology.faces, [[4, 5, 6]]]))
    both = Topology(
        scene.faces,
        np.vstack([topology.uvs, np.zeros((1, 2), np.float32)]),
        np.vstack([topology.uv_faces, [[4, 4, 4]]]),
    )
    seen = texel_visibility(scene.vertices, both, uv_raster, front_camera, upright)
    positions = texel_positions(vertices, topology, uv_raster)
    # Shadow of the cover from the camera, 1100 mm away: scaled by 1100 / 1070.
    x, y = positions[..., 0] / 1100 * 1070, positions[..., 1] / 1100 * 1070
    shadow = (x <= 50) & (y >= -50) & (y <= x)
    assert (seen == ~shadow).all()


def test_texels_outside_the_picture_are_unseen(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    half = front_camera.window(0, 24, (64, 24), 1.0)  # the right half of the picture
    uv_raster = rasterize_uv(topology, 8)
    seen = texel_visibility(vertices, topology, uv_raster, half, upright)
    assert seen[:, 4:].all()
    assert not seen[:, :4].any()


def test_the_back_of_an_open_surface_is_unseen(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    away = np.diag([-1.0, 1.0, -1.0]) @ upright
    uv_raster = rasterize_uv(topology, 8)
    assert not texel_visibility(vertices, topology, uv_raster, front_camera, away).any()


def test_dilate_bleeds_by_the_given_texels() -> None:
    texture = np.zeros((9, 9, 3), np.float32)
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    texture[4, 4] = 1, 2, 3
    texture[0, 0] = 9
    bled = dilate(texture, mask, 2)
    assert bled[2:7, 2:7] == pytest.approx(np.broadcast_to([1, 2, 3], (5, 5, 3)))
    assert (bled[0, 0] == 9).all()
    assert bled[1].sum() == 0
    assert texture.sum() == 6 + 27


def test_dilate_takes_values_from_the_nearest_side() -> None:
    texture = np.zeros((1, 7, 1), np.float32)
    texture[0, 0], texture[0, 5], texture[0, 6] = 10, 20, 30
    mask = texture[..., 0] > 0
    assert dilate(texture, mask, 2).ravel().tolist() == [10, 10, 10, 20, 20, 20, 30]
    assert dilate(texture, mask, 0).ravel().tolist() == texture.ravel().tolist()


def test_border_texels_serve_every_texture_of_a_mask() -> None:
    random = np.random.default_rng(0)
    mask = random.random((12, 12)) < 0.1
    targets, sources = border_texels(mask, 3)
    assert mask.ravel()[sources].all()
    assert not mask.ravel()[targets].any()
    steps = np.abs(np.stack(np.divmod(targets, 12)) - np.stack(np.divmod(sources, 12))).max(axis=0)
    assert set(steps) <= {1, 2, 3}
    rows, columns = np.nonzero(~mask)
    inside = np.argwhere(mask)
    away = np.abs(np.stack([rows, columns], 1)[:, None] - inside).max(axis=2).min(axis=1)
    assert len(targets) == (away <= 3).sum()


def test_bad_sizes_are_named(square: Head) -> None:
    with pytest.raises(EscaError, match="size: expected 1 texel or more, got 0"):
        rasterize_uv(square[1], 0)
    with pytest.raises(EscaError, match=r"mask: expected \(4, 4\) as the texture, got \(2, 2\)"):
        dilate(np.zeros((4, 4, 3)), np.zeros((2, 2), bool), 1)
