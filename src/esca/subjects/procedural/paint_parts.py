"""Colour, relief and gloss of eyeballs, teeth and tongue."""

import numpy as np

from esca.subjects.procedural.atlas import locate
from esca.subjects.procedural.identity import Identity
from esca.subjects.procedural.paint import Layers
from esca.subjects.procedural.parts import IRIS_ANGLE, eye_angle
from esca.subjects.procedural.texels import Texels, bell, smooth

_TOOTH_EDGES = np.cumsum([0.0, 7, 7, 7.5, 7, 7, 7.6, 6.6, 8.8])
"""Half an arch in mm, molar to middle: the widths of its teeth."""


def paint_eyes(layers: Layers, texels: Texels, who: Identity) -> None:
    """Sclera with veins, limbal ring, iris with fibres, pupil."""
    for side in "LR":
        rows = np.flatnonzero(texels.of(f"eye_{side}"))
        local = 2 * locate(f"eye_{side}", texels.uv[rows]) - 1
        radius, turn = np.linalg.norm(local, axis=1), np.arctan2(local[:, 1], local[:, 0])
        angle = eye_angle(np.minimum(radius, 1))
        share = angle / IRIS_ANGLE
        rng = np.random.default_rng([who.seed, 3])
        fibres = np.zeros(len(rows))
        for waves in (17, 31, 47, 64):
            fibres += 0.4 * np.cos(
                waves * turn + rng.uniform(0, 6) + 1.5 * np.cos(3 * turn + share * 4)
            )
        iris = 0.7 * np.array(who.iris)
        colour = iris * np.clip(1 + 0.30 * fibres, 0.4, 2)[:, None]
        colour *= (0.85 + 0.75 * bell(share - 0.52, 0.17) - 0.25 * smooth((share - 0.7) / 0.3))[
            :, None
        ]
        colour += 0.35 * bell(share - 0.47, 0.09)[:, None] * np.array([0.10, 0.06, 0.02])
        colour *= (1 - 0.8 * smooth((share - 0.80) / 0.2))[:, None]
        colour *= smooth((share - 0.33) / 0.08)[:, None]
        white = np.array([0.54, 0.50, 0.465]) * np.ones((len(rows), 1))
        vein = texels.noise(who.seed + 81 + (side == "R"), 4.3, 2)[rows]
        vein = bell(vein, 0.12) * smooth((angle - 34) / 30)
        white += vein[:, None] * [-0.02, -0.16, -0.16]
        white *= 1 - 0.30 * smooth((angle - 40) / 40)[:, None] * np.array([0.5, 1.0, 1.0])
        edge = smooth((share - 0.93) / 0.17)[:, None]
        layers.albedo[rows] = np.clip(colour + edge * (white - colour), 0.003, 1)
        layers.height[rows] = 0
        layers.specular[rows] = 1.1
        layers.roughness[rows] = 0.09 + 0.10 * smooth((angle - 36) / 20)


def paint_teeth(layers: Layers, texels: Texels, who: Identity) -> None:
    """Teeth with gaps between them, and gums."""
    for name in ("upper_teeth", "lower_teeth"):
        rows = np.flatnonzero(texels.of(name))
        across, down = locate(name, texels.uv[rows]).T
        if name == "upper_teeth":
            down = 1 - down
        place = (1 - np.abs(2 * across - 1)) * _TOOTH_EDGES[-1]
        number = np.clip(np.searchsorted(_TOOTH_EDGES, place, side="right") - 1, 0, 7)
        low, high = _TOOTH_EDGES[number], _TOOTH_EDGES[number + 1]
        inside = (place - low) / (high - low)
        gap = np.minimum(inside, 1 - inside) * (high - low)
        gum_line = 0.30 + 0.07 * (2 * np.abs(inside - 0.5)) ** 2
        gum = smooth((gum_line - down) / 0.035 + 0.5) + smooth((down - 0.93) / 0.05)
        enamel = np.array([0.60, 0.54, 0.44]) * (1 - 0.03 * (number % 3))[:, None]
        enamel = enamel * (0.82 + 0.22 * smooth((down - 0.3) / 0.3))[:, None]
        enamel *= (1 - 0.8 * np.abs(2 * across - 1) ** 2)[:, None]
        enamel *= (1 - 0.62 * bell(gap, 0.42))[:, None]
        pink = np.array([0.42, 0.15, 0.14]) * (1 - 0.2 * bell(gap, 0.8))[:, None]
        gum = np.clip(gum, 0, 1)[:, None]
        layers.albedo[rows] = enamel + gum * (pink - enamel)
        layers.height[rows] = (
            0.5 * np.sqrt(np.clip(4 * inside * (1 - inside), 0, 1)) * (1 - gum[:, 0])
        )
        layers.specular[rows] = 1.5 - 0.4 * gum[:, 0]
        layers.roughness[rows] = 0.24


def paint_tongue(layers: Layers, texels: Texels, who: Identity) -> None:
    """A rough tongue with a furrow."""
    rows = np.flatnonzero(texels.of("tongue"))
    across = locate("tongue", texels.uv[rows])[:, 0]
    grain = texels.noise(who.seed + 91, 2.0)[rows]
    tone = 1 + 0.07 * grain - 0.2 * bell(across - 0.5, 0.05)
    layers.albedo[rows] = np.array([0.42, 0.145, 0.14]) * tone[:, None]
    layers.height[rows] = 0.10 * grain - 0.4 * bell(across - 0.5, 0.05)
    layers.specular[rows] = 1.1
    layers.roughness[rows] = 0.34
