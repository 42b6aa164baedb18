"""Expressions that push the skin along smooth fields: brows, cheeks, nose and lips.

Every field is a sum of bumps: a Gaussian in canonical coordinates times a displacement in mm. They
are written for the subject's left; the right side mirrors them.
"""

from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Bump:
    """A push by ``move`` mm around ``centre``, fading over ``radii`` mm.

    ``lip``: +1 touches the upper lip and what is above it, -1 the lower, 0 both. ``gather``: share
    of the distance to the midline and to the line of the lips by which points close in.
    """

    centre: Triple
    radii: Triple
    move: Triple
    lip: int = 0
    gather: tuple[float, float] = (0.0, 0.0)


CORNER: Triple = (25, -68.5, 90)

SIDED: dict[str, tuple[Bump, ...]] = {
    "browDown": (
        Bump((20, 17, 90), (20, 11, 40), (-2.6, -5.0, 0.8)),
        Bump((40, 17, 78), (14, 11, 40), (-0.8, -2.6, 0.0)),
    ),
    "browInnerUp": (
        Bump((11, 20, 92), (14, 14, 40), (-0.6, 7.0, 0.4)),
        Bump((14, 44, 90), (22, 20, 40), (0, 3.4, 0)),
    ),
    "browOuterUp": (
        Bump((40, 19, 75), (18, 13, 40), (0.4, 7.0, 0.3)),
        Bump((38, 44, 75), (24, 20, 40), (0, 3.2, 0)),
    ),
    "cheekPuff": (Bump((39, -58, 68), (20, 21, 40), (7.5, 0.5, 5.0)),),
    "cheekSquint": (Bump((36, -20, 74), (20, 12, 30), (0.4, 4.6, 2.2)),),
    "eyeSquint": (
        Bump((36, -15, 76), (18, 9, 25), (-0.4, 2.6, 0.9)),
        Bump((50, 2, 66), (9, 11, 25), (-1.6, 0.0, 0.0)),
    ),
    "mouthSmile": (
        Bump(CORNER, (15, 14, 30), (7.5, 7.0, -5.5)),
        Bump((41, -40, 72), (17, 19, 30), (2.6, 4.2, 3.6)),
        Bump((11, -62, 100), (14, 9, 25), (2.2, 2.8, -1.8), lip=1),
        Bump((11, -75, 100), (11, 9, 25), (2.4, 0.8, -1.8), lip=-1),
        Bump((15, -40, 98), (8, 8, 18), (1.4, 1.0, -0.6)),
    ),
    "mouthFrown": (
        Bump(CORNER, (14, 13, 30), (1.8, -7.5, -1.6)),
        Bump((10, -92, 95), (16, 10, 25), (0, 1.6, 1.2)),
    ),
    "mouthStretch": (
        Bump(CORNER, (17, 15, 30), (8.0, -2.6, -5.0)),
        Bump((26, -86, 84), (16, 15, 30), (3.4, -2.0, -1.5)),
    ),
    "mouthDimple": (
        Bump(CORNER, (11, 11, 26), (4.4, 1.2, -4.6)),
        Bump((32, -68, 84), (8, 10, 20), (0.6, 0, -2.2)),
    ),
    "mouthPress": (
        Bump((12, -64, 100), (13, 6, 20), (0, -2.0, -1.4), lip=1),
        Bump((12, -74, 100), (13, 6, 20), (0, 2.2, -1.4), lip=-1),
        Bump(CORNER, (10, 10, 22), (1.2, 0.3, -1.2)),
    ),
    "mouthUpperUp": (
        Bump((12, -63, 98), (15, 9, 26), (0.8, 6.6, 0.6), lip=1),
        Bump((16, -50, 95), (12, 10, 26), (0.6, 3.4, 0.8)),
    ),
    "mouthLowerDown": (
        Bump((13, -75, 98), (15, 9, 26), (1.0, -6.8, 0.4), lip=-1),
        Bump((15, -86, 94), (14, 9, 26), (0.4, -2.6, 0.6)),
    ),
    "noseSneer": (
        Bump((13, -37, 98), (8, 10, 20), (0.9, 4.4, -0.4)),
        Bump((11, -14, 94), (9, 14, 20), (-0.6, 3.0, 0.8)),
        Bump((13, -57, 98), (13, 9, 26), (0.4, 3.8, 0.5), lip=1),
        Bump((13, 14, 92), (12, 9, 30), (-1.2, -2.4, 0.5)),
    ),
}

WHOLE: dict[str, tuple[Bump, ...]] = {
    "mouthPucker": (
        Bump((0, -68.5, 98), (34, 19, 34), (0, 0, 7.0), gather=(0.42, 0.0)),
        Bump((0, -68.5, 104), (16, 12, 20), (0, 0, 2.0), gather=(0.06, -0.14)),
    ),
    "mouthFunnel": (
        Bump((0, -68.5, 98), (34, 20, 34), (0, 0, 6.0), gather=(0.3, 0.0)),
        Bump((0, -63, 103), (17, 9, 24), (0, 5.0, 1.8), lip=1),
        Bump((0, -74, 103), (17, 9, 24), (0, -5.5, 1.8), lip=-1),
    ),
    "mouthRollUpper": (Bump((0, -64, 104), (24, 6, 16), (0, -2.6, -4.2), lip=1),),
    "mouthRollLower": (Bump((0, -74, 104), (24, 7, 16), (0, 2.8, -4.4), lip=-1),),
    "mouthShrugUpper": (Bump((0, -62, 102), (24, 10, 26), (0, 3.2, 2.2)),),
    "mouthShrugLower": (
        Bump((0, -92, 96), (22, 13, 26), (0, 4.0, 2.4)),
        Bump((0, -76, 102), (24, 9, 26), (0, 3.2, 2.4)),
    ),
    "mouthLeft": (Bump((0, -68, 98), (34, 20, 34), (8.0, 0, -0.6)),),
    "mouthRight": (Bump((0, -68, 98), (34, 20, 34), (-8.0, 0, -0.6)),),
}


def _smooth(x: FloatArray) -> FloatArray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _lip_share(positions: FloatArray, side: FloatArray, lip: int) -> FloatArray:
    """How much each point belongs to the upper (``lip`` = 1) or lower (-1) lip."""
    if lip == 0:
        return np.ones(len(positions))
    above = _smooth((positions[:, 1] + 68.5) / 8 + 0.5)
    above = np.where(side != 0, (1 + side) / 2, above)
    return above if lip > 0 else 1 - above


def displacement(bumps: tuple[Bump, ...], positions: FloatArray, side: FloatArray) -> FloatArray:
    """Sum of the bumps at canonical ``positions`` (V, 3); ``side``: (V,) trait ``mouth_side``."""
    total = np.zeros_like(positions)
    for bump in bumps:
        offset = (positions - bump.centre) / bump.radii
        share = np.exp(-(offset**2).sum(1)) * _lip_share(positions, side, bump.lip)
        push = np.broadcast_to(np.array(bump.move, float), positions.shape).copy()
        push[:, 0] -= bump.gather[0] * positions[:, 0]
        push[:, 1] -= bump.gather[1] * (positions[:, 1] + 68.5)
        total += share[:, None] * push
    return total


def all_fields(positions: FloatArray, side: FloatArray) -> dict[str, FloatArray]:
    """Displacement (V, 3) in mm of every field expression at weight 1."""
    flip = np.array([-1.0, 1.0, 1.0])
    fields = {name: displacement(bumps, positions, side) for name, bumps in WHOLE.items()}
    for name, bumps in SIDED.items():
        left = displacement(bumps, positions, side)
        right = displacement(bumps, positions * flip, side) * flip
        # Points on the midline are pushed by both sides, so that symmetric weights stay symmetric.
        fields[f"{name}_L"] = left * _smooth(positions[:, :1] / 12 + 0.75)
        fields[f"{name}_R"] = right * _smooth(-positions[:, :1] / 12 + 0.75)
    return fields
