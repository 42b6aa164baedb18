"""What a browser's camera sees, against rays and numpy."""

import math

import numpy as np
import pytest
import torch

from esca.rendering.raster import project, rasterize
from esca.viewer.drawing import BACKGROUND, SPACING, Drawing, Eye
from esca.viewer.heads import Head, Surface
from esca.viewer.subject import MM, load_subject

SIZE = (150, 360)


@pytest.fixture(scope="module")
def subject(files):
    return load_subject(files.capture, files.avatar, frames=2)


def eye(azimuth: float = 0.0, distance: float = 16.0) -> Eye:
    away = np.array([math.sin(azimuth), 0, math.cos(azimuth)])
    right = np.array([math.cos(azimuth), 0, -math.sin(azimuth)])
    return Eye(distance * away, np.stack([right, [0, -1, 0], -away]), math.radians(18), SIZE)


def head(subject, seed: int, label: str = "", colour: int | None = None) -> Head:
    random = np.random.default_rng(seed)
    side = subject.avatar.texture_size
    vertices = subject.capture.vertex_mean.reshape(-1, 3) + random.normal(0, 1, 3)
    texture = random.integers(90, 256, (8, 8, 3)).repeat(side // 8, 0).repeat(side // 8, 1)
    if colour is not None:
        texture[:] = colour
    surface = Surface(vertices.astype(np.float32), texture.astype(np.uint8))
    return Head(label, (seed,), (lambda: surface,))


@pytest.mark.parametrize("azimuth", [0.0, 0.5, -0.9])
def test_one_head_is_what_rays_see(subject, azimuth):
    one, seen_from = head(subject, 1), eye(azimuth, 9.0)
    picture = Drawing(subject).draw([one], seen_from)
    surface = one.surfaces[0]()
    topology = subject.capture.topology
    placed = (surface.vertices.astype(np.float64) - subject.centre) * MM
    raster = rasterize(placed, topology.faces, seen_from.projection, SIZE)
    at = raster.interpolate(topology.uvs, topology.uv_faces) * len(surface.picture) - 0.5
    nearest = np.rint(at).astype(int)
    # Between texels of one colour; bilinear mixes are tested where colours are mixed.
    patch = np.floor((at - 0.5) / (len(surface.picture) / 8))
    inner = (patch == np.floor((at + 1.5) / (len(surface.picture) / 8))).all(1)
    expected = surface.picture[nearest[:, 1] % 256, nearest[:, 0] % 256]
    off = np.abs(picture[raster.foreground].astype(int) - expected).max(1)[inner]
    assert inner.mean() > 0.5
    assert (off <= 1).mean() > 0.998
    background = (picture[~raster.foreground] == BACKGROUND).all(1)
    assert background.mean() > 0.999


@pytest.mark.parametrize("azimuth", [0.0, 0.8])
def test_a_row_stands_across_the_view_and_is_labelled(subject, azimuth):
    heads = [
        head(subject, 0, "first", 100),
        head(subject, 0, "second", 150),
        head(subject, 0, "third", 200),
    ]
    seen_from = eye(azimuth, 22.0)
    picture = Drawing(subject).draw(heads, seen_from)
    width = SPACING * subject.size[0] * MM
    for number, colour in enumerate((100, 150, 200)):
        rows, columns = np.nonzero((picture == colour).all(2))
        corner = project((number - 1) * width * seen_from.right[None], seen_from.projection)[0]
        assert abs(np.median(columns) - corner[0] / corner[2]) < 12
        above = picture[: rows.min(), columns.min() : columns.max()]
        assert (above > 160).all(2).sum() > 8  # letters


def test_a_split_head_shows_each_surface_on_its_side_of_the_cut(subject):
    first, second = head(subject, 0, colour=100), head(subject, 0, colour=200)
    both = (*first.surfaces, *second.surfaces)
    drawing, seen_from = Drawing(subject), eye(0.2, 9.0)
    alone = drawing.draw([first], seen_from), drawing.draw([second], seen_from)
    middle = project(np.zeros((1, 3)), seen_from.projection)[0]
    for cut in (-1.5, -0.4, 0.0, 0.4, 1.5):
        picture = drawing.draw([Head("", (), both, cut)], seen_from)
        edge = project(seen_from.right[None] * subject.size[0] * MM / 2, seen_from.projection)[0]
        at = middle[0] / middle[2]
        at += cut * (edge[0] / edge[2] - at)
        left, right = max(0, math.floor(at) - 2), math.ceil(at) + 2
        np.testing.assert_array_equal(picture[:, :left], alone[0][:, :left])
        np.testing.assert_array_equal(picture[:, right:], alone[1][:, right:])
        assert (picture == 240).all(2).any() == (abs(cut) < 1)


def test_more_samples_smooth_edges_and_keep_the_inside(subject):
    one, drawing = head(subject, 0, colour=200), Drawing(subject)
    coarse, fine = (drawing.draw([one], eye(0, 9.0), samples) for samples in (1, 2))
    assert fine.shape == coarse.shape
    mixed = (fine != 200).any(2) & (fine != BACKGROUND).any(2)
    assert 20 < mixed.sum() < 0.03 * mixed.size
    np.testing.assert_array_equal(fine[~mixed], coarse[~mixed])


def test_nothing_is_drawn_behind_the_camera_or_outside(subject):
    one, drawing = head(subject, 0, "label"), Drawing(subject)
    behind = Eye(np.array([0, 0, 9.0]), np.diag([1.0, -1, 1]), math.radians(18), SIZE)
    assert (drawing.draw([one], behind) == BACKGROUND).all()
    aside = Eye(np.array([9.0, 0, 9.0]), np.diag([1.0, -1, -1]), math.radians(18), SIZE)
    assert (drawing.draw([one], aside) == BACKGROUND).all()
    inside = Eye(np.zeros(3), np.diag([1.0, -1, -1]), math.radians(18), SIZE)
    assert drawing.draw([one], inside).shape == (*SIZE, 3)


def test_the_display_texture_is_the_decoded_one_in_display_values(subject):
    from esca.rendering.display import to_display

    texture = torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(0))
    made = subject.display(texture)
    raw = texture.numpy() * subject.texture_scale[:, None, None] + subject.texture_offset
    expected = np.rint(to_display(np.clip(raw.transpose(1, 2, 0), 0, 255) / 255) * 255)
    inner = np.ones((256, 256), bool)
    inner.ravel()[subject.border[0]] = False
    assert np.abs(made[inner] - expected[inner]).max() <= 1
    np.testing.assert_array_equal(
        made.reshape(-1, 3)[subject.border[0]], made.reshape(-1, 3)[subject.border[1]]
    )
