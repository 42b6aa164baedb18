"""What exactly is scored, and how: every table says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from esca.errors import EscaError

Reference = Literal["auto", "photo", "tracked", "fp32"]

REFERENCES: Mapping[str, str] = {
    "photo": "the photo, masked by the tracked mesh's outline",
    "tracked": "the tracked mesh rendered with the capture's own texture of the same camera",
    "fp32": "the fp32 avatar's rendering",
    "auto": "the photo where every frame has one, else the tracked mesh",
}

Crop = Literal["head", "face"]

VIEWS: Mapping[str, str] = {"front": "400029", "left": "400012", "right": "400017"}


@dataclass(frozen=True)
class Protocol:
    """Settings of one evaluation.

    ``views``: camera id of each named view. ``scale``: size of the pictures against the photo's,
    in (0, 1]. ``supersample``: n x n samples a pixel; more than 1 where pixels are much coarser
    than texels. ``crop``: whether the whole tracked mesh is in the window or the region ``face``
    only. ``margin``: border around the window, as a part of its size. ``display``: display model of
    FovVideoVDP. ``foveated``: whether eccentricity from the window's middle counts. ``fps``: frames
    per second of the clips.
    ``frames``: most frames of each segment's clip, taken from the segment's middle. ``reference``:
    what counts as ground truth. ``regions``: facial regions that are scored by themselves.
    EscaError for a value outside its range.
    """

    views: Mapping[str, str] = field(default_factory=lambda: dict(VIEWS))
    scale: float = 0.5
    supersample: int = 1
    crop: Crop = "head"
    margin: float = 0.05
    display: str = "standard_fhd"
    foveated: bool = False
    fps: float = 30.0
    frames: int = 48
    reference: Reference = "auto"
    regions: tuple[str, ...] = ("eyes", "mouth", "nose")

    def __post_init__(self) -> None:
        _expect(bool(self.views), "views", "at least one view", self.views)
        _expect(0 < self.scale <= 1, "scale", "above 0 and at most 1", self.scale)
        _expect(self.supersample >= 1, "supersample", "1 or more", self.supersample)
        _expect(self.crop in get_args(Crop), "crop", "head or face", self.crop)
        _expect(0 <= self.margin <= 1, "margin", "0 to 1", self.margin)
        _expect(self.fps > 0, "fps", "above 0", self.fps)
        _expect(self.frames >= 1, "frames", "1 or more", self.frames)
        known = " ".join(get_args(Reference))
        _expect(
            self.reference in get_args(Reference), "reference", f"one of {known}", self.reference
        )

    def describe(self) -> str:
        """The protocol in words, for tables and reports."""
        seen = "foveated, gaze at the middle" if self.foveated else "not foveated"
        views = ", ".join(f"{name} {camera}" for name, camera in self.views.items())
        return (
            f"Reference: {REFERENCES[self.reference]}. FovVideoVDP on a crop of the {self.crop} at "
            f"{self.scale:g} of the photo's size ({self.supersample} x {self.supersample} samples "
            f"a pixel), display {self.display}, {seen}, {self.fps:g} fps; cameras: {views}; up to "
            f"{self.frames} frames from the middle of each held-out segment. Codes are the "
            "encoder's means, not sampled; nothing is fine-tuned on the test frames."
        )


def _expect(fine: bool, name: str, expected: str, value: object) -> None:
    if not fine:
        raise EscaError(f"protocol {name}: expected {expected}, got {value!r}")
