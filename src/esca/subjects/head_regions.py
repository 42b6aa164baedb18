"""Which vertices of a glTF head are eyes, mouth, nose, brows and face."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

REGIONS = ("eyes", "mouth", "nose", "brows", "face")

EYE_NAMES = re.compile(r"eye(?!.*(brow|lid|lash))|iris|cornea|sclera", re.IGNORECASE)
MOUTH_NAMES = re.compile(r"teeth|tooth|tongue|gum|mouth|denture", re.IGNORECASE)

_LANDMARKS = {
    "eyes": ((range(36, 42), 7.0), (range(42, 48), 7.0)),
    "mouth": ((range(48, 60), 4.0),),
    "nose": (((27, *range(31, 36)), 7.0),),
    "brows": ((range(17, 22), 5.0), (range(22, 27), 5.0)),
}
"""Numbers in the usual 68-landmark order, and the margin in mm around their polygon."""

_MOVERS = {
    "eyes": (re.compile(r"^eye(Blink|Squint|Wide)"), 0.15),
    "mouth": (re.compile(r"^mouth(?!Left|Right)"), 0.45),
    "nose": (re.compile(r"^noseSneer"), 0.35),
    "brows": (re.compile(r"^brow"), 0.45),
    "face": (re.compile(r"."), 0.08),
}
"""Targets whose motion marks a region, and the share of their largest motion that counts."""

_DEPTH = 30.0
_FOREHEAD = 38.0


def from_landmarks(positions: Floats, landmarks: Sequence[int]) -> dict[str, Mask]:
    """Vertex masks (V,) of a face with 68 landmarks, given as vertex numbers.

    ``positions``: (V, 3) mm, head-aligned. Polygons are drawn in the frontal projection and hold to
    ``_DEPTH`` mm behind their landmarks.
    """
    marks = positions[np.asarray(landmarks, np.intp)]
    result = {
        name: np.any([_around(positions, marks[list(part)], margin) for part, margin in parts], 0)
        for name, parts in _LANDMARKS.items()
    }
    brow_line = marks[17:27] + np.array([0.0, _FOREHEAD, 0.0])
    outline = np.concatenate([marks[:17], brow_line[::-1]])
    inside = _polygon_distance(positions[:, :2], outline[:, :2]) <= 6.0
    result["face"] = inside & (positions[:, 2] > marks[[0, 16], 2].min() - 15.0)
    return result


def from_targets(targets: Mapping[str, Floats], count: int) -> dict[str, Mask]:
    """Vertex masks (V,) from the vertices that the named morph targets, (V, 3) mm, move most."""
    result = {}
    for region, (pattern, share) in _MOVERS.items():
        motion = np.zeros(count)
        for name, target in targets.items():
            if pattern.match(name):
                motion = np.maximum(motion, np.linalg.norm(target, axis=1))
        result[region] = motion > share * motion.max() if motion.any() else np.zeros(count, bool)
    return result


def _around(positions: Floats, polygon: Floats, margin: float) -> Mask:
    near = _polygon_distance(positions[:, :2], polygon[:, :2]) <= margin
    return near & (positions[:, 2] > polygon[:, 2].min() - _DEPTH)


def _polygon_distance(points: Floats, polygon: Floats) -> Floats:
    """(N,) distance of points (N, 2) from a closed polygon (P, 2), 0 inside (even-odd rule)."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    edge = end - start
    offset = points[:, None] - start
    along = np.einsum("npk,pk->np", offset, edge) / np.maximum((edge**2).sum(1), 1e-12)
    nearest = offset - np.clip(along, 0.0, 1.0)[..., None] * edge
    distance = np.sqrt((nearest**2).sum(2)).min(1)
    straddles = (start[:, 1] > points[:, None, 1]) != (end[:, 1] > points[:, None, 1])
    rise = np.where(edge[:, 1] == 0.0, 1e-30, edge[:, 1])
    crossing = points[:, None, 0] < (
        (points[:, None, 1] - start[:, 1]) / rise * edge[:, 0] + start[:, 0]
    )
    inside = (straddles & crossing).sum(1) % 2 == 1
    return np.where(inside, 0.0, distance)
