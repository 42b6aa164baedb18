"""Folds of the skin that come and go with expressions, as height maps in mm."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.texels import Texels, bell, smooth


@dataclass(frozen=True)
class Fold:
    """One group of folds: ``rest`` amplitude at age 1, and the expressions that deepen it."""

    rest: float
    drivers: tuple[tuple[str, float], ...]


FOLDS: dict[str, Fold] = {
    "forehead": Fold(0.10, (("browInnerUp", 0.6), ("browOuterUp", 0.55))),
    "frown": Fold(0.08, (("browDown", 0.9), ("noseSneer", 0.3))),
    "crow": Fold(
        0.10, (("eyeSquint", 0.6), ("mouthSmile", 0.55), ("cheekSquint", 0.5), ("eyeBlink", 0.15))
    ),
    "under_eye": Fold(0.22, (("eyeSquint", 0.6), ("cheekSquint", 0.6), ("mouthSmile", 0.3))),
    "nasolabial": Fold(
        0.26,
        (("mouthSmile", 0.85), ("noseSneer", 0.5), ("mouthUpperUp", 0.5), ("mouthStretch", 0.3)),
    ),
    "bunny": Fold(0.0, (("noseSneer", 0.9),)),
    "corner": Fold(
        0.14, (("mouthFrown", 0.8), ("mouthSmile", 0.35), ("mouthDimple", 0.6), ("mouthPress", 0.3))
    ),
    "chin": Fold(0.05, (("mouthShrugLower", 0.9), ("mouthFrown", 0.35), ("mouthPucker", 0.3))),
    "pucker": Fold(0.03, (("mouthPucker", 0.9), ("mouthFunnel", 0.25))),
}


def amplitude(fold: Fold, weights: Mapping[str, float], age: float, side: str) -> float:
    """Depth of a fold on one side, 0 to 1."""
    total = fold.rest * age
    for name, share in fold.drivers:
        total += share * weights.get(f"{name}_{side}", weights.get(name, 0.0))
    return min(total, 1.0)


def _crease(distance: FloatArray, width: float) -> FloatArray:
    """Valley of depth about 1 with a rim on either side."""
    return 0.45 * bell(distance, 2.6 * width) - 1.3 * bell(distance, width)


def _to_curve(points: FloatArray, curve: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance to a polyline in the plane and share of the way along it."""
    best, along = np.full(len(points), np.inf), np.zeros(len(points))
    for number, (a, b) in enumerate(pairwise(curve)):
        edge = b - a
        t = np.clip((points - a) @ edge / (edge @ edge), 0, 1)
        distance = np.linalg.norm(points - a - t[:, None] * edge, axis=1)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        along = np.where(nearer, (number + t) / (len(curve) - 1), along)
    return best, along


def fold_maps(texels: Texels, seed: int) -> dict[str, FloatArray]:
    """Height (P,) in mm of each group at amplitude 1, left and right sides together."""
    skin = texels.of("skin") * smooth(2.4 - texels.traits["mouth_ring"])
    p = texels.position
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    waver = texels.noise(seed + 31, 21, 2)
    front = skin * smooth((z - 45) / 20)
    flat = np.column_stack([x, y])

    lines = np.zeros(len(p))
    for level, depth in ((33.0, 0.5), (41.0, 0.9), (49.5, 1.0), (58.0, 0.7)):
        wave = level + 2.2 * np.cos(x / 13) - 0.0012 * x**2 + 1.1 * waver
        fade = smooth((52 - x) / 26) * (0.75 + 0.35 * texels.noise(seed + round(level), 33))
        lines += depth * fade * _crease(y - wave, 0.95)
    maps = {"forehead": 0.58 * front * lines}

    inner, along = _to_curve(flat, np.array([(5.2, 6.0), (6.4, 14.0), (7.6, 24.0)]))
    maps["frown"] = (
        0.9 * front * _crease(inner + 0.2 * waver, 1.1) * np.sin(np.pi * np.clip(along, 0.04, 0.96))
    )

    reach = np.hypot(x - 42.5, (y - 0.5) * 1.0 + (68 - np.minimum(z, 72)) * 0.0)
    turn = np.degrees(np.arctan2(y - 0.5, np.maximum(x - 42.5, 1e-3)))
    rays = np.zeros(len(p))
    for angle, depth in ((34.0, 0.6), (15.0, 1.0), (-5.0, 1.0), (-24.0, 0.8), (-42.0, 0.5)):
        rays += depth * _crease(
            (turn - angle + 4 * waver) * np.maximum(reach, 3) * np.pi / 180, 0.7
        )
    maps["crow"] = (
        0.36 * skin * rays * smooth((reach - 4) / 5) * smooth((22 - reach) / 9) * (x > 42.5)
    )

    bags = np.zeros(len(p))
    for drop, depth in ((-9.5, 1.0), (-13.0, 0.7)):
        arc = drop + 0.017 * (x - 31) ** 2 + 0.05 * (x - 31)
        bags += depth * _crease(y - arc - 0.4 * waver, 0.9) * smooth((17 - np.abs(x - 30)) / 8)
    maps["under_eye"] = 0.3 * front * bags

    curve = np.array(
        [(16.5, -36), (20.5, -42), (25.5, -51), (30.5, -60), (33.0, -69), (33.0, -76)], float
    )
    distance, along = _to_curve(flat, curve)
    fade = smooth(along / 0.18) * smooth((1 - along) / 0.4)
    maps["nasolabial"] = 0.95 * front * fade * _crease(distance + 0.3 * waver, 1.9)

    rolls = np.zeros(len(p))
    for level in (-1.0, -6.0, -11.5):
        rolls += _crease(y - level - 0.5 * (x - 6) + 0.5 * waver, 0.9)
    maps["bunny"] = 0.4 * front * rolls * bell(x - 7.5, 6)

    curve = np.array([(27.5, -66), (28.8, -71), (29.5, -78), (28.5, -85)], float)
    distance, along = _to_curve(flat, curve)
    maps["corner"] = (
        0.6 * front * smooth((1 - along) / 0.7) * smooth(along / 0.1) * _crease(distance, 1.2)
    )

    pebble = texels.noise(seed + 77, 5.0, 2)
    maps["chin"] = 0.35 * front * pebble * np.exp(-((x / 17) ** 2) - ((y + 95) / 11) ** 2)

    ring = np.hypot(x / 1.25, y + 68.5)
    turn = np.arctan2(y + 68.5, x / 1.25)
    spokes = np.cos(turn * 22 + 1.5 * waver)
    maps["pucker"] = 0.22 * front * spokes * smooth((ring - 6) / 4) * smooth((24 - ring) / 8)
    return maps
