import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.raster import Scene, project, rasterize

Head = tuple[NDArray[np.float64], Topology]


def brute_force(
    vertices: FloatArray, faces: NDArray[np.int32], matrix: FloatArray, size: tuple[int, int]
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Triangle, barycentrics and depth of every pixel by Cramer's rule on every triangle.

    Also the distance of the pixel's smallest barycentric from the edge, to tell near ties apart.
    """
    axes = np.linalg.inv(matrix[:, :3])
    centre = -axes @ matrix[:, 3]
    triangle = np.full(size, -1)
    weights = np.zeros((*size, 3))
    margin = np.full(size, np.inf)
    a, b, c = vertices[faces].transpose(1, 0, 2)
    for row in range(size[0]):
        for column in range(size[1]):
            ray = axes @ [column + 0.5, row + 0.5, 1]
            # centre + depth * ray = a + u (b - a) + v (c - a)
            system = np.stack([b - a, c - a, np.broadcast_to(-ray, a.shape)], axis=2)
            u, v, depth = np.linalg.solve(system, (centre - a)[:, :, None])[:, :, 0].T
            inner = np.minimum(np.minimum(u, v), 1 - u - v)
            margin[row, column] = np.abs(inner).min()
            hit = (inner >= 0) & (depth > 0)
            if hit.any():
                best = np.flatnonzero(hit)[depth[hit].argmin()]
                triangle[row, column] = best
                weights[row, column] = 1 - u[best] - v[best], u[best], v[best]
    return triangle, weights, margin


def test_it_sees_what_brute_force_sees(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    small = front_camera.window(0, 0, (32, 24), 0.5)
    matrix = small.projection(turned_head)
    raster = rasterize(vertices, topology.faces, matrix, small.size)
    triangle, weights, margin = brute_force(vertices, topology.faces, matrix, small.size)
    sure = margin > 1e-4
    assert sure.mean() > 0.9
    assert (raster.triangle[sure] == triangle[sure]).all()
    assert np.abs(raster.barycentrics - weights)[sure].max() < 1e-5
    assert 100 < raster.foreground.sum() < 32 * 24


def test_hit_points_project_back_to_pixel_centres(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    vertices, topology = head
    photo = front_camera.window(30, 22, (96, 96), 33.0)  # a MultiFace focal length
    matrix = photo.projection(turned_head)
    raster = rasterize(vertices, topology.faces, matrix, photo.size)
    assert raster.foreground.all()
    points = project(raster.interpolate(vertices, topology.faces), matrix)
    rows, columns = np.nonzero(raster.foreground)
    centres = np.stack([columns + 0.5, rows + 0.5], axis=1)
    assert np.abs(points[:, :2] / points[:, 2:] - centres).max() < 1e-3
    assert raster.barycentrics.sum(axis=2) == pytest.approx(1, abs=1e-6)
    assert raster.barycentrics.min() > -1e-3


def test_barycentrics_are_those_of_the_surface_not_of_the_picture(front_camera: Camera) -> None:
    # A triangle that recedes: its picture's midpoint is not the midpoint of the far edge.
    vertices = np.array([[-50, 0, 300], [50, 0, -300], [0, 60, 0]], float)
    matrix = front_camera.projection(np.hstack([np.eye(3), np.zeros((3, 1))]))
    raster = rasterize(vertices, np.array([[0, 1, 2]]), matrix, front_camera.size)
    row, column = np.argwhere(raster.foreground)[len(np.argwhere(raster.foreground)) // 2]
    ends = project(vertices, matrix)
    picture = ends[:, :2] / ends[:, 2:]
    flat = np.linalg.solve(
        np.vstack([picture.T, np.ones(3)]), np.array([column + 0.5, row + 0.5, 1])
    )
    assert np.abs(raster.barycentrics[row, column] - flat).max() > 0.05


def test_the_nearer_surface_wins_and_both_sides_are_seen(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    far = vertices - [0, 0, 50]
    both = np.concatenate([far, vertices])
    faces = np.concatenate([topology.faces, topology.faces[:, ::-1] + 4])
    raster = rasterize(both, faces, front_camera.projection(upright), front_camera.size)
    assert set(np.unique(raster.triangle)) == {-1, 2, 3}


def test_nothing_in_view_is_background(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    scene = Scene(vertices + np.array([5000, 0, 0]), topology.faces)
    raster = scene.rasterize(front_camera.projection(upright), front_camera.size)
    assert not raster.foreground.any()
    assert (raster.barycentrics == 0).all()


def test_a_mesh_that_reaches_behind_the_camera_is_still_seen(front_camera: Camera) -> None:
    vertices = np.array([[0, -5000, -2000], [0, 5000, -2000], [40, 0, 3000]], float)
    matrix = front_camera.projection(np.hstack([np.eye(3), np.zeros((3, 1))]))
    raster = rasterize(vertices, np.array([[0, 1, 2]]), matrix, front_camera.size)
    assert raster.foreground.any()
    points = project(raster.interpolate(vertices, np.array([[0, 1, 2]])), matrix)
    assert (points[:, 2] > 0).all()


def test_an_occluder_is_found(square: Head) -> None:
    vertices, topology = square
    scene = Scene(vertices, topology.faces)
    origins = np.array([[0, 0, 10], [0, 0, 10], [500, 0, 10]], float)
    directions = np.array([[0, 0, -1], [0, 0, 1], [0, 0, -1]], float)
    assert scene.occluded(origins, directions).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": np.zeros((4, 2))}, r"vertices: expected \(V, 3\)"),
        ({"vertices": np.full((4, 3), np.nan)}, "vertices: expected finite"),
        ({"faces": np.array([[0, 1, 4]])}, r"faces: expected vertex numbers in 0..3, got 0..4"),
        ({"faces": np.zeros((0, 3), int)}, r"faces: expected \(F, 3\)"),
        ({"projection": np.zeros((3, 3))}, r"projection: expected a \(3, 4\)"),
        ({"projection": np.zeros((3, 4))}, "projection: expected a finite matrix"),
        ({"backend": "gl"}, "backend: expected 'embree' or 'nvdiffrast'"),
    ],
)
def test_bad_input_is_named(
    change: dict, message: str, square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    arguments = {
        "vertices": vertices,
        "faces": topology.faces,
        "projection": front_camera.projection(upright),
        "size": front_camera.size,
    }
    with pytest.raises(EscaError, match=message):
        rasterize(**(arguments | change))


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_nvdiffrast_without_cuda_is_refused(
    square: Head, front_camera: Camera, upright: FloatArray
) -> None:
    vertices, topology = square
    matrix = front_camera.projection(upright)
    with pytest.raises(EscaError, match="backend nvdiffrast: no CUDA"):
        rasterize(vertices, topology.faces, matrix, front_camera.size, backend="nvdiffrast")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_nvdiffrast_sees_what_embree_sees(
    head: Head, front_camera: Camera, turned_head: FloatArray
) -> None:
    pytest.importorskip("nvdiffrast")
    vertices, topology = head
    matrix = front_camera.projection(turned_head)
    first = rasterize(vertices, topology.faces, matrix, front_camera.size)
    second = rasterize(vertices, topology.faces, matrix, front_camera.size, backend="nvdiffrast")
    assert (first.triangle == second.triangle).mean() > 0.99
