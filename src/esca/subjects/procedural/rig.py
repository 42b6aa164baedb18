"""How the head moves: fields on the skin, lids that slide over the eyeballs, eyes, and the jaw."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from esca.captures.geometry import FloatArray
from esca.subjects.procedural.fields import all_fields
from esca.subjects.procedural.mesh import Assembly
from esca.subjects.procedural.sculpt import EYE_RADIUS

HINGE = np.array([0.0, -18.0, 4.0])
"""Middle of the axis on which the jaw turns."""

JAW_ANGLE = np.radians(16.5)
LOOK_ANGLES = {"Up": 25.0, "Down": 28.0, "In": 32.0, "Out": 32.0}
"""Degrees of gaze at weight 1."""

_LOOKS = tuple(f"eyeLook{way}_{side}" for way in LOOK_ANGLES for side in "LR")
_LIDS = tuple(f"{name}_{side}" for name in ("eyeBlink", "eyeWide") for side in "LR")
_JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight", "mouthClose")


def _smooth(x: FloatArray) -> FloatArray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def jaw_share(positions: FloatArray, side: FloatArray, ring: FloatArray) -> FloatArray:
    """How far each canonical skin point follows the jaw, (V,) in [0, 1].

    ``side`` and ``ring``: traits ``mouth_side`` and ``mouth_ring``.
    """
    x, y, z = np.abs(positions[:, 0]), positions[:, 1], positions[:, 2]
    line = -69.0 + 0.62 * np.clip(88 - z, 0, None)
    width = 5 + 17 * _smooth((x - 6) / 26)
    share = _smooth((line - y) / (2 * width) + 0.42)
    share *= _smooth((z + 6) / 34) * (1 - _smooth((-104 - y) / 34) * _smooth((66 - z) / 34))
    share *= 1 - _smooth((-118 - y) / 22)
    full = np.sqrt(np.clip(1 - (x / 25.0) ** 2, 0, 1))
    lips = 0.46 + np.where(side > 0, -0.46, 0.54) * full * (side != 0)
    near = np.clip(ring / 2.0, 0, 1)
    return share + near * (lips - share)


@dataclass(frozen=True, eq=False)
class Rig:
    """Everything that the motion of one subject needs.

    ``neutral``: (V, 3). ``fields``: displacement by expression, (V, 3) each. ``jaw``, ``lips``:
    (V,) shares. ``eyes``: centre of each eyeball by side; ``lid_rows``, ``eye_rows``: vertex
    numbers by side. ``lid``, ``lid_turn``, ``lid_side``: (V,) traits of the lids' loops.
    """

    neutral: FloatArray
    fields: Mapping[str, FloatArray]
    jaw: FloatArray
    lips: FloatArray
    eyes: Mapping[str, FloatArray]
    lid_rows: Mapping[str, np.ndarray]
    eye_rows: Mapping[str, np.ndarray]
    lid: FloatArray
    lid_turn: FloatArray
    lid_side: FloatArray

    @property
    def expressions(self) -> tuple[str, ...]:
        """All names the rig understands, sorted."""
        return tuple(sorted({*self.fields, *_LOOKS, *_LIDS, *_JAW}))

    def pose(self, weights: Mapping[str, float]) -> FloatArray:
        """(V, 3) positions in mm for weights in [0, 1]."""
        moved = self.neutral.copy()
        for name, field in self.fields.items():
            weight = weights.get(name, 0.0)
            if weight:
                moved += weight * field
        for side in "LR":
            self._close_lids(moved, weights, side)
            self._turn_eye(moved, weights, side)
        self._turn_jaw(moved, weights)
        return moved

    def _gaze(self, weights: Mapping[str, float], side: str) -> tuple[float, float]:
        """Pitch (up) and yaw (to the subject's left) in radians."""
        degrees = {
            way: weights.get(f"eyeLook{way}_{side}", 0.0) * angle
            for way, angle in LOOK_ANGLES.items()
        }
        yaw = degrees["Out"] - degrees["In"]
        pitch = degrees["Up"] - degrees["Down"]
        return np.radians(pitch), np.radians(yaw if side == "L" else -yaw)

    def _close_lids(self, moved: FloatArray, weights: Mapping[str, float], side: str) -> None:
        rows = self.lid_rows[side]
        pitch, _ = self._gaze(weights, side)
        squint = weights.get(f"eyeSquint_{side}", 0.0) + 0.4 * weights.get(
            f"cheekSquint_{side}", 0.0
        )
        squint += 0.25 * weights.get(f"mouthSmile_{side}", 0.0)
        blink = weights.get(f"eyeBlink_{side}", 0.0)
        wide = weights.get(f"eyeWide_{side}", 0.0) - 0.3 * weights.get(f"browDown_{side}", 0.0)
        share, turn = self.lid[rows], self.lid_turn[rows]
        upper, lower = self.lid_side[rows] > 0, self.lid_side[rows] < 0
        arch = np.clip(np.abs(turn) / np.maximum(np.abs(turn).max(), 1e-9) * 1.6, 0, 1)
        angle = turn * np.where(upper, blink + 0.24 * squint, blink + 1.0 * squint)
        angle += np.where(upper, 0.24, -0.1) * wide * share * arch * (1 - blink)
        angle += np.where(upper, 0.52, 0.3) * pitch * share * arch * (1 - blink)
        angle = np.where(upper, np.maximum(angle, turn), np.minimum(angle, np.maximum(turn, 0)))
        angle = np.where(upper | lower, angle, 0.0)
        offset = self.neutral[rows] - self.eyes[side]
        turned = offset.copy()
        turned[:, 1] = offset[:, 1] * np.cos(angle) + offset[:, 2] * np.sin(angle)
        turned[:, 2] = offset[:, 2] * np.cos(angle) - offset[:, 1] * np.sin(angle)
        # The loops at the opening move with the lid alone, the outer ones with the skin as well.
        push = (moved[rows] - self.neutral[rows]) * (1 - share)[:, None]
        placed = turned + push
        reach = np.linalg.norm(placed, axis=1, keepdims=True)
        inner = np.linalg.norm(offset, axis=1, keepdims=True)
        floor = np.minimum(inner, EYE_RADIUS + 1.0)
        moved[rows] = self.eyes[side] + placed * np.maximum(1, floor / np.maximum(reach, 1e-9))

    def _turn_eye(self, moved: FloatArray, weights: Mapping[str, float], side: str) -> None:
        pitch, yaw = self._gaze(weights, side)
        if not (pitch or yaw):
            return
        c, s = np.cos(pitch), np.sin(pitch)
        tilt = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
        c, s = np.cos(yaw), np.sin(yaw)
        swing = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        rows = self.eye_rows[side]
        moved[rows] = self.eyes[side] + (self.neutral[rows] - self.eyes[side]) @ (swing @ tilt).T

    def _turn_jaw(self, moved: FloatArray, weights: Mapping[str, float]) -> None:
        close = weights.get("mouthClose", 0.0) * self.lips
        share = self.jaw * (1 - close) + 0.3 * close
        angle = share * JAW_ANGLE * weights.get("jawOpen", 0.0)
        if angle.any():
            offset = moved - HINGE
            y = offset[:, 1] * np.cos(angle) - offset[:, 2] * np.sin(angle)
            z = offset[:, 2] * np.cos(angle) + offset[:, 1] * np.sin(angle)
            moved[:, 1], moved[:, 2] = HINGE[1] + y, HINGE[2] + z
        aside = weights.get("jawLeft", 0.0) - weights.get("jawRight", 0.0)
        moved[:, 0] += 9.0 * aside * self.jaw
        moved[:, 2] += self.jaw * (6.0 * weights.get("jawForward", 0.0) - 1.0 * abs(aside))


def build_rig(assembly: Assembly, neutral: FloatArray, eyes: Mapping[str, FloatArray]) -> Rig:
    """The rig of a subject of shape ``neutral`` over the canonical ``assembly``.

    ``eyes``: eyeball centres by side.
    """
    skin, traits = assembly.slices["skin"], assembly.traits
    canonical = assembly.positions
    side, ring = traits["mouth_side"][skin], traits["mouth_ring"][skin]
    fields = {}
    for name, field in all_fields(canonical[skin], side).items():
        fields[name] = np.zeros_like(canonical)
        fields[name][skin] = field
    jaw = traits["jaw"].copy()
    jaw[skin] = jaw_share(canonical[skin], side, ring)
    lips = np.zeros(len(canonical))
    lips[skin] = np.exp(-(((canonical[skin] - [0, -68.5, 96]) / [32, 19, 28]) ** 2).sum(1))
    lips[skin] = np.maximum(lips[skin], ring > 2)
    on_lid = traits["lid_side"] != 0
    lid_rows = {
        "L": np.flatnonzero(on_lid & (canonical[:, 0] > 0)),
        "R": np.flatnonzero(on_lid & (canonical[:, 0] < 0)),
    }
    eye_rows = {s: np.arange(len(canonical))[assembly.slices[f"eye_{s}"]] for s in "LR"}
    return Rig(
        neutral, fields, jaw, lips, eyes, lid_rows, eye_rows,
        traits["lid"], traits["lid_turn"], traits["lid_side"],
    )  # fmt: skip
