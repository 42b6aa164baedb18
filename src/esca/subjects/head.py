"""Any glTF head with morph targets, as a subject that the studio can record."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray, Topology
from esca.errors import EscaError
from esca.rendering.raster import Scene
from esca.subjects.atlas_bake import place
from esca.subjects.atlas_layout import Rectangle, layers, pack
from esca.subjects.gltf import GltfHead, Part, read_gltf
from esca.subjects.head_regions import (
    EYE_NAMES,
    MOUTH_NAMES,
    REGIONS,
    from_landmarks,
    from_targets,
)
from esca.subjects.head_skin import (
    Chart,
    RestMaps,
    compression,
    rest_maps,
    squeezed_skin,
    weighted,
)
from esca.subjects.occlusion import openness
from esca.subjects.subject import Skin
from esca.subjects.surface import Texels, texels_of, vertex_normals, welded

Floats = NDArray[np.float32]

FACE_SHARE = 0.7
"""Share of the atlas that the face gets."""

_EYE_DEPTH = 53.0
"""Distance (mm) of the eyes before the middle of a head."""
_HIDDEN = 0.75
"""Vertices that see less of the sky than this are followed when expressions uncover them."""
_MOVES = 1.0
"""Targets that move nothing farther than this (mm) uncover nothing."""
_NEVER_SEEN = 0.02
"""Triangles that never see more of the sky than this get next to no room in the atlas."""
_SIDE = 4.0
"""Half width (mm) of the middle strip, where left and right expressions share their effect."""

_Group = tuple[Part, NDArray[np.intp], int, float]
"""Faces of a part that are laid out together, number of the part's first face, share of atlas."""


@dataclass(frozen=True, eq=False)
class HeadSubject:
    """A glTF head; made by :func:`head_subject`. See ``Subject`` for the conventions.

    ``neutral``: (V, 3) mm; ``targets``: (K, V, 3) mm, in the order of ``expressions``. ``charts``:
    what lies where in the atlas. ``weld``: surface point of each vertex. ``open_rest``: (V,) share
    of the sky seen; ``open_changes``: (K, C) its change under each expression at the vertices
    ``followed`` (C,). ``pliable``: (V,) 1 on skin, which can be squeezed. ``areas``: vertex masks.
    """

    name: str
    description: str
    topology: Topology
    expressions: tuple[str, ...]
    neutral: Floats
    targets: Floats
    charts: tuple[Chart, ...]
    weld: NDArray[np.intp]
    open_rest: Floats
    open_changes: Floats
    followed: NDArray[np.intp]
    pliable: Floats
    areas: Mapping[str, NDArray[np.bool_]]
    _sizes: dict[int, tuple[Texels, RestMaps]] = field(default_factory=dict, repr=False)

    def vertices(self, weights: Mapping[str, float]) -> Floats:
        """(V, 3) positions in mm; weights of unknown expressions are ignored."""
        return _posed(self.neutral, self.targets, weighted(weights, self.expressions))

    def skin(self, weights: Mapping[str, float], size: int) -> Skin:
        """The surface at ``size`` x ``size`` texels (a multiple of 64)."""
        texels, maps = self._at(size)
        strength = weighted(weights, self.expressions)
        opened = self.open_rest.copy()
        opened[self.followed] += strength @ self.open_changes
        posed = _posed(self.neutral, self.targets, strength)
        squeeze = compression(self.neutral, posed, self.topology.faces, self.weld) * self.pliable
        values = np.stack([np.clip(opened, 0.03, 1.0), squeeze], axis=1)
        flat = np.zeros((size * size, 2), np.float32)
        flat[texels.index] = texels.interpolate(values, self.topology.faces)
        light, squeezed = np.moveaxis(flat.reshape(size, size, 2), -1, 0)
        albedo, height, folds = squeezed_skin(maps, squeezed)
        return Skin(albedo, height, maps.specular, maps.roughness, light * folds)

    def regions(self, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """Texels of the facial regions, by landmarks in the file or by what expressions move."""
        texels, _ = self._at(size)
        result = {}
        for name, vertices in self.areas.items():
            mask = np.zeros(size * size, bool)
            share = texels.interpolate(vertices[:, None].astype(np.float32), self.topology.faces)
            mask[texels.index] = share[:, 0] > 0.5
            result[name] = mask.reshape(size, size)
        return result

    def _at(self, size: int) -> tuple[Texels, RestMaps]:
        if size not in self._sizes:
            self._sizes[size] = (texels_of(self.topology, size), rest_maps(self.charts, size))
        return self._sizes[size]


def head_subject(path: Path) -> HeadSubject:
    """Read a glTF 2.0 head: metres, y up, looking along +z, as glTF has it.

    All parts become one mesh with one atlas; the part that moves most is the face and keeps most of
    the atlas. ARKit names with ``Left``/``Right`` are taken as ``_L``/``_R``. Raises EscaError
    naming the file for anything that is not a head (see :func:`read_gltf` for the format).
    """
    path = Path(path)
    head = read_gltf(path)
    names = tuple(dict.fromkeys(_arkit(name) for name in head.target_names))
    neutral = 1000.0 * np.concatenate([part.positions for part in head.parts])
    extent = float(np.ptp(neutral, axis=0).max())
    if not 120.0 <= extent <= 1500.0:
        raise EscaError(f"{path}: is {extent:.3g} mm large; expected a head, in metres")
    starts = np.cumsum([0, *(len(part.positions) for part in head.parts)])
    targets = np.zeros((len(names), len(neutral), 3), np.float32)
    for part, start in zip(head.parts, starts, strict=False):
        for name, moves in part.targets.items():
            targets[names.index(_arkit(name)), start : start + len(moves)] = 1000.0 * moves
    if not targets.any():
        raise EscaError(f"{path}: no morph target moves it; expected a head with expressions")
    neutral -= _middle(head.parts, neutral, starts, dict(zip(names, targets, strict=True)))
    rest = neutral.astype(np.float32)
    faces = np.concatenate(
        [part.faces + start for part, start in zip(head.parts, starts, strict=False)]
    ).astype(np.int32)
    weld = welded(rest, _posed(rest, targets, np.full(len(names), 0.31, np.float32)))
    open_rest, open_changes, followed = _occlusion(rest, targets, names, faces, weld)
    topology, charts = _atlas(head.parts, faces, rest, open_rest, open_changes, followed)
    return HeadSubject(
        name=re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_") or "head",
        description=_description(path, head),
        topology=topology,
        expressions=names,
        neutral=rest,
        targets=targets,
        charts=charts,
        weld=weld,
        open_rest=open_rest,
        open_changes=open_changes,
        followed=followed,
        pliable=_pliable(head.parts),
        areas=_areas(head.parts, rest, starts, dict(zip(names, targets, strict=True))),
    )


def _arkit(name: str) -> str:
    """``eyeBlinkLeft`` -> ``eyeBlink_L``; jawLeft and mouthLeft move both sides and stay."""
    if re.fullmatch(r"(jaw|mouth)(Left|Right)", name):
        return name
    return re.sub(r"_?(L|R)(eft|ight)$", r"_\1", name)


def _posed(neutral: Floats, targets: Floats, weights: Floats) -> Floats:
    used = np.flatnonzero(weights)
    return neutral + np.tensordot(weights[used], targets[used], axes=1).astype(np.float32)


def _middle(
    parts: Sequence[Part],
    positions: FloatArray,
    starts: NDArray[np.intp],
    targets: Mapping[str, Floats],
) -> FloatArray:
    """(3,) middle of the head: behind the eyes, where there are any, else of the bounding box."""
    eyes = [
        positions[start : start + len(part.positions)].mean(axis=0)
        for part, start in zip(parts, starts, strict=False)
        if EYE_NAMES.search(part.name)
    ]
    if not eyes:
        blinking = from_targets(targets, len(positions))["eyes"]
        eyes = [positions[blinking].mean(axis=0)] if blinking.any() else []
    if not eyes:
        return (positions.min(axis=0) + positions.max(axis=0)) / 2.0
    return np.mean(eyes, axis=0) - np.array([0.0, 0.0, _EYE_DEPTH])


def _occlusion(
    rest: Floats,
    targets: Floats,
    names: Sequence[str],
    faces: NDArray[np.int32],
    weld: NDArray[np.intp],
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Openness at rest (V,), its changes (K, C) under each expression, the vertices followed.

    Left and right forms of an expression are tried in one pose; each then counts on its side.
    """
    normals = vertex_normals(rest, faces, weld)
    scene = Scene(rest, faces)
    at_rest = openness(scene, rest, normals, 40)
    followed = np.flatnonzero(at_rest < _HIDDEN)
    before = openness(scene, rest[followed], normals[followed])
    enclosed = before < _NEVER_SEEN
    left = np.clip(0.5 + rest[followed, 0] / (2.0 * _SIDE), 0.0, 1.0)
    changes = np.zeros((len(targets), len(followed)), np.float32)
    pairs: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if np.abs(targets[index]).max() > _MOVES:
            pairs.setdefault(re.sub(r"_[LR]$", "", name), []).append(index)
    for members in pairs.values():
        posed = rest + targets[members].sum(axis=0)
        turned = vertex_normals(posed, faces, weld)[followed]
        change = openness(Scene(posed, faces), posed[followed], turned, enclosed=enclosed)
        change -= before
        for index in members:
            side = names[index][-2:]
            changes[index] = change * {"_L": left, "_R": 1.0 - left}.get(side, 1.0)
    return at_rest, changes, followed


def _atlas(
    parts: Sequence[Part],
    faces: NDArray[np.int32],
    rest: Floats,
    open_rest: Floats,
    open_changes: Floats,
    followed: NDArray[np.intp],
) -> tuple[Topology, tuple[Chart, ...]]:
    """The shared chart. Apart from the face, parts share by area that can be seen (compressed)."""
    exposure = open_rest.copy()
    exposure[followed] += np.maximum(open_changes.max(axis=0, initial=0.0), 0.0)
    motion = [sum(float(np.abs(move).sum()) for move in part.targets.values()) for part in parts]
    face = int(np.argmax(motion))
    corners = rest[faces]
    area = 0.5 * np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    seen = exposure[faces].max(axis=1) > _NEVER_SEEN
    visible = area * np.maximum(exposure[faces].mean(axis=1) - 0.1, 0.0)
    groups: list[_Group] = []
    first = 0
    for index, part in enumerate(parts):
        importance = 1.0
        for names, factor in ((EYE_NAMES, 2.5), (MOUTH_NAMES, 1.5)):
            importance *= factor if names.search(part.name) else 1.0
        for number, layer in enumerate(layers(part.uvs, part.faces)):
            for group in _cropped(part, layer, seen[first + layer]):
                share = importance * (float(visible[first + group].sum()) ** 0.35 + 0.1)
                is_face = index == face and number == 0 and seen[first + group].any()
                groups.append((part, group, first, np.inf if is_face else share))
        first += len(part.faces)
    groups.sort(key=lambda item: -item[3])
    others = sum(item[3] for item in groups[1:])
    shares = [FACE_SHARE, *((1.0 - FACE_SHARE) * item[3] / others for item in groups[1:])]
    rectangles = pack(shares, wide=_is_wide(groups[0][0]))
    return _laid_out(groups, rectangles, faces)


def _cropped(
    part: Part, layer: NDArray[np.intp], seen: NDArray[np.bool_]
) -> list[NDArray[np.intp]]:
    """The layer, or apart what is ever seen of it where that has a much smaller chart."""
    if not seen.any() or seen.all():
        return [layer]
    sizes = []
    for faces in (layer[seen], layer):
        chart = part.uvs[part.faces[faces]].reshape(-1, 2)
        sizes.append(float(np.prod(np.ptp(chart, axis=0))))
    return [layer[seen], layer[~seen]] if sizes[0] < 0.7 * sizes[1] else [layer]


def _laid_out(
    groups: Sequence[_Group],
    rectangles: Sequence[Rectangle],
    faces: NDArray[np.int32],
) -> tuple[Topology, tuple[Chart, ...]]:
    uv_faces = np.zeros_like(faces)
    uvs: list[Floats] = []
    charts = []
    count = 0
    for (part, group, first, _), rectangle in zip(groups, rectangles, strict=True):
        used, local = np.unique(part.faces[group], return_inverse=True)
        own = part.uvs[used]
        bounds = (own.min(axis=0), own.max(axis=0))
        uvs.append(place(own, bounds, rectangle))
        uv_faces[first + group] = local.reshape(-1, 3) + count
        count += len(used)
        charts.append(Chart(part.material, bounds, rectangle))
    # v upwards, so that the face stands upright in the capture's files.
    chart = np.concatenate(uvs)
    chart[:, 1] = 1.0 - chart[:, 1]
    return Topology(faces, chart, uv_faces), tuple(charts)


def _is_wide(part: Part) -> bool:
    """Whether the part's chart stretches over more millimetres across than down."""
    corners, chart = part.positions[part.faces], part.uvs[part.faces]
    lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).ravel()
    steps = np.abs(chart - np.roll(chart, 1, axis=1)).reshape(-1, 2)
    low, high = part.uvs.min(axis=0), part.uvs.max(axis=0)
    across, down = (steps / np.maximum(high - low, 1e-9)).T
    along = across > down
    millimetres = [
        lengths[rows].sum() / max(rate[rows].sum(), 1e-9)
        for rows, rate in ((along, across), (~along, down))
    ]
    return bool(millimetres[0] >= millimetres[1])


def _pliable(parts: Sequence[Part]) -> Floats:
    """(V,) 1 on skin, 0 on eyes and inside the mouth."""
    hard = [bool(EYE_NAMES.search(part.name) or MOUTH_NAMES.search(part.name)) for part in parts]
    return np.concatenate(
        [
            np.full(len(part.positions), 0.0 if stiff else 1.0, np.float32)
            for part, stiff in zip(parts, hard, strict=True)
        ]
    )


def _areas(
    parts: Sequence[Part],
    rest: Floats,
    starts: NDArray[np.intp],
    targets: Mapping[str, Floats],
) -> dict[str, NDArray[np.bool_]]:
    """Vertex masks of the regions: by landmarks where a part names 68, else by what moves."""
    areas = {name: np.zeros(len(rest), bool) for name in REGIONS}
    moved = from_targets(targets, len(rest))
    for part, start in zip(parts, starts, strict=False):
        own = slice(start, start + len(part.positions))
        marks = part.extras.get("landmarks68")
        if EYE_NAMES.search(part.name):
            areas["eyes"][own] = areas["face"][own] = True
        elif MOUTH_NAMES.search(part.name):
            areas["mouth"][own] = areas["face"][own] = True
        elif isinstance(marks, list) and len(marks) == 68 and max(marks) < len(part.positions):
            for name, mask in from_landmarks(rest[own], marks).items():
                areas[name][own] = mask
        elif not any("landmarks68" in other.extras for other in parts):
            for name, mask in moved.items():
                areas[name][own] = mask[own]
    return areas


def _description(path: Path, head: GltfHead) -> str:
    lines = [
        f"A head recorded from the glTF file {path.name}: {len(head.parts)} parts with "
        f"{len(head.target_names)} expressions, on one mesh with one texture atlas.",
        "",
        "Skin detail (pores) is derived from the file's base colour, and the darker, deeper skin "
        "of squeezed places from a generic model; neither is a measurement.",
        "",
        "What the file says about itself:",
        "",
    ]
    lines += [f"- {key}: {value}" for key, value in head.credits.items()] or ["- nothing"]
    return "\n".join(lines)
