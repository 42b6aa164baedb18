"""The skin maps of one person: neutral layers, painted once, and what an expression adds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray
from esca.errors import EscaError
from esca.subjects.procedural import paint, paint_parts
from esca.subjects.procedural.hair import BROW, scalp
from esca.subjects.procedural.identity import Identity
from esca.subjects.procedural.mesh import Assembly
from esca.subjects.procedural.occlusion import vertex_occlusion
from esca.subjects.procedural.texels import Texels, build_texels, smooth
from esca.subjects.procedural.wrinkles import FOLDS, amplitude, fold_maps
from esca.subjects.subject import Map, Skin

_BLUSH = (("mouthSmile", 0.35), ("cheekSquint", 0.3), ("cheekPuff", 0.4), ("mouthFrown", 0.15))


@dataclass(frozen=True, eq=False)
class _Painted:
    """Maps of one size. ``folds``: by name and side. ``blush``: where blood shows, by side."""

    skin: Skin
    folds: Mapping[tuple[str, str], Map]
    blush: Mapping[str, Map]


@dataclass(frozen=True, eq=False)
class Surface:
    """Skin maps and regions of one person. Maps of each size are painted once and kept.

    ``neutral``: (V, 3) the person's neutral shape.
    """

    who: Identity
    assembly: Assembly
    neutral: FloatArray
    _painted: dict[int, _Painted] = field(default_factory=dict)
    _seen: dict[int, Texels] = field(default_factory=dict)

    def texels(self, size: int) -> Texels:
        """The atlas at ``size`` x ``size`` texels."""
        if not 16 <= size <= 4096:
            raise EscaError(f"size: expected 16 to 4096 texels, got {size!r}")
        if size not in self._seen:
            self._seen[size] = build_texels(self.assembly, size)
        return self._seen[size]

    def skin(self, weights: Mapping[str, float], size: int) -> Skin:
        """The surface in one expression; see ``Subject.skin``."""
        if size not in self._painted:
            self._painted[size] = self._paint(self.texels(size))
        painted = self._painted[size]
        relief = np.zeros((size, size), np.float32)
        for (name, side), fold in painted.folds.items():
            depth = amplitude(FOLDS[name], weights, self.who.age, side)
            if depth > 0:
                relief += np.float32(depth) * fold
        # Valleys gather shadow and blood, ridges stretch the skin and pale.
        tone = 1 + np.clip(0.16 * relief, -0.22, 0.06)
        gain = np.zeros((size, size), np.float32)
        for side, area in painted.blush.items():
            share = sum(k * weights.get(f"{name}_{side}", 0.0) for name, k in _BLUSH)
            gain += np.float32(share) * area
        albedo = painted.skin.albedo * tone[..., None]
        albedo *= 1 + gain[..., None] * np.array([0.06, -0.22, -0.20], np.float32)
        return Skin(
            np.clip(albedo, 0, 1),
            painted.skin.height + relief,
            painted.skin.specular,
            painted.skin.roughness,
            painted.skin.occlusion,
        )

    def _paint(self, texels: Texels) -> _Painted:
        layers = paint.blank(len(texels.uv))
        paint.paint_skin(layers, texels, self.who)
        paint.paint_lids(layers, texels, self.who)
        paint.paint_lips(layers, texels, self.who)
        paint.paint_hair(layers, texels, self.who)
        paint_parts.paint_eyes(layers, texels, self.who)
        paint_parts.paint_teeth(layers, texels, self.who)
        paint_parts.paint_tongue(layers, texels, self.who)
        light = vertex_occlusion(self.assembly, self.neutral)
        shaded = build_texels(
            Assembly(
                self.assembly.positions,
                self.assembly.topology,
                {"light": light},
                self.assembly.slices,
                self.assembly.face_slices,
            ),
            texels.size,
        ).traits["light"]
        spread = texels.spread
        skin = Skin(
            spread(np.clip(layers.albedo, 0.002, 0.95), 0.1),
            spread(layers.height),
            spread(np.clip(layers.specular, 0, 2), 1.0),
            spread(np.clip(layers.roughness, 0.05, 1), 0.5),
            spread(np.clip(shaded, 0, 1), 1.0),
        )
        left = smooth(texels.position[:, 0] / 10 + 0.5)
        folds, blush = {}, {}
        maps = fold_maps(texels, self.who.seed)
        red = paint.flush(texels) * texels.of("skin")
        for side, share in (("L", left), ("R", 1 - left)):
            for name, fold in maps.items():
                folds[name, side] = spread(fold * share)
            blush[side] = spread(red * share)
        return _Painted(skin, folds, blush)

    def regions(self, size: int) -> dict[str, NDArray[np.bool_]]:
        """Texels of eyes (balls and lids), mouth (lips, inside, teeth), nose, brows and face."""
        texels = self.texels(size)
        p, skin = texels.position, texels.of("skin")
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        lid, ring = texels.traits["lid_ring"], texels.traits["mouth_ring"]
        line = np.interp(x, *BROW.T)
        areas = {
            "eyes": texels.of("eye_L", "eye_R") | (skin & (lid > 1.0)),
            "mouth": texels.of("upper_teeth", "lower_teeth", "tongue") | (skin & (ring > 1.4)),
            "nose": skin & (z > 84) & (x < 8 + 12 * smooth((-y - 2) / 34)) & (y > -50) & (y < 4),
            "brows": skin & (z > 50) & (np.abs(y - line) < 6.5) & (x > 6) & (x < 55),
            "face": skin & (z > 20) & (y > -118) & (scalp(p, self.who.hairline) < 0),
        }
        regions = {}
        for name, area in areas.items():
            regions[name] = np.zeros((size, size), bool)
            regions[name][texels.mask] = area
        return regions
