"""Where hair grows: scalp, brows and beard, as functions of canonical position."""

from itertools import pairwise

import numpy as np

from esca.captures.geometry import FloatArray

# Azimuth from the front in degrees, height of the hairline in mm.
_HAIRLINE = np.array(
    [
        (0, 66), (10, 67), (24, 72), (34, 70), (42, 60), (50, 46), (56, 39), (62, 32), (67, 10),
        (71, -10), (75, -8), (79, 20), (100, 24), (112, 8), (122, -22),
        (140, -50), (160, -57), (180, -54),
    ]
)  # fmt: skip

BROW = np.array([(9.5, 14.6), (16, 17.2), (25, 19.8), (34, 21.4), (42, 20.2), (51, 14.8)])
"""Middle line of the left brow, x and y in mm."""

BROW_WIDTH = np.array([2.6, 3.4, 3.3, 2.8, 2.0, 0.7])
"""Half the brow's height along it."""


def scalp(positions: FloatArray, recede: float) -> FloatArray:
    """Distance in mm into the scalp hair, negative outside: (N, 3) -> (N,)."""
    x, y, z = positions.T
    azimuth = np.degrees(np.arctan2(np.abs(x), z + 12))
    line = np.interp(azimuth, _HAIRLINE[:, 0], _HAIRLINE[:, 1])
    return y - line - recede * np.clip((55 - azimuth) / 20, 0, 1)


def beard(positions: FloatArray) -> FloatArray:
    """Density of the beard, 0 to 1: (N, 3) -> (N,)."""
    x, y, z = np.abs(positions[:, 0]), positions[:, 1], positions[:, 2]
    edge = np.interp(x, [0, 12, 24, 38, 52, 64], [-50, -51, -60, -62, -48, -20])
    below = 1 / (1 + np.exp((y - edge + 3) / 3.5))
    neck = 1 / (1 + np.exp(-(y + 128) / 5))
    return below * neck / (1 + np.exp(-(z - 8) / 6))


def brow_strokes(seed: int, weight: float, count: int = 230) -> FloatArray:
    """Hairs of the left brow: (count, 4, 2), four points of each in the x, y plane, mm."""
    rng = np.random.default_rng([seed, 17])
    along = np.sort(rng.uniform(0, 1, count))
    x = BROW[0, 0] + (BROW[-1, 0] - BROW[0, 0]) * along
    middle = np.interp(x, *BROW.T)
    half = np.interp(x, BROW[:, 0], BROW_WIDTH) * weight
    across = rng.uniform(-1, 1, count)
    root = np.column_stack([x, middle + half * across])
    # Upright near the nose, then along the brow, the upper hairs leaning down, the lower ones up.
    lean = np.radians(78 - 92 * along**0.55 - 16 * across * along + rng.normal(0, 7, count))
    length = rng.uniform(4.2, 7.5, count) * (1 - 0.45 * along)
    t = np.linspace(0, 1, 4)[None, :]
    bend = np.radians(-24)
    turn = lean[:, None] + bend * t
    step = np.stack([np.cos(turn), np.sin(turn)], -1) * (length / 4)[:, None, None]
    points = root[:, None] + np.cumsum(step, axis=1) - step[:, :1]
    return points - 0.3 * (points[:, 3:] - points[:, :1])


def stroke_cover(points: FloatArray, strokes: FloatArray, width: float) -> FloatArray:
    """How much of each point (N, 2) the strokes (S, K, 2) cover, 0 to 1."""
    clear = np.ones(len(points))
    for stroke in strokes:
        best = np.full(len(points), np.inf)
        for a, b in pairwise(stroke):
            edge = b - a
            t = np.clip((points - a) @ edge / (edge @ edge), 0, 1)
            best = np.minimum(best, ((points - a - t[:, None] * edge) ** 2).sum(1))
        clear *= 1 - 0.62 * np.exp(-best / width**2)
    return 1 - clear
