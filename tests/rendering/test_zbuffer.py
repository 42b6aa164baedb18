"""The depth buffer against rays."""

import numpy as np
import pytest
import trimesh

from esca.rendering.raster import project, rasterize
from esca.rendering.zbuffer import visible

SIZE = (90, 120)


def camera(distance: float, turn: float) -> np.ndarray:
    lens = np.array([[150, 0, SIZE[1] / 2], [0, 150, SIZE[0] / 2], [0, 0, 1.0]])
    cos, sin = np.cos(turn), np.sin(turn)
    turned = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return lens @ np.concatenate([turned, [[0], [0], [distance]]], axis=1)


def looked(vertices, faces, projection) -> np.ndarray:
    return visible(project(vertices, projection), faces.astype(np.int64), *SIZE)


@pytest.mark.parametrize("seed", range(6))
def test_triangles_anywhere_are_those_that_rays_meet(seed):
    random = np.random.default_rng(seed)
    vertices = random.uniform(-60, 60, (60, 3))
    faces = random.permuted(np.tile(np.arange(60), (80, 1)), axis=1)[:, :3]
    projection = camera(180, random.uniform(-3, 3))
    assert project(vertices, projection)[:, 2].min() > 0
    rays = rasterize(vertices, faces, projection, SIZE).triangle
    found = looked(vertices, faces, projection)
    # Pixels whose centre lies on an edge, or where triangles pass through each other there.
    assert (found != rays).mean() < 2e-3
    assert (found >= 0).mean() > 0.3


def test_a_closed_surface_has_no_cracks_and_shows_its_near_side():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=40)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    projection = camera(200, 0.3)
    found = looked(vertices, faces, projection)
    rays = rasterize(vertices, faces, projection, SIZE).triangle
    assert ((found >= 0) != (rays >= 0)).sum() <= 2
    depth = project(vertices, projection)[faces][found[found >= 0]][..., 2]
    assert depth.max() < 200


def test_vertices_on_pixel_centres_leave_no_cracks():
    # A grid whose every edge runs through pixel centres.
    columns, rows = np.meshgrid(np.arange(20.5, 60), np.arange(10.5, 50))
    corners = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    first = (np.arange(39)[:, None] * 40 + np.arange(39)).ravel()
    faces = np.concatenate(
        [first[:, None] + [0, 1, 40], first[:, None] + [1, 41, 40]], dtype=np.int64
    )
    seen = visible(corners, faces, *SIZE)
    assert (seen[10:50, 20:60] >= 0).all()
    assert (seen >= 0).sum() == 1600


def test_what_reaches_behind_the_camera_or_has_no_area_is_left_out():
    corners = np.array([[0, 0, 1.0], [100, 0, 1], [0, 80, 1], [50, 40, -1], [0, 0, 0]])
    assert (visible(corners, np.array([[0, 1, 3], [0, 4, 1], [0, 0, 1]]), *SIZE) == -1).all()
    huge = np.array([[-1e9, -1e9, 1e-3], [1e9, 0, 1], [0, 1e9, 1.0], [1e300, 1, 1]])
    assert (visible(huge, np.array([[0, 1, 2]]), *SIZE) == 0).mean() > 0.9
    assert (visible(huge, np.array([[0, 1, 3]]), *SIZE) == -1).all()
