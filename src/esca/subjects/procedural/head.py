"""The skin of the canonical head: scattered points and edge loops, triangulated and mirrored."""

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.chart import open_slit, to_chart, to_surface
from esca.subjects.procedural.delaunay import delaunay, flipped
from esca.subjects.procedural.loops import Rings, eye_rings, mouth_rings
from esca.subjects.procedural.mesh import Index, Part, grid_faces
from esca.subjects.procedural.sculpt import surface_along

_NECK_LEVEL = -162.0
_NECK_AXIS = np.array([0.0, _NECK_LEVEL, -28.0])
_SLIT_HEIGHT = 0.04
_BACK_POINTS = 13


def _spacing(p: FloatArray) -> FloatArray:
    """Wanted distance between neighbours in mm, before the budget scales it."""

    def near(centre: tuple[float, float, float], radius: float) -> FloatArray:
        return np.exp(-((np.linalg.norm(p - centre, axis=1) / radius) ** 2))

    back = np.clip((75 - p[:, 2]) / 100, 0, 1) + 0.4 * np.clip((p[:, 1] - 62) / 40, 0, 1)
    wanted = 8.6 + 10.5 * np.clip(back, 0, 1.2) + 3.0 * np.clip((-118 - p[:, 1]) / 40, 0, 1)
    wanted -= 4.6 * near((8, -40, 104), 15) + 2.4 * near((0, -20, 104), 20)
    wanted -= 3.2 * near((31, 2, 84), 24) + 3.2 * near((14, -70, 96), 24)
    return np.maximum(wanted, 3.7)


def _inside(points: FloatArray, polygon: FloatArray) -> np.ndarray:
    """Which points lie inside a closed polygon (even-odd rule)."""
    x, y = points[:, None, 0], points[:, None, 1]
    a, b = polygon, np.roll(polygon, -1, axis=0)
    straddles = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1e-30, b[:, 1] - a[:, 1])
    crossing = x < (b[:, 0] - a[:, 0]) * (y - a[:, 1]) / rise + a[:, 0]
    return (straddles & crossing).sum(1) % 2 == 1


def _neck_border(count: int) -> FloatArray:
    angle = np.linspace(0, np.pi, count)
    directions = np.column_stack([np.sin(angle), np.zeros(count), np.cos(angle)])
    directions[[0, -1], 0] = 0.0
    origins = np.broadcast_to(_NECK_AXIS, directions.shape)
    return surface_along(origins, directions, 140.0)


def _neck_candidates(rng: np.random.Generator, count: int) -> FloatArray:
    """Chart points all over the neck, which the chart itself foreshortens."""
    angle = rng.random(count) * np.pi
    directions = np.column_stack([np.sin(angle), np.zeros(count), np.cos(angle)])
    origins = np.column_stack(
        [np.zeros(count), rng.uniform(_NECK_LEVEL + 5, -112, count), np.full(count, -26.0)]
    )
    return to_chart(surface_along(origins, directions, 140.0))


def _walk(start: FloatArray, end: FloatArray, scale: float) -> FloatArray:
    """Chart points between two chart points on the midline, as far apart as wanted there."""
    fine = start + np.linspace(0, 1, 240)[:, None] * (end - start)
    surface = to_surface(fine)
    steps = np.linalg.norm(np.diff(surface, axis=0), axis=1)
    travel = np.concatenate([[0], np.cumsum(steps / (scale * _spacing(surface[1:])))])
    inner = np.linspace(0, travel[-1], max(2, round(travel[-1]) + 1))[1:-1]
    return np.column_stack([np.zeros(len(inner)), np.interp(inner, travel, fine[:, 1])])


def _scatter(fixed: FloatArray, holes: list[FloatArray], scale: float) -> FloatArray:
    """Chart points of the half disc, apart as wanted from each other and from ``fixed``."""
    rng = np.random.default_rng(7)
    tries = round(7500 / scale**2)
    radius = np.sqrt(rng.random(tries)) * 0.975
    angle = (rng.random(tries) - 0.5) * np.pi
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    points = np.vstack([points, _neck_candidates(rng, tries // 10)])
    keep = points[:, 0] > 0.004
    for hole in holes:
        keep &= ~_inside(points, hole)
    points = points[keep]
    surface = to_surface(points)
    wanted = scale * _spacing(surface)
    taken = np.empty((len(fixed) + len(points), 3))
    taken[: len(fixed)] = to_surface(fixed)
    count, chosen = len(fixed), []
    # Crowded places first, so that coarse neighbours do not eat into them.
    for i in np.argsort(wanted, kind="stable"):
        gap = ((taken[:count] - surface[i]) ** 2).sum(1).min()
        if gap > (0.88 * wanted[i]) ** 2:
            taken[count] = surface[i]
            count += 1
            chosen.append(i)
    return points[chosen]


def _relaxed(points: FloatArray, movable: slice, holes: list[FloatArray]) -> FloatArray:
    """The points after some smoothing of the movable ones towards their neighbours."""
    faces = _kept(points, holes)
    points = points.copy()
    weight = np.bincount(faces.ravel(), minlength=len(points))[:, None] * 2.0
    for _ in range(4):
        total = np.zeros_like(points)
        for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)):
            np.add.at(total, faces[:, a], points[faces[:, b]])
        mean = total / np.maximum(weight, 1)
        moved = points[movable] + 0.5 * (mean[movable] - points[movable])
        lost = np.any([_inside(moved, hole) for hole in holes], axis=0)
        points[movable] = np.where(lost[:, None], points[movable], moved)
    return points


def _kept(points: FloatArray, holes: list[FloatArray]) -> Index:
    faces = delaunay(points)
    a, b, c = (points[faces[:, i]] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    keep = np.abs(area) > 1e-9
    for hole in holes:
        keep &= ~_inside((a + b + c) / 3, hole)
    faces, area = faces[keep], area[keep]
    return np.where((area < 0)[:, None], faces[:, ::-1], faces)


def _mouth_uvs(mouth: Rings) -> FloatArray:
    """Chart points of the mouth's loops, (rings, N, 2), the slit opened and filled by the bag."""
    outside = np.stack([to_chart(ring) for ring in mouth.positions[7:]])
    contact = to_chart(mouth.positions[4])
    side = mouth.traits["mouth_side"][0]
    red = [contact + share * (outside[0] - contact) for share in (0.0, 0.36, 0.7)]
    rings = np.concatenate([np.stack(red), outside])
    opened = np.stack([_opened(ring, side, contact) for ring in rings])
    middle = len(contact) // 2
    bag = []
    for wide, high in ((0.6, 0.2), (0.78, 0.42), (0.88, 0.63), (0.95, 0.82)):
        x = contact[:, 0] * wide
        level = _level(x, contact)
        lift = np.abs(opened[0][:, 1] - _level(contact[:, 0], contact)) * high
        bag.append(np.column_stack([x, level + side * lift]))
        bag[-1][middle, 1] = level[middle]
    uvs = np.concatenate([np.stack(bag), opened])
    uvs[:, [0, -1], 0] = 0.0
    return uvs


def _level(x: FloatArray, contact: FloatArray) -> FloatArray:
    half = len(contact) // 2 + 1
    return np.interp(x, contact[:half, 0], contact[:half, 1])


def _opened(points: FloatArray, side: FloatArray, contact: FloatArray) -> FloatArray:
    width = float(contact[:, 0].max())
    return open_slit(points, side, _SLIT_HEIGHT, width, _level(points[:, 0], contact))


def _eye_uvs(eye: Rings) -> FloatArray:
    """Chart points of the eye's loops, (rings, N, 2); the innermost shrinks into the opening."""
    rings = np.stack([to_chart(ring) for ring in eye.positions])
    rings[0] = rings[1] + 0.16 * (rings[1].mean(0) - rings[1])
    return rings


def _oriented(faces: Index, uvs: FloatArray) -> Index:
    a, b, c = (uvs[faces[:, i]] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return np.where((area < 0)[:, None], faces[:, ::-1], faces)


def build_head(scale: float) -> Part:
    """The canonical skin, with uvs in chart coordinates (unit disc).

    ``scale`` multiplies the distance between neighbouring vertices.
    """
    eye = eye_rings(2 * max(8, round(12 / scale**0.7)))
    mouth = mouth_rings(2 * max(6, round(7 / scale**0.7)) + 1)
    eye_hole = to_chart(eye.positions[-1])
    mouth_outer = to_chart(mouth.positions[-1])
    mouth_outer[[0, -1], 0] = 0.0
    neck_surface = _neck_border(max(7, round(9 / scale**0.7)))
    neck = to_chart(neck_surface)
    neck[[0, -1], 0] = 0.0
    angle = np.linspace(-np.pi / 2, np.pi / 2, _BACK_POINTS)
    back = np.column_stack([np.cos(angle), np.sin(angle)])
    back[[0, -1], 0] = 0.0
    holes = [eye_hole, mouth_outer, neck]
    midline = np.vstack(
        [
            _walk(back[-1], mouth_outer[0], scale),
            _walk(mouth_outer[-1], neck[0], scale),
            _walk(neck[-1], back[0], scale),
        ]
    )
    fixed = np.vstack([eye_hole, mouth_outer, neck, back, midline])
    free = _scatter(fixed, holes, scale)
    points = np.vstack([fixed, free])
    points = _relaxed(points, slice(len(fixed), None), holes)
    faces = _kept(points, holes)

    positions = to_surface(points)
    first_neck = len(eye_hole) + len(mouth_outer)
    first_back = first_neck + len(neck)
    positions[first_neck:first_back] = neck_surface
    faces = flipped(faces, points, positions)
    weld = np.arange(len(points))
    weld[first_back : first_back + _BACK_POINTS] = first_back
    uvs = _opened(points, np.zeros(len(points)), to_chart(mouth.positions[4]))
    half = Part("skin", positions, weld[faces], uvs, faces)
    half = _with_rings(half, eye, _eye_uvs(eye), 0, wrap=True)
    half = _with_rings(half, mouth, _mouth_uvs(mouth), len(eye_hole), wrap=False)
    return _whole(half)


def _with_rings(half: Part, rings: Rings, uvs: FloatArray, first: int, wrap: bool) -> Part:
    """Fill one hole of the half head with its loops; its outline starts at vertex ``first``."""
    levels, count = rings.positions.shape[:2]
    old, old_uv = len(half.positions), len(half.uvs)
    added = (levels - 1) * count
    outline = np.arange(first, first + count)
    numbers = np.append(np.arange(old, old + added), outline)
    uv_numbers = np.append(np.arange(old_uv, old_uv + added), outline)
    positions = np.vstack([half.positions, rings.positions[:-1].reshape(-1, 3)])
    all_uvs = np.vstack([half.uvs, uvs[:-1].reshape(-1, 2)])
    positions[outline], all_uvs[outline] = rings.positions[-1], uvs[-1]
    faces = grid_faces(levels, count, wrap)
    if not wrap:
        middle = count // 2
        lower = np.arange(count - 1, middle - 1, -1)
        zipped = np.append(np.arange(middle + 1), lower)[grid_faces(2, middle + 1)]
        distinct = (zipped != np.roll(zipped, 1, axis=1)).all(1)
        faces = np.vstack([faces, zipped[distinct]])
    traits = dict(half.traits)
    for name, values in rings.traits.items():
        grown = np.zeros(len(positions))
        grown[numbers] = values.ravel()
        traits[name] = grown
    for name, values in half.traits.items():
        traits[name] = np.append(values, np.zeros(added))
    uv_faces = _oriented(np.vstack([half.uv_faces, uv_numbers[faces]]), all_uvs)
    weld = np.append(_weld(half), np.arange(old, old + added))
    return Part("skin", positions, weld[uv_faces], all_uvs, uv_faces, traits)


def _weld(part: Part) -> Index:
    """Vertex number of every uv row."""
    weld = np.arange(len(part.uvs))
    weld[part.uv_faces.ravel()] = part.faces.ravel()
    return weld


def _whole(half: Part) -> Part:
    """The half head and its mirror image, joined at the midline."""
    middle = np.abs(half.uvs[:, 0]) < 1e-9
    weld = _weld(half)
    rim = np.zeros(len(half.positions), bool)
    rim[weld[middle]] = True
    positions = half.positions.copy()
    positions[rim, 0] = 0.0

    def twins(shared: np.ndarray) -> Index:
        other = np.arange(len(shared))
        other[~shared] = len(shared) + np.arange((~shared).sum())
        return other

    # The back's many chart points are one vertex, which leaves some triangles without area.
    sound = (half.faces != np.roll(half.faces, 1, axis=1)).all(1) & ~rim[half.faces].all(1)
    faces, uv_faces = half.faces[sound], half.uv_faces[sound]
    vertex_twin, uv_twin = twins(rim), twins(middle)
    faces = np.vstack([faces, vertex_twin[faces][:, ::-1]])
    uv_faces = np.vstack([uv_faces, uv_twin[uv_faces][:, ::-1]])
    positions = np.vstack([positions, positions[~rim] * [-1, 1, 1]])
    uvs = np.vstack([half.uvs, half.uvs[~middle] * [-1, 1]])
    traits = {name: np.append(v, v[~rim]) for name, v in half.traits.items()}
    used, compact = np.unique(faces, return_inverse=True)
    traits = {name: v[used] for name, v in traits.items()}
    compact = compact.reshape(faces.shape)
    return Part("skin", positions[used], compact, uvs, uv_faces, traits)
