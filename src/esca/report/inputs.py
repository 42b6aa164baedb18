"""What a report is made of: plain data and arrays, nothing that runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from esca.evaluation.evaluate import FP32
from esca.evaluation.findings import Finding
from esca.evaluation.layers import LayerError
from esca.evaluation.rows import Row
from esca.evaluation.shift import ShiftRow

Frame = NDArray[np.uint8]
Frames = NDArray[np.uint8]
TexelMap = NDArray[np.floating]


@dataclass(frozen=True)
class Label:
    """What a row, a picture or an artifact belongs to: ``Label("ffas-uv", "w4a4")``."""

    method: str
    bits: str

    @property
    def text(self) -> str:
        """For people."""
        return FP32 if self.method == FP32 else f"{self.method} {self.bits.upper()}"


@dataclass(frozen=True)
class CaptureFacts:
    """The capture, in numbers. ``cameras``: names. ``texture_size``: texels along one side."""

    name: str
    cameras: tuple[str, ...]
    frames: int
    texture_size: int
    vertices: int


@dataclass(frozen=True)
class AvatarFacts:
    """The avatar. ``parameters``: of the decoder. ``sha256``: of the checkpoint file."""

    variant: str
    latent: int
    texture_size: int
    parameters: int
    sha256: str


@dataclass(frozen=True, eq=False)
class ViewPictures:
    """One frame of one view, as the display shows it: (H, W, 3) uint8, all of one shape.

    ``frame``: which one, for people. ``reference``: the photo, where there is one.
    """

    view: str
    frame: str
    fp32: Frame
    methods: Mapping[Label, Frame]
    reference: Frame | None = None


@dataclass(frozen=True, eq=False)
class ClipPictures:
    """A clip of one view: fp32 beside some methods, (F, H, W, 3) uint8 each, of one shape."""

    view: str
    fps: int
    fp32: Frames
    methods: Mapping[Label, Frames]


@dataclass(frozen=True, eq=False)
class TexelMaps:
    """Maps over the texture in array orientation, None where not used.

    ``mean_texture``: (T, T, 3) uint8 display colours. ``visibility``: (T, T) pixels a texel fills.
    ``face``: (T, T) facial mask in [0, 1]. ``weight``: (T, T) of the UV Hessian.
    """

    mean_texture: Frame
    visibility: TexelMap | None = None
    face: TexelMap | None = None
    weight: TexelMap | None = None


@dataclass(frozen=True, eq=False)
class SmoothedLayers:
    """Channel scales of the input of some convolutions: (C,) each, exempt ones marked.

    ``names``: the convolutions that read the tensor.
    """

    names: tuple[str, ...]
    scales: NDArray[np.floating]
    exempt: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Details:
    """What is known of one artifact beyond its scores.

    ``parts``: payload bytes by part. ``recipe``: its YAML. ``sha256``: of the artifact file.
    """

    label: Label
    recipe: str = ""
    sha256: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)
    layers: Sequence[LayerError] = ()
    smoothed: Sequence[SmoothedLayers] = ()


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Everything on the page; a section whose material is missing is left out.

    ``protocol``: what the rows were measured against and how, in words. ``rows``: one a method and
    view, fp32 among them. ``findings``: the worst of each failure, None if none was looked for.
    ``shifts``: methods beyond calibration. ``fp32_parts``: parameter bytes of the float decoder.
    ``provenance``: versions, seeds and hashes, as label and value. ``date``: as it is to be shown.
    """

    title: str
    capture: CaptureFacts
    avatar: AvatarFacts
    protocol: str
    rows: Sequence[Row]
    views: Sequence[ViewPictures] = ()
    clip: ClipPictures | None = None
    findings: Sequence[Finding] | None = None
    shifts: Sequence[ShiftRow] = ()
    maps: TexelMaps | None = None
    details: Sequence[Details] = ()
    fp32_parts: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
