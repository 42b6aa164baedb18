import numpy as np
import pytest

from esca.subjects.procedural import ProceduralSubject, procedural_subject
from esca.subjects.procedural.delaunay import delaunay, flipped
from esca.subjects.procedural.identity import identity
from esca.subjects.procedural.wrinkles import FOLDS, amplitude

SIZE = 128


@pytest.fixture(scope="module")
def subject() -> ProceduralSubject:
    return procedural_subject(3)


def both(name: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{name}_L": weight, f"{name}_R": weight}


@pytest.mark.parametrize("weights", [{}, both("mouthSmile") | both("browDown") | {"jawOpen": 1.0}])
def test_maps_are_in_range(subject, weights):
    skin = subject.skin(weights, SIZE)
    assert skin.albedo.shape == (SIZE, SIZE, 3)
    for name in ("albedo", "height", "specular", "roughness", "occlusion"):
        values = getattr(skin, name)
        assert values.dtype == np.float32, name
        assert np.isfinite(values).all(), name
    assert skin.albedo.min() >= 0 and skin.albedo.max() <= 1
    assert np.abs(skin.height).max() < 4
    assert skin.roughness.min() > 0 and skin.roughness.max() <= 1
    assert skin.occlusion.min() >= 0 and skin.occlusion.max() <= 1
    assert skin.specular.min() >= 0


@pytest.mark.parametrize(
    "name", ["browInnerUp", "browDown", "mouthSmile", "noseSneer", "eyeSquint"]
)
def test_wrinkles_grow_with_the_weight(subject, name):
    rest = subject.skin({}, SIZE).height
    depth = [
        float(np.abs(subject.skin(both(name, weight), SIZE).height - rest).max())
        for weight in (0.3, 0.6, 1.0)
    ]
    assert 0.02 < depth[0] < depth[1] < depth[2]


def test_wrinkles_are_one_sided(subject):
    rest = subject.skin({}, SIZE).height
    change = np.abs(subject.skin({"mouthSmile_L": 1.0}, SIZE).height - rest)
    assert change[:, SIZE // 2 + 4 :].max() > 20 * change[:, : SIZE // 2 - 4].max()


def test_blood_flow_follows_the_smile(subject):
    rest, smile = (subject.skin(w, SIZE).albedo for w in ({}, both("mouthSmile")))
    redness = (smile[..., 0] / smile[..., 1]) / (rest[..., 0] / rest[..., 1])
    assert redness.max() > 1.03


def test_fold_amplitude_is_bounded():
    for name, fold in FOLDS.items():
        everything = {driver: 1.0 for driver, _ in fold.drivers}
        assert 0 < amplitude(fold, everything, 1.0, "L") <= 1, name
        assert amplitude(fold, {}, 0.0, "L") == 0


def test_eyes_and_lips_are_wet_and_the_mouth_is_dark(subject):
    skin, regions = subject.skin({}, SIZE), subject.regions(SIZE)
    texels = subject.surface.texels(SIZE)
    ball = np.zeros((SIZE, SIZE), bool)
    ball[texels.mask] = texels.of("eye_L")
    assert skin.roughness[ball].max() < 0.25
    assert np.median(skin.roughness[regions["face"]]) > 0.38
    bag = np.zeros((SIZE, SIZE), bool)
    bag[texels.mask] = texels.traits["bag"] > 0.8
    assert skin.occlusion[bag].mean() < 0.3 < skin.occlusion[regions["face"]].mean()


def test_regions_lie_in_the_atlas(subject):
    regions = subject.regions(SIZE)
    mask = subject.surface.texels(SIZE).mask
    assert set(regions) == {"eyes", "mouth", "nose", "brows", "face"}
    for name, region in regions.items():
        assert region.shape == (SIZE, SIZE) and region.dtype == bool
        assert region.any() and not (region & ~mask).any(), name
    assert regions["face"].mean() > 0.2
    for name in ("nose", "brows"):
        assert (regions["face"] & regions[name]).sum() > 0.8 * regions[name].sum()
    assert not (regions["nose"] & regions["mouth"]).any()


def test_people_vary():
    people = [identity(seed) for seed in range(12)]
    assert identity(5) == people[5]
    assert len({person.skin for person in people}) == 12
    assert len({person.iris for person in people}) >= 3
    assert np.std([person.nose_width for person in people]) > 0.5


def test_delaunay_circles_are_empty():
    points = np.random.default_rng(1).random((60, 2))
    triangles = delaunay(points)
    for a, b, c in points[triangles]:
        matrix = 2 * np.array([b - a, c - a])
        centre = np.linalg.solve(matrix, [b @ b - a @ a, c @ c - a @ a])
        radius = np.linalg.norm(a - centre)
        assert (np.linalg.norm(points - centre, axis=1) > radius - 1e-9).all()
    d = points[triangles]
    first, second = d[:, 1] - d[:, 0], d[:, 2] - d[:, 0]
    assert (first[:, 0] * second[:, 1] > first[:, 1] * second[:, 0]).all()


def test_flip_restores_a_delaunay_square():
    plane = np.array([[0, 0], [4, 0], [4, 1], [0, 1.0]])
    surface = np.array([[0, 0, 0], [1, 0, 0], [3, 1, 0], [0, 1, 0.0]])
    thin = np.array([[0, 1, 2], [0, 2, 3]])
    better = flipped(thin, plane, surface)
    assert {frozenset(t) for t in better.tolist()} == {frozenset((0, 1, 3)), frozenset((1, 2, 3))}
