"""Who the subject is: proportions and colours drawn from a seed."""

from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.hair import scalp
from esca.subjects.procedural.sculpt import CENTRE, EYE
from esca.subjects.procedural.texels import smooth

Colour = tuple[float, float, float]

SKIN_TONES: tuple[Colour, ...] = (
    (0.62, 0.40, 0.30),
    (0.56, 0.345, 0.245),
    (0.47, 0.27, 0.18),
    (0.34, 0.185, 0.115),
    (0.20, 0.102, 0.062),
)
IRISES: tuple[Colour, ...] = (
    (0.10, 0.19, 0.30),
    (0.13, 0.21, 0.13),
    (0.125, 0.072, 0.030),
    (0.065, 0.032, 0.014),
    (0.17, 0.21, 0.24),
)
HAIRS: tuple[Colour, ...] = (
    (0.016, 0.012, 0.010),
    (0.050, 0.030, 0.018),
    (0.12, 0.070, 0.036),
    (0.24, 0.155, 0.085),
    (0.16, 0.058, 0.022),
)


@dataclass(frozen=True)
class Identity:
    """Proportions as deviations of about one standard step, and colours in linear reflectance."""

    skull: float
    jaw: float
    chin: float
    cheek: float
    nose_width: float
    nose_length: float
    nose_bridge: float
    nose_tip: float
    lips: float
    mouth: float
    spacing: float
    brow: float
    skin: Colour
    iris: Colour
    hair: Colour
    freckles: float
    stubble: float
    hairline: float
    hair_length: float
    brow_weight: float
    age: float
    seed: int


_SHAPE = (
    "skull", "jaw", "chin", "cheek", "nose_width", "nose_length", "nose_bridge", "nose_tip",
    "lips", "mouth", "spacing", "brow",
)  # fmt: skip


def identity(seed: int) -> Identity:
    """The person that ``seed`` stands for."""
    rng = np.random.default_rng([seed, 0xFACE])
    shape = np.clip(rng.normal(0, 1.2, len(_SHAPE)), -2.0, 2.0)
    tone = float(rng.uniform(0, len(SKIN_TONES) - 1))
    low = int(tone)
    mix = tone - low
    skin = tuple(
        float(a + mix * (b - a))
        for a, b in zip(SKIN_TONES[low], SKIN_TONES[min(low + 1, len(SKIN_TONES) - 1)], strict=True)
    )
    dark = tone / (len(SKIN_TONES) - 1)
    iris = IRISES[int(rng.integers(2, 4)) if dark > 0.62 else int(rng.integers(len(IRISES)))]
    hair = HAIRS[int(rng.integers(2)) if dark > 0.5 else int(rng.integers(len(HAIRS)))]
    return Identity(
        **dict(zip(_SHAPE, shape.tolist(), strict=True)),
        skin=(skin[0], skin[1], skin[2]),
        iris=iris,
        hair=hair,
        freckles=float(rng.uniform(0, 1) ** 2 * (1 - 0.7 * dark)),
        stubble=float(rng.choice([0.0, 0.25, 0.6])),
        hairline=float(rng.normal(0, 4)),
        hair_length=float(rng.uniform(2, 7)),
        brow_weight=float(rng.uniform(0.75, 1.2)),
        age=float(rng.uniform(0.2, 0.9)),
        seed=seed,
    )


def _near(p: FloatArray, centre: tuple[float, float, float], radius: float) -> FloatArray:
    mirrored = np.column_stack([np.abs(p[:, 0]), p[:, 1:]])
    return np.exp(-((np.linalg.norm(mirrored - centre, axis=1) / radius) ** 2))


def _warp(who: Identity, p: FloatArray) -> FloatArray:
    """Displacement (N, 3) in mm of canonical points."""
    d = np.zeros_like(p)
    x, y, z = p.T
    upper = 1 / (1 + np.exp(-(y - 25) / 14))
    lower = 1 / (1 + np.exp((y + 48) / 12)) / (1 + np.exp(-(y + 135) / 8))
    d[:, 0] += 0.032 * who.skull * upper * x + 0.05 * who.jaw * lower * x
    d[:, 2] -= 0.018 * who.skull * upper * (z + 10)
    chin = _near(p, (0, -102, 84), 30)
    d += chin[:, None] * [0.0, -3.2 * who.chin, 1.6 * who.chin]
    cheek = _near(p, (50, -18, 55), 24) * np.sign(x)
    d[:, 0] += 2.4 * who.cheek * cheek
    d[:, 2] += 1.2 * who.cheek * np.abs(cheek)
    hollow = _near(p, (46, -58, 55), 24) * np.sign(x)
    d[:, 0] -= 1.5 * who.cheek * hollow
    nose = _near(p, (0, -36, 104), 21)
    d[:, 0] += 0.13 * who.nose_width * nose * x
    d += _near(p, (0, -38, 110), 18)[:, None] * [0.0, -2.2 * who.nose_length, 2.4 * who.nose_tip]
    d[:, 2] += 2.4 * who.nose_bridge * _near(p, (0, -10, 100), 15)
    mouth = np.exp(-(((p - [0, -68.5, 98]) / [34, 13, 26]) ** 2).sum(1))
    d[:, 0] += 0.06 * who.mouth * mouth * x
    d[:, 1] += 0.14 * who.lips * mouth * (y + 68.5)
    d[:, 2] += 0.9 * who.lips * np.exp(-(((p - [0, -68.5, 104]) / [22, 9, 14]) ** 2).sum(1))
    d[:, 0] += 1.3 * who.spacing * _near(p, (31, 0, 78), 24) * np.sign(x)
    d += _near(p, (24, 19, 88), 18)[:, None] * [0.0, -0.9 * who.brow, 1.5 * who.brow]
    return d


def reshape(
    who: Identity, positions: FloatArray, skin: slice
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """The person's neutral shape (V, 3), and the centre of each eyeball by side.

    ``skin``: rows on which hair adds to the head. What touches an eyeball is moved as a whole, so
    that it stays round.
    """
    shape = positions + _warp(who, positions)
    grown = smooth(scalp(positions[skin], who.hairline) / 14)
    away = positions[skin] - CENTRE
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    shape[skin] += who.hair_length * grown[:, None] * away
    eyes = {}
    for side, flip in (("L", 1.0), ("R", -1.0)):
        centre = EYE * [flip, 1, 1]
        move = _warp(who, centre[None])[0]
        distance = np.linalg.norm(positions - centre, axis=1)
        hold = np.clip((26 - distance) / 9, 0, 1)
        hold = (hold * hold * (3 - 2 * hold))[:, None]
        shape += hold * (positions + move - shape)
        eyes[side] = centre + move
    return shape, eyes
