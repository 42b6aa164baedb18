"""Eyeballs, teeth and tongue of the canonical head."""

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.atlas import place
from esca.subjects.procedural.mesh import Part, grid_faces, outward
from esca.subjects.procedural.sculpt import EYE, EYE_RADIUS

IRIS_ANGLE = 28.5
"""Half angle of the iris, in degrees, seen from the eyeball's centre."""

_EYE_EDGE = 104.0
_EYE_POWER = 0.7


def eye_radius_in_uv(angle: FloatArray) -> FloatArray:
    """Distance from the island's middle, 0 to 1, of points ``angle`` degrees off the gaze."""
    return (np.asarray(angle) / _EYE_EDGE) ** _EYE_POWER


def eye_angle(radius: FloatArray) -> FloatArray:
    """Inverse of ``eye_radius_in_uv``, in degrees."""
    return np.asarray(radius) ** (1 / _EYE_POWER) * _EYE_EDGE


def build_eye(name: str, columns: int = 14) -> Part:
    """One eyeball's visible cap with a bulging cornea, gaze along z."""
    rings = np.array([9.0, 18.0, IRIS_ANGLE, 34.0, 48.0, 72.0, _EYE_EDGE])
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    angle, turn = np.meshgrid(rings, around, indexing="ij")
    angle, turn = np.append(0.0, angle), np.append(0.0, turn)
    bulge = 0.75 * np.clip(1 - (angle / 36) ** 2, 0, None)
    polar = np.radians(angle)
    local = np.column_stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)]
    )
    positions = EYE + (EYE_RADIUS + bulge)[:, None] * local
    flat = 0.5 + 0.5 * eye_radius_in_uv(angle)[:, None] * np.column_stack(
        [np.cos(turn), np.sin(turn)]
    )
    fan = np.arange(columns)
    cap = np.column_stack([np.zeros(columns, int), 1 + (fan + 1) % columns, 1 + fan])
    faces = np.vstack([cap, grid_faces(len(rings), columns, wrap=True) + 1])
    if name.endswith("_R"):
        positions, flat, faces = positions * [-1, 1, 1], flat * [-1, 1] + [1, 0], faces[:, ::-1]
    part = Part(name, positions, faces, place(name, flat), faces)
    return outward(part, part.positions.mean(0) - [0, 0, 20])


def _arch(spread: FloatArray, inset: FloatArray, front: float) -> tuple[FloatArray, FloatArray]:
    """x and z along a dental arch; ``spread`` in [-1, 1], ``inset`` mm towards the tongue."""
    angle = np.radians(78) * spread
    x = (23.5 - inset) * np.sin(angle)
    return x, front - inset - 36 * (1 - np.cos(angle)) / (1 - np.cos(np.radians(78)))


def build_teeth(name: str, columns: int = 17) -> Part:
    """One row of teeth with its gum. Local v: 0 gum outside, 0.3 gum line, 0.75 edge, 1 inside."""
    upper = name == "upper_teeth"
    heights = (
        (-49.0, -58.5, -63.5, -69.4, -68.4, -54.0)
        if upper
        else (-88.0, -79.0, -74.5, -69.2, -69.8, -84.0)
    )
    insets = (1.0, 0.0, -0.2, 0.7, 3.4, 7.0)
    down = (0.0, 0.3, 0.52, 0.74, 0.82, 1.0)
    spread = np.linspace(-1, 1, columns)
    rows = []
    for height, inset in zip(heights, insets, strict=True):
        x, z = _arch(spread, np.full(columns, inset + (0 if upper else 2.4)), 93.5)
        rise = 0.06 * (93.5 - z) * (0.4 if upper else 1.0)
        rows.append(np.column_stack([x, height + rise * 0.5, z]))
    local = np.stack(np.meshgrid((spread + 1) / 2, np.array(down)), -1)
    if upper:
        local[..., 1] = 1 - local[..., 1]
    faces = grid_faces(len(rows), columns)
    jaw = np.full(len(rows) * columns, 0.0 if upper else 1.0)
    part = Part(
        name, np.vstack(rows), faces, place(name, local.reshape(-1, 2)), faces, {"jaw": jaw}
    )
    centre = np.array([0.0, part.positions[:, 1].mean(), 50.0])
    return outward(part, centre)


def build_tongue() -> Part:
    """The tongue: a rounded tip and back, resting behind the lower teeth."""
    columns, rows = 7, 6
    across, along = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(0, 1, rows))
    width = 17.5 * np.sqrt(np.clip(1 - (1 - np.minimum(along / 0.45, 1)) ** 2 * 0.85, 0, 1))
    x = width * across
    y = -79.5 + 7.5 * np.sin(np.pi * np.clip(along * 0.62 + 0.12, 0, 1)) - 5.5 * across**4
    y += 1.2 * np.abs(across) ** 1.5
    z = 85 - 44 * along - 3.5 * across**2 * (1 - along)
    positions = np.column_stack([x.ravel(), y.ravel(), z.ravel()])
    local = np.column_stack([(across.ravel() + 1) / 2, 1 - along.ravel()])
    faces = grid_faces(rows, columns)
    jaw = np.ones(rows * columns)
    part = Part("tongue", positions, faces, place("tongue", local), faces, {"jaw": jaw})
    return outward(part, np.array([0.0, -110.0, 55.0]))
