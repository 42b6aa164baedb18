import numpy as np
import pytest

from esca.captures.geometry import Camera, Topology
from esca.errors import EscaError
from esca.evaluation.windows import (
    Box,
    crop_photo,
    cropped,
    framed_vertices,
    head_box,
    joined,
    region_boxes,
)
from esca.rendering.raster import project, rasterize

UPRIGHT = np.hstack([np.eye(3), np.zeros((3, 1))])
SQUARE = np.array([[-50, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]], float)
TOPOLOGY = Topology(
    np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32),
    np.array([[0, 1, 2], [0, 2, 3]], np.int32),
)


def camera() -> Camera:
    """100 mm are 100 pixels at the head's distance; the middle is (row 150, column 100)."""
    intrinsics = np.array([[1000.0, 0, 100], [0, 1000.0, 150], [0, 0, 1]])
    extrinsics = np.hstack([np.diag([1.0, -1.0, -1.0]), [[0], [0], [1000.0]]])
    return Camera("400029", intrinsics, extrinsics, np.zeros(5), (300, 200))


def test_the_head_box_holds_every_frame() -> None:
    box = head_box(camera(), [SQUARE, SQUARE + np.array([0, 20, 0])], np.stack([UPRIGHT] * 2), 0.0)
    assert abs(box.top - 80) <= 1
    assert abs(box.bottom - 200) <= 1
    assert abs(box.left - 50) <= 1
    assert abs(box.right - 150) <= 1
    wide = head_box(camera(), [SQUARE], UPRIGHT[None], 0.1)
    assert abs(wide.bottom - wide.top - 120) <= 2


def test_the_head_box_stays_in_the_picture() -> None:
    box = head_box(camera(), [SQUARE * 10], UPRIGHT[None], 0.1)
    assert (box.top, box.bottom, box.left, box.right) == (0, 300, 0, 200)


def test_a_head_out_of_sight_is_named() -> None:
    for away in ([9000, 0, 0], [0, 0, 5000]):
        with pytest.raises(EscaError, match="camera 400029: does not see the head"):
            head_box(camera(), [SQUARE + np.array(away)], UPRIGHT[None], 0.0)


def test_the_cropped_camera_sees_the_box() -> None:
    window = cropped(camera(), Box(100, 200, 50, 151), 0.25)
    assert window.size == (25, 25)
    points = project(SQUARE, window.projection(UPRIGHT))
    corners = points[:, :2] / points[:, 2:]
    assert corners.min(axis=0) == pytest.approx([0, 0])
    assert corners.max(axis=0) == pytest.approx([25, 25])
    with pytest.raises(EscaError, match=r"protocol scale: 0\.001 leaves nothing"):
        cropped(camera(), Box(0, 10, 0, 10), 0.001)


def test_the_window_holds_all_vertices_or_those_of_the_face() -> None:
    mask = np.zeros((10, 10), bool)
    mask[7:, 7:] = True
    assert framed_vertices(TOPOLOGY, 5, "head", {}).tolist() == [0, 1, 2, 3, 4]
    assert framed_vertices(TOPOLOGY, 5, "face", {"face": mask}).tolist() == [2]
    with pytest.raises(EscaError, match="protocol crop: 'face' needs a facial region"):
        framed_vertices(TOPOLOGY, 5, "face", {"eyes": mask})
    with pytest.raises(EscaError, match="region face: holds no vertex"):
        framed_vertices(TOPOLOGY, 5, "face", {"face": np.zeros((10, 10), bool)})


def test_a_photo_is_averaged_over_each_pixels_area() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    part = crop_photo(photo, Box(4, 24, 6, 27), (5, 5), 0.25)
    expected = photo[4:24, 6:26].reshape(5, 4, 5, 4, 3).mean(axis=(1, 3))
    assert part == pytest.approx(expected, abs=1e-3)


def test_region_boxes_are_where_the_texels_are_seen() -> None:
    matrix = camera().projection(UPRIGHT)
    raster = rasterize(SQUARE, TOPOLOGY.faces, matrix, (300, 200))
    mask = np.zeros((10, 10), bool)
    mask[7, 2] = True  # v 0.7 to 0.8 is y 20 to 30 mm, so rows 120 to 130
    boxes = region_boxes(raster, TOPOLOGY, {"eyes": mask, "none": np.zeros((10, 10), bool)}, 1)
    assert boxes == {"eyes": Box(120, 130, 70, 80)}
    assert region_boxes(raster, TOPOLOGY, {"eyes": mask}, 2) == {"eyes": Box(60, 65, 35, 40)}


def test_boxes_are_joined_and_widened() -> None:
    both = joined([{"a": Box(2, 4, 5, 6)}, {"a": Box(1, 3, 5, 9), "b": Box(0, 1, 0, 1)}])
    assert both == {"a": Box(1, 4, 5, 9), "b": Box(0, 1, 0, 1)}
    assert Box(10, 20, 0, 40).widened(0.1, 16, (100, 42)) == Box(7, 23, 0, 42)
    assert Box(10, 20, 3, 6).widened(0.0, 32, (20, 20)) == Box(0, 20, 0, 20)
