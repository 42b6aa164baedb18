"""Edge loops around the eyes and the mouth, half a head at a time (the subject's left, x >= 0)."""

from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.sculpt import EYE, EYE_RADIUS, LID_RADIUS, surface_front

MOUTH_LEVEL = -68.5
MOUTH_HALF_WIDTH = 24.5


@dataclass(frozen=True, eq=False)
class Rings:
    """Loops from the opening outwards: ``positions`` (rings, N, 3), ``traits`` (rings, N) each."""

    positions: FloatArray
    traits: dict[str, FloatArray]


def lid_curves(s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Margin of the open eye, relative to the eyeball: x, upper y, lower y at ``s`` in [0, 1].

    ``s`` runs from the inner to the outer corner.
    """
    x = -14.6 + 28.2 * s
    base = -2.0 + 3.0 * s
    upper = base + 5.3 * np.sin(np.pi * s**0.86) ** 0.72
    lower = base - 4.9 * np.sin(np.pi * s**1.18) ** 0.85
    return x, upper, lower


def _on_ball(x: FloatArray, y: FloatArray, radius: float, rim: float) -> FloatArray:
    depth = np.sqrt(np.maximum(radius**2 - x**2 - y**2, rim**2))
    return np.stack([x, y, depth], -1) + EYE


def eye_rings(count: int) -> Rings:
    """Six loops of ``count`` points (even), counter-clockwise seen from the front.

    0: inner edge of the lids, under the eyeball's surface; 1: outer edge, where lashes grow; 2: lid
    plate; 3: crease; 4, 5: orbit. Traits: ``lid`` share of the lid's travel, ``lid_turn`` angle in
    radians about the x axis that closes the eye, ``lid_side`` +1 upper, -1 lower, ``lid_ring``
    number of loops farther out.
    """
    half = count // 2
    t = np.arange(count) / half
    upper_half = t > 1
    s = np.where(upper_half, 2 - t, t)
    s = 0.5 - 0.5 * np.cos(np.pi * s) * (0.8 + 0.2 * np.cos(np.pi * s) ** 2)
    x, top, bottom = lid_curves(s)
    corner = (np.arange(count) % half) == 0
    y = np.where(corner, -2.0 + 3.0 * s, np.where(upper_half, top, bottom))
    side = np.where(corner, 0.0, np.where(upper_half, 1.0, -1.0))
    meeting = bottom + 0.16 * (top - bottom)
    tuck = np.minimum(0.97, (EYE_RADIUS - 0.7) / np.hypot(x, y))
    inner = _on_ball(x * tuck, y * tuck, EYE_RADIUS - 0.5, 1.5)
    edge = _on_ball(x, y, LID_RADIUS, 5.4)

    angle = np.arctan2(y, x)
    orbit = np.stack([0.5 + 18.5 * np.cos(angle), 1.0 + 15.5 * np.sin(angle)], -1)
    orbit[:, 0] = np.where(orbit[:, 0] < -15, -15 + 0.55 * (orbit[:, 0] + 15), orbit[:, 0])
    start = np.stack([x, y], -1)
    loops = [inner, edge]
    for share in (0.17, 0.36, 0.64, 1.0):
        flat = start + (orbit - start) * share + EYE[:2]
        loops.append(surface_front(flat))
    positions = np.stack(loops)

    closed = np.arctan2(meeting, np.sqrt(np.maximum(LID_RADIUS**2 - x**2 - meeting**2, 29.0)))
    turn = np.where(corner, 0.0, closed - np.arctan2(y, edge[:, 2] - EYE[2]))
    shares = np.array([1.0, 1.0, 0.86, 0.5, 0.14, 0.0])[:, None]
    ones = np.ones((len(loops), 1))
    traits = {
        "lid": shares * np.ones(count),
        "lid_turn": shares * turn,
        "lid_side": ones * side,
        "lid_ring": np.arange(len(loops) - 1.0, -1, -1)[:, None] * np.ones(count),
    }
    return Rings(positions, traits)


def lip_curves(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Heights of the upper border, the contact line and the lower border of the lips at ``x``."""
    r = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0, 1)
    bow = 1.5 * np.exp(-(((r - 0.24) / 0.15) ** 2))
    upper = MOUTH_LEVEL + 6.6 * (1 - r**1.7) ** 0.9 + bow
    line = (
        MOUTH_LEVEL
        + 0.7 * np.exp(-((r / 0.2) ** 2)) * -1
        + 0.5 * np.exp(-(((r - 0.5) / 0.25) ** 2))
    )
    lower = MOUTH_LEVEL - 9.2 * (1 - r**2.2) ** 0.85
    return upper, line, lower


def mouth_rings(count: int) -> Rings:
    """Half loops of ``count`` points (odd), from the upper midline over the corner to the lower.

    From the back of the mouth outwards: 0-3 bag, 4 line where the lips touch, 5, 6 red of the
    lips, 7 its border, 8, 9 skin around. Traits: ``mouth_side`` +1 upper, -1 lower, ``lip``
    0 outside to 1 on the red, ``bag`` 0 at the lips to 1 at the back, ``mouth_ring`` number of
    loops farther out.
    """
    t = np.linspace(0, 1, count)
    side = np.sign(np.round(0.5 - t, 9))
    spread = np.sin(np.pi * t) ** 0.9
    spread[[0, -1]] = 0.0
    x = MOUTH_HALF_WIDTH * spread
    upper, line, lower = lip_curves(x)
    border = np.where(side > 0, upper, np.where(side < 0, lower, line))
    full = np.sqrt(np.clip(1 - spread**2, 0, 1))

    outer_x = 34.5 * spread
    outer_y = MOUTH_LEVEL + np.where(side >= 0, 14.5, -18.0) * np.cos(np.pi * t) * np.where(
        side >= 0, 1, -1
    )
    loops: list[FloatArray] = []
    lips: list[FloatArray] = []
    # Share of the way from the contact line to the border, lift off the face, growth beyond it.
    for share, lift_up, lift_low, grow in (
        (0.0, -1.0, -1.0, 0.0),
        (0.3, 1.3, 1.7, 0.012),
        (0.68, 1.7, 2.2, 0.03),
        (1.0, 0.5, 0.5, 0.05),
        (1.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
    ):
        blend = {4: 0.34, 5: 1.0}.get(len(loops), 0.0)
        y = line + (border - line) * share
        flat = np.column_stack([x * (1 + grow), y])
        if blend:
            flat = flat + (np.column_stack([outer_x, outer_y]) - flat) * blend
        skin = surface_front(flat)
        lift = np.where(side >= 0, lift_up, lift_low) * full**0.8
        skin[:, 2] += lift
        loops.append(skin)
        lips.append(np.full(count, 1.0 if len(loops) <= 3 else (0.5 if len(loops) == 4 else 0.0)))
    contact = loops[0]
    bag = []
    for back, rise, narrow in (
        (44.0, 9.0, 0.55),
        (17.0, 17.0, 1.0),
        (7.5, 12.0, 1.04),
        (4.5, 2.2, 1.0),
    ):
        point = contact.copy()
        point[:, 0] *= narrow
        point[:, 1] += side * rise * (0.35 + 0.65 * full)
        point[:, 2] -= back * (0.55 + 0.45 * full) if back > 10 else back
        bag.append(point)
    positions = np.stack(bag + loops)
    ones = np.ones((len(positions), 1))
    depth = np.array([1.0, 0.85, 0.6, 0.25] + [0.0] * 6)[:, None]
    traits = {
        "mouth_side": ones * side,
        "lip": np.vstack([np.ones((4, count)), np.stack(lips)]),
        "bag": depth * np.ones(count),
        "mouth_ring": np.arange(len(positions) - 1.0, -1, -1)[:, None] * np.ones(count),
    }
    return Rings(positions, traits)
