"""The ears: shells of rings around the ear hole, set into the side of the canonical head."""

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.atlas import place
from esca.subjects.procedural.mesh import Part, grid_faces, outward
from esca.subjects.procedural.sculpt import surface_along

_HOLE = np.array([0.0, -16.0, -6.0])
_FLARE = np.radians(19.0)
_LEAN = np.radians(11.0)

# Outline around the ear hole: degrees from backwards over upwards, distance in mm.
_OUTLINE = np.array(
    [
        (0, 20.5), (25, 24), (50, 29.5), (75, 33.5), (98, 34), (118, 29), (138, 20), (160, 13.5),
        (180, 11.5), (205, 11.5), (228, 13.5), (250, 20), (268, 25.5), (288, 25.5), (312, 22.5),
        (338, 20.5), (360, 20.5),
    ]
)  # fmt: skip

# Share of the outline, height off the head along the back and top, at the lobe, at the front.
_PROFILE = np.array(
    [
        (0.16, -7.0, -7.0, -7.0),
        (0.36, -5.0, -4.5, -6.0),
        (0.50, 2.0, 1.0, -4.0),
        (0.64, 5.5, 3.0, 1.5),
        (0.78, 3.0, 3.6, 3.4),
        (0.90, 7.2, 4.0, 2.8),
        (0.98, 8.2, 3.6, 0.2),
        (1.02, 6.2, 2.4, -2.5),
        (0.98, 3.2, 0.6, -5.0),
        (0.74, -3.5, -3.0, -8.0),
        (0.55, -14.0, -12.0, -14.0),
    ]
)


def _around(angle: FloatArray, centre: float, width: float) -> FloatArray:
    distance = np.abs((angle - centre + 180) % 360 - 180)
    share = np.clip(1.5 - distance / width, 0, 1)
    return share * share * (3 - 2 * share)


def build_ear(name: str, columns: int = 20) -> Part:
    """One ear of about 180 vertices; trait ``ear`` is the share of the outline."""
    angle = np.linspace(0, 360, columns, endpoint=False)
    fine = np.interp(np.arange(360), _OUTLINE[:, 0], _OUTLINE[:, 1])
    window = np.hanning(61) / np.hanning(61).sum()
    reach = np.convolve(np.tile(fine, 3), window, "same")[360 + np.round(angle).astype(int)]
    lobe, front = _around(angle, 272, 38), _around(angle, 188, 42)
    rows, flat_rows = [], []
    flat_share = np.linspace(0.12, 1.0, len(_PROFILE))
    for (share, rim, at_lobe, at_front), flat in zip(_PROFILE, flat_share, strict=True):
        height = rim * (1 - lobe) * (1 - front) + at_lobe * lobe * (1 - front) + at_front * front
        rows.append(np.column_stack([_polar(angle, reach * share), height]))
        flat_rows.append(_polar(angle, reach * flat))
    middle = np.array([[0.0, 0.0, -8.0]])
    local = np.vstack([middle, *rows])
    flat = np.vstack([[[0.0, 0.0]], *flat_rows])

    back = np.array([np.sin(_FLARE), 0, -np.cos(_FLARE)])
    up = np.array([0.0, 1.0, 0.0])
    back, up = (
        back * np.cos(_LEAN) - up * np.sin(_LEAN) * 0,
        up * np.cos(_LEAN) + back * np.sin(_LEAN),
    )
    out = np.cross(up, back)
    out = out / np.linalg.norm(out) * np.sign(out[0])
    root = surface_along(_HOLE[None], np.array([[1.0, 0.0, 0.0]]), 120.0)[0]
    positions = root + [2.0, 0, 0] + local @ np.stack([back, up, out])

    fan = np.arange(columns)
    cap = np.column_stack([np.zeros(columns, int), 1 + (fan + 1) % columns, 1 + fan])
    faces = np.vstack([cap, grid_faces(len(rows), columns, wrap=True) + 1])
    low, high = flat.min(0), flat.max(0)
    unit = ((flat - low) / (high - low))[:, ::-1]
    share = np.append(0.0, np.repeat(_PROFILE[:, 0], columns))
    depth = np.append(0.0, np.repeat(np.arange(1.0, len(rows) + 1), columns))
    traits = {"ear": share, "ear_ring": depth}
    if name.endswith("_R"):
        positions, unit = positions * [-1, 1, 1], unit * [-1, 1] + [1, 0]
        faces = faces[:, ::-1]
    part = Part(name, positions, faces, place(name, unit), faces, traits)
    return outward(part, positions.mean(0) - [np.sign(positions[0, 0]) * 30, 0, 0])


def _polar(angle: FloatArray, radius: FloatArray) -> FloatArray:
    turn = np.radians(angle)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn)])
