"""Neutral colour, relief and gloss of skin, ears, lips, lids, brows and hair."""

from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.hair import BROW, BROW_WIDTH, beard, brow_strokes, scalp, stroke_cover
from esca.subjects.procedural.identity import Identity
from esca.subjects.procedural.texels import Texels, bell, smooth


@dataclass(eq=False)
class Layers:
    """Maps being painted, over the P covered texels."""

    albedo: FloatArray
    height: FloatArray
    specular: FloatArray
    roughness: FloatArray

    def tint(self, share: FloatArray, colour: FloatArray | tuple[float, float, float]) -> None:
        """Mix ``colour`` in by ``share`` (P,) in [0, 1]."""
        share = np.clip(share, 0, 1)[:, None]
        self.albedo += share * (np.asarray(colour) - self.albedo)

    def gloss(self, share: FloatArray, specular: float, roughness: float) -> None:
        """Move gloss towards the given values by ``share``."""
        share = np.clip(share, 0, 1)
        self.specular += share * (specular - self.specular)
        self.roughness += share * (roughness - self.roughness)


def blank(count: int) -> Layers:
    """Layers of ``count`` texels before anything is painted."""
    return Layers(np.zeros((count, 3)), np.zeros(count), np.ones(count), np.full(count, 0.5))


def flush(texels: Texels) -> FloatArray:
    """Where blood shows: cheeks, nose, ears; (P,) in [0, 1]."""
    p = texels.position
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    red = 0.85 * np.exp(-(((x - 38) / 19) ** 2) - ((y + 34) / 16) ** 2 - ((z - 74) / 40) ** 2)
    red += 0.9 * np.exp(-((x / 14) ** 2) - ((y + 38) / 10) ** 2 - ((z - 106) / 16) ** 2)
    red += 0.25 * np.exp(-((x / 18) ** 2) - ((y + 99) / 11) ** 2 - ((z - 98) / 20) ** 2)
    return np.clip(red + 0.55 * texels.of("ear_L", "ear_R"), 0, 1)


def paint_skin(layers: Layers, texels: Texels, who: Identity) -> None:
    """Base tone, blood, pores, freckles, beard shadow; on skin and ears."""
    p = texels.position
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    base = np.array(who.skin)
    red, pale = base * [1.10, 0.66, 0.60], base * [1.06, 1.06, 1.0]
    layers.albedo[:] = base
    mottle = texels.noise(who.seed + 1, 30, 4)
    layers.tint(np.clip(0.30 + 0.28 * texels.noise(who.seed + 9, 43, 3), 0, 0.6) * 0.3, pale)
    layers.tint(flush(texels) * (0.36 + 0.10 * mottle), red)
    layers.tint(0.08 + 0.05 * texels.noise(who.seed + 3, 11, 3), red)
    layers.tint(0.3 * bell(y - 46, 22) * smooth((z - 50) / 20), base * [1.04, 1.02, 0.94])
    socket = np.exp(-(((x - 27) / 15) ** 2) - ((y + 9) / 7) ** 2) * smooth((z - 55) / 15)
    layers.tint(0.34 * socket, base * [0.80, 0.66, 0.68])
    layers.tint(0.26 * smooth((-108 - y) / 20), base * [0.90, 0.84, 0.82])
    layers.albedo *= (1 + 0.022 * mottle + 0.03 * texels.noise(who.seed + 5, 3.3, 2))[:, None]

    _freckles(layers, texels, who)
    nostril = np.exp(-(((x - 6.4) / 2.9) ** 2) - ((y + 45) / 2.6) ** 2 - ((z - 102.5) / 5) ** 2)
    layers.tint(0.9 * smooth(1.6 * nostril), base * [0.16, 0.10, 0.09])
    _moles(layers, texels, who)
    grain = 0.6 + 0.45 * texels.noise(who.seed + 41, 2.3, 2)
    shadow = who.stubble * beard(p) * texels.of("skin") * np.clip(grain, 0.1, 1.2)
    layers.tint(0.62 * shadow, np.array(who.hair) * 0.7 + base * [0.20, 0.21, 0.24])

    oily = np.exp(-((x / 15) ** 2) - ((y + 32) / 16) ** 2) * smooth((z - 80) / 18)
    oily += 0.7 * np.exp(-((x / 34) ** 2) - ((y - 40) / 20) ** 2) * smooth((z - 55) / 20)
    oily += 0.4 * np.exp(-((x / 15) ** 2) - ((y + 99) / 10) ** 2) * smooth((z - 70) / 18)
    layers.roughness[:] = 0.53 - 0.14 * np.clip(oily, 0, 1) + 0.03 * mottle
    layers.specular[:] = 0.95 + 0.25 * np.clip(oily, 0, 1)

    pores = np.minimum(texels.noise(who.seed + 51, 1.6), 0.3) + 0.6 * texels.noise(
        who.seed + 52, 1.2
    )
    coarse = 0.45 + 0.9 * np.exp(-((x / 40) ** 2) - ((y + 30) / 22) ** 2) * smooth((z - 50) / 30)
    layers.height += 0.042 * coarse * pores + 0.05 * texels.noise(who.seed + 53, 5.0, 2)


def _freckles(layers: Layers, texels: Texels, who: Identity) -> None:
    rng = np.random.default_rng([who.seed, 11])
    p = texels.position
    rows = np.flatnonzero(texels.of("skin") & (p[:, 2] > 45) & (np.abs(p[:, 1] + 18) < 40))
    cover = np.zeros(len(p))
    for _ in range(round(150 * who.freckles)):
        centre = np.array([rng.normal(0, 26), rng.normal(-18, 14)])
        radius, depth = rng.uniform(0.45, 1.15), rng.uniform(0.3, 0.9)
        near = ((p[rows, :2] - centre) ** 2).sum(1)
        cover[rows] = np.maximum(cover[rows], depth * np.exp(-near / radius**2))
    layers.tint(0.6 * cover, np.array(who.skin) * [0.60, 0.42, 0.32])


def _moles(layers: Layers, texels: Texels, who: Identity) -> None:
    rng = np.random.default_rng([who.seed, 5])
    skin = np.flatnonzero(texels.of("skin") & (texels.position[:, 2] > 40))
    centres = np.column_stack([rng.uniform(0.2, 0.8, 5), rng.uniform(0.35, 0.85, 5)])
    for centre, radius in zip(centres, rng.uniform(0.8, 1.5, 5), strict=True):
        place = texels.position[skin[((texels.uv[skin] - centre) ** 2).sum(1).argmin()]]
        near = np.linalg.norm(texels.position - place, axis=1)
        layers.tint(
            0.65 * smooth((radius + 0.4 - near) / 0.8), np.array(who.skin) * [0.42, 0.30, 0.24]
        )


def paint_lids(layers: Layers, texels: Texels, who: Identity) -> None:
    """Darker lids, wet margins, the line of lashes, and the crease."""
    ring, side = texels.traits["lid_ring"], texels.traits["lid_side"]
    base = np.array(who.skin)
    on = ((ring > 0.01) & texels.of("skin")).astype(float)
    layers.tint(on * 0.30 * smooth((ring - 0.6) / 2), base * [0.86, 0.62, 0.58])
    rim = on * smooth((ring - 4.05) / 0.5)
    layers.tint(0.75 * rim, np.array([0.48, 0.22, 0.19]) * (0.4 + base[0]))
    layers.gloss(rim, 1.1, 0.18)
    lash = on * np.where(side > 0, bell(ring - 3.75, 0.7), 0.34 * bell(ring - 4.0, 0.22))
    lash *= smooth((np.abs(texels.position[:, 0]) - 17.5) / 6)
    layers.tint(0.95 * lash, np.array(who.hair) * 0.25)
    layers.gloss(lash, 0.5, 0.6)
    fold = on * np.where(side > 0.2, bell(ring - 2.1, 0.3), 0.0)
    layers.tint(0.45 * fold, base * [0.52, 0.36, 0.34])
    layers.height -= 0.55 * fold


def paint_lips(layers: Layers, texels: Texels, who: Identity) -> None:
    """Red of the lips with its creases, and the inside of the mouth."""
    p, skin = texels.position, texels.of("skin")
    lip = skin * smooth((texels.traits["lip"] - 0.28) / 0.42)
    bag = skin * texels.traits["bag"]
    base = np.array(who.skin)
    red = base * [0.92, 0.60, 0.60] + [0.012, 0.0, 0.006]
    layers.tint(0.86 * lip, red)
    groove = texels.noise(who.seed + 61, 2.5) * 0.5 + np.cos(
        p[:, 0] * 3.4 + 2 * texels.noise(who.seed + 62, 7.5)
    )
    layers.height += 0.045 * lip * groove
    layers.albedo *= (1 + 0.05 * lip * groove)[:, None]
    layers.gloss(lip, 1.15, 0.36)
    line = skin * bell(texels.traits["mouth_ring"] - 5.2, 0.6)
    layers.tint(0.6 * line, red * [0.45, 0.35, 0.35])
    layers.gloss(line, 0.15, 0.7)
    layers.tint(smooth(bag * 2.2), (0.21, 0.055, 0.05))
    layers.gloss(smooth(bag * 3), 1.1, 0.28)


def paint_hair(layers: Layers, texels: Texels, who: Identity) -> None:
    """Short hair on the scalp, and the brows hair by hair."""
    p, skin = texels.position, texels.of("skin")
    strands = texels.noise(who.seed + 71, 1.4) + 0.7 * texels.noise(who.seed + 72, 2.7, 2)
    inside = scalp(p, who.hairline) + 1.2 * texels.noise(who.seed + 73, 6.0, 2) + 1.8 * strands
    cover = skin * smooth(inside / 15 + 0.3)
    hair = np.array(who.hair)
    tone = hair[None] * np.clip(1 + 0.30 * strands, 0.35, 1.9)[:, None]
    share = (0.94 * cover)[:, None]
    layers.albedo += share * (tone - layers.albedo)
    layers.height += 0.32 * cover * strands
    layers.gloss(cover, 0.9, 0.56)

    flat = np.column_stack([np.abs(p[:, 0]), p[:, 1]])
    near = skin & (p[:, 2] > 50) & (np.abs(flat[:, 1] - 18) < 12) & (flat[:, 0] < 62)
    half = np.interp(flat[:, 0], BROW[:, 0], BROW_WIDTH) + 0.4
    ends = smooth((flat[:, 0] - 8) / 6) * smooth((53 - flat[:, 0]) / 8)
    soft = near * ends * np.exp(-(((flat[:, 1] - np.interp(flat[:, 0], *BROW.T)) / half) ** 2))
    layers.tint(0.42 * who.brow_weight * soft, hair * 0.7)
    for flip, offset in ((1, 0), (-1, 1)):
        rows = np.flatnonzero(near & (flip * p[:, 0] > 0))
        strokes = brow_strokes(who.seed * 2 + offset, who.brow_weight)
        width = max(0.30, 0.15 * 1024 / texels.size)
        amount = np.zeros(len(p))
        amount[rows] = stroke_cover(flat[rows], strokes, width)
        layers.tint(0.9 * amount, hair * 0.6)
        layers.height += 0.03 * amount
        layers.gloss(np.maximum(amount, soft), 0.5, 0.6)
