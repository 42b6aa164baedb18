import numpy as np
import pytest

from esca.errors import EscaError
from esca.rendering.raster import Scene
from esca.subjects.procedural import ProceduralSubject, procedural_subject
from esca.subjects.procedural.sculpt import EYE_RADIUS

SIZE = 256


@pytest.fixture(scope="module")
def subject() -> ProceduralSubject:
    return procedural_subject(3)


def both(name: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{name}_L": weight, f"{name}_R": weight}


def part_of_face(subject: ProceduralSubject) -> np.ndarray:
    owner = np.empty(len(subject.topology.faces), object)
    for name, rows in subject.assembly.face_slices.items():
        owner[rows] = name
    return owner


def flat_areas(subject: ProceduralSubject) -> np.ndarray:
    topology = subject.topology
    a, b, c = (topology.uvs[topology.uv_faces[:, i]].astype(float) for i in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def test_same_seed_same_bits(subject):
    again = procedural_subject(3)
    weights = {"jawOpen": 0.4, **both("mouthSmile", 0.7)}
    assert np.array_equal(subject.vertices(weights), again.vertices(weights))
    assert np.array_equal(subject.topology.uvs, again.topology.uvs)
    ours, theirs = subject.skin(weights, 128), again.skin(weights, 128)
    for name in ("albedo", "height", "specular", "roughness", "occlusion"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_other_seeds_are_other_people(subject):
    other = procedural_subject(4)
    assert other.name != subject.name
    assert np.abs(other.vertices({}) - subject.vertices({})).max() > 2
    assert np.abs(other.skin({}, 64).albedo - subject.skin({}, 64).albedo).mean() > 0.003


def test_default_size_and_budget(subject):
    assert 2200 <= len(subject.vertices({})) <= 2600
    assert subject.topology.vertex_count == len(subject.vertices({}))


@pytest.mark.parametrize("weights", [{}, {"jawOpen": 1.0}, both("mouthSmile"), both("eyeBlink")])
def test_mesh_is_finite_and_has_no_empty_face(subject, weights):
    vertices = subject.vertices(weights).astype(float)
    assert np.isfinite(vertices).all()
    a, b, c = (vertices[subject.topology.faces[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert areas.min() > (1e-4 if not weights else 0)
    assert areas.max() < 2500


def test_head_has_real_size(subject):
    skin = subject.vertices({})[subject.assembly.slices["skin"]]
    assert 105 < skin[:, 1].max() < 130
    front = skin[np.abs(skin[:, 0]) < 60]
    assert 105 < front[:, 2].max() < 130
    assert 130 < np.ptp(skin[:, 0]) < 175


def test_faces_look_outwards(subject):
    """From any side, the first surface that a ray meets shows its front."""
    vertices, faces = subject.vertices({}).astype(float), subject.topology.faces
    scene = Scene(vertices, faces)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across = np.stack(np.meshgrid(np.linspace(-70, 70, 60), np.linspace(-110, 110, 90)), -1)
    across = across.reshape(-1, 2)
    for degrees in (-90, -50, -20, 0, 20, 50, 90, 180):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        away = np.array([s, 0, c])
        origins = 400 * away + across[:, :1] * [c, 0, -s] + across[:, 1:] * [0, 1, 0]
        hit = scene.first_hits(origins, np.broadcast_to(-away, origins.shape))
        turned = (normals[hit[hit >= 0]] @ away < 0).mean()
        assert (hit >= 0).mean() > 0.5
        assert turned < 0.002, degrees


def test_skin_has_one_rim_only(subject):
    """Every edge of the skin has two faces but at the neck and at the lids' inner edges."""
    faces = subject.topology.faces[subject.assembly.face_slices["skin"]]
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    rim = np.unique(unique[count == 1])
    neutral, ring = subject.assembly.positions, subject.assembly.traits["lid_ring"]
    assert ((neutral[rim, 1] < -155) | (ring[rim] == 5)).all()


def test_atlas_is_inside_and_one_sided(subject):
    uvs = subject.topology.uvs
    assert uvs.min() >= 0 and uvs.max() <= 1
    areas, owner = flat_areas(subject), part_of_face(subject)
    for name in subject.assembly.face_slices:
        part = areas[owner == name]
        assert (np.sign(part) == np.sign(part[0])).all(), name


def test_islands_do_not_overlap(subject):
    """Count triangles over each texel centre; interiors may not share one."""
    topology = subject.topology
    corners = topology.uvs[topology.uv_faces].astype(float) * SIZE
    count = np.zeros((SIZE, SIZE), int)
    owners = np.full((SIZE, SIZE), -1)
    order = list(subject.assembly.face_slices)
    owner = part_of_face(subject)
    for number, triangle in enumerate(corners):
        low = np.floor(triangle.min(0)).astype(int)
        high = np.ceil(triangle.max(0)).astype(int)
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        weights = []
        for i in range(3):
            (ax, ay), (bx, by) = triangle[i], triangle[(i + 1) % 3]
            weights.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
        (px, py), (qx, qy) = triangle[1:] - triangle[0]
        inside = np.sign(px * qy - py * qx)
        covered = (inside * np.stack(weights) > 1e-6).all(0)
        count[low[1] : high[1], low[0] : high[0]] += covered
        owners[low[1] : high[1], low[0] : high[0]][covered] = order.index(owner[number])
    assert count.max() == 1
    assert 0.5 < (owners == 0).mean() < 0.75
    for part in range(len(order)):
        ours = owners == part
        near = ours.copy()
        for shift in (-2, -1, 1, 2):
            near |= np.roll(ours, shift, 0) | np.roll(ours, shift, 1)
        assert not (near & (owners >= 0) & (owners != part)).any(), order[part]


@pytest.mark.parametrize("gaze", ["", "eyeLookUp", "eyeLookDown"])
def test_blink_hides_the_eyeballs(subject, gaze):
    weights = both("eyeBlink") | (both(gaze, 0.6) if gaze else {})
    owner = part_of_face(subject)

    def seen(pose: dict[str, float]) -> int:
        scene = Scene(subject.vertices(pose), subject.topology.faces)
        x, y = np.meshgrid(np.linspace(-60, 60, 240), np.linspace(-20, 20, 80))
        total = 0
        for turn in (-0.5, 0.0, 0.5):
            towards = np.array([-np.sin(turn), 0, -np.cos(turn)])
            at = np.stack([x.ravel(), y.ravel(), np.full(x.size, 80.0)], -1) - 300 * towards
            hit = scene.first_hits(at, np.broadcast_to(towards, at.shape))
            names = owner[hit[hit >= 0]]
            total += int(np.isin(names, ["eye_L", "eye_R"]).sum())
        return total

    assert seen({}) > 1500
    assert seen(weights) <= 6


@pytest.mark.parametrize("blink", [0.25, 0.5, 0.75, 1.0])
def test_lids_never_enter_the_eyeball(subject, blink):
    moved = subject.vertices(both("eyeBlink", blink) | both("eyeSquint", 0.5))
    ring = subject.assembly.traits["lid_ring"]
    for side in "LR":
        rows = subject.rig.lid_rows[side]
        outer = rows[ring[rows] < 4.5]
        gap = np.linalg.norm(moved[outer] - subject.rig.eyes[side], axis=1)
        assert gap.min() > EYE_RADIUS + 0.5


def test_eyeballs_turn_rigidly(subject):
    rows = subject.rig.eye_rows["L"]
    centre = subject.rig.eyes["L"]
    neutral, turned = subject.vertices({}), subject.vertices({"eyeLookOut_L": 0.5})
    radius = np.linalg.norm(neutral[rows] - centre, axis=1)
    assert np.allclose(np.linalg.norm(turned[rows] - centre, axis=1), radius, atol=1e-3)
    front, swung = neutral[rows[0]] - centre, turned[rows[0]] - centre
    cosine = front @ swung / np.linalg.norm(front) / np.linalg.norm(swung)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(16, abs=0.1)
    assert turned[rows[0], 0] > neutral[rows[0], 0]


def test_jaw_opens_and_teeth_follow(subject):
    neutral, opened = subject.vertices({}), subject.vertices({"jawOpen": 1.0})
    traits, skin = subject.assembly.traits, subject.assembly.slices["skin"]
    contact = np.flatnonzero(traits["mouth_ring"][skin] == 5)
    middle = contact[np.abs(subject.assembly.positions[contact, 0]) < 1e-6]
    assert len(middle) == 2
    assert np.ptp(neutral[middle, 1]) < 0.5
    assert np.ptp(opened[middle, 1]) > 20
    lower, upper = (subject.assembly.slices[f"{n}_teeth"] for n in ("lower", "upper"))
    assert (opened - neutral)[lower, 1].mean() < -15
    assert np.array_equal(opened[upper], neutral[upper])
    closed = subject.vertices({"jawOpen": 1.0, "mouthClose": 1.0})
    assert np.ptp(closed[middle, 1]) < 3


@pytest.mark.parametrize(
    "name",
    ["mouthSmile", "browDown", "browOuterUp", "eyeBlink", "cheekPuff", "noseSneer", "eyeLookIn"],
)
def test_left_mirrors_right(subject, name):
    """Moving the left and mirroring is moving the right, before the person's own asymmetry."""
    neutral = subject.assembly.positions.astype(np.float32)
    order = np.lexsort(np.round(neutral * [-1, 1, 1], 3).T)
    twin = np.empty(len(neutral), int)
    twin[np.lexsort(np.round(neutral, 3).T)] = order
    base = subject.vertices({})
    left = subject.vertices({f"{name}_L": 0.8}) - base
    right = subject.vertices({f"{name}_R": 0.8}) - base
    assert np.linalg.norm(left, axis=1).max() > 1
    # Lips touch, so twins there are ambiguous; everything else has exactly one.
    alone = subject.assembly.traits["mouth_ring"] != 5
    assert np.allclose(left[twin][alone] * [-1, 1, 1], right[alone], atol=2e-3)


def test_every_expression_moves_something(subject):
    neutral = subject.vertices({})
    for name in subject.expressions:
        weights = {name: 1.0, **({"jawOpen": 0.5} if name == "mouthClose" else {})}
        base = subject.vertices({"jawOpen": 0.5}) if name == "mouthClose" else neutral
        moved = np.linalg.norm(subject.vertices(weights) - base, axis=1).max()
        assert 0.5 < moved < 45, name
    assert {"jawOpen", "mouthSmile_L", "eyeBlink_R", "eyeLookUp_L", "browInnerUp_R"} <= set(
        subject.expressions
    )


def test_bad_input():
    with pytest.raises(EscaError, match="seed"):
        procedural_subject(-1)
    with pytest.raises(EscaError, match="vertices"):
        procedural_subject(0, vertices=10)
    subject = procedural_subject(3)
    with pytest.raises(EscaError, match="jawOpne"):
        subject.vertices({"jawOpne": 1.0})
    with pytest.raises(EscaError, match=r"jawOpen.*\[0, 1\]"):
        subject.vertices({"jawOpen": float("nan")})
    with pytest.raises(EscaError, match="size"):
        subject.skin({}, 4)
