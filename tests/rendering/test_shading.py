"""Compiled passes against numpy and the exact renderer's own parts."""

import numpy as np

from esca.rendering.display import to_display
from esca.rendering.raster import Raster, barycentrics, project
from esca.rendering.shading import (
    PLAIN,
    RAW,
    bleed,
    display_texture,
    draw,
    paint,
    raw_texture,
    texel_planes,
)
from esca.rendering.zbuffer import visible

SIZE, SIDE = (70, 90), 32


def scene(seed: int):
    random = np.random.default_rng(seed)
    vertices = random.uniform(-40, 40, (30, 3))
    faces = random.permuted(np.tile(np.arange(30), (25, 1)), axis=1)[:, :3].astype(np.int64)
    uvs = random.uniform(-2, SIDE + 1, (25, 3, 2))
    lens = np.array([[120, 0, SIZE[1] / 2], [0, 120, SIZE[0] / 2], [0, 0, 1.0]])
    projection = lens @ np.concatenate([np.eye(3), [[0], [0], [140]]], axis=1)
    texture = random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    return project(vertices, projection), faces, uvs, texture


def test_painted_colours_are_bilinear_samples_at_the_surface():
    corners, faces, uvs, texture = scene(1)
    seen = visible(corners, faces, *SIZE)
    picture = np.full((*SIZE, 3), 7, np.uint8)
    paint(picture, seen, texel_planes(corners, faces, uvs), texture, PLAIN)
    raster = Raster(seen, barycentrics(corners, faces, seen))
    at = raster.interpolate(uvs.reshape(-1, 2), np.arange(75).reshape(25, 3))
    at = np.clip(at, 0, SIDE - 1)
    low = np.minimum(np.floor(at).astype(int), SIDE - 2)
    share = (at - low)[:, None]
    texels = texture.astype(np.float64)
    expected = sum(
        texels[low[:, 1] + down, low[:, 0] + across]
        * (share[..., 0] if across else 1 - share[..., 0])
        * (share[..., 1] if down else 1 - share[..., 1])
        for across in (0, 1)
        for down in (0, 1)
    )
    assert raster.foreground.any()
    assert np.abs(picture[raster.foreground] - expected).max() < 1.01
    assert (np.abs(picture[raster.foreground] - expected) < 0.51).mean() > 0.999
    assert (picture[~raster.foreground] == 7).all()


def test_a_mesh_is_drawn_over_what_is_there_and_only_into_its_columns():
    corners, faces, uvs, texture = scene(2)
    expected = np.full((*SIZE, 3), 7, np.uint8)
    paint(
        expected, visible(corners, faces, *SIZE), texel_planes(corners, faces, uvs), texture, PLAIN
    )
    whole = np.full((*SIZE, 3), 7, np.uint8)
    draw(whole, corners, faces, uvs, texture)
    assert np.abs(whole.astype(int) - expected).max() <= 1  # coordinates begin elsewhere
    assert (whole == expected).mean() > 0.999
    parts = np.full((*SIZE, 3), 7, np.uint8)
    draw(parts, corners, faces, uvs, texture, columns=(20, 33))
    assert np.abs(parts[:, 20:33].astype(int) - expected[:, 20:33]).max() <= 1
    assert (parts[:, :20] == 7).all()
    assert (parts[:, 33:] == 7).all()


def test_a_mesh_outside_the_picture_leaves_it():
    corners, faces, uvs, texture = scene(2)
    corners[:, 0] += 1000 * corners[:, 2]
    picture = np.full((*SIZE, 3), 7, np.uint8)
    draw(picture, corners, faces, uvs, texture)
    draw(picture, corners * -1, faces, uvs, texture)
    assert (picture == 7).all()


def test_display_texture_is_the_display_transform_of_raw_values():
    random = np.random.default_rng(3)
    texels = random.normal(size=(3, SIDE, SIDE)).astype(np.float32)
    offset = random.uniform(0, 255, (3, SIDE, SIDE)).astype(np.float32)
    scale = np.array([40, 90, 20], np.float32)
    raw = np.clip(texels * scale[:, None, None] + offset, 0, 255) / 255
    expected = np.rint(to_display(raw.transpose(1, 2, 0)) * 255)
    made = display_texture(texels, offset, scale)
    assert np.abs(made - expected).max() <= 1
    assert (made == expected).mean() > 0.99


def test_the_table_of_raw_textures_is_the_display_transform():
    random = np.random.default_rng(4)
    texels = random.normal(size=(SIDE, SIDE, 3)).astype(np.float32)
    offset = random.uniform(-20, 275, (SIDE, SIDE, 3)).astype(np.float32)
    scale = np.array([40, 90, 20], np.float32)
    steps = raw_texture(texels, offset, scale)
    raw = np.clip(texels * scale + offset, 0, 255)
    assert np.abs(steps / 64 - raw).max() < 1 / 100
    shown = np.stack([RAW[channel][steps[..., channel]] for channel in range(3)], axis=-1)
    off = np.abs(shown - np.rint(to_display(raw / 255) * 255))
    assert off.max() <= 1
    assert (off == 0).mean() > 0.95


def test_bleeding_copies_texels():
    texels = np.arange(30, dtype=np.uint8).reshape(10, 3)
    bleed(texels, np.array([0, 9]), np.array([4, 4]))
    assert texels[0].tolist() == texels[9].tolist() == [12, 13, 14]
