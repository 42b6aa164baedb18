"""What one method reaches in one view."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RegionScore:
    """One facial region against the reference: PSNR in dB, SSIM, FovVideoVDP in JOD."""

    psnr: float
    ssim: float
    vdp: float


@dataclass(frozen=True)
class Row:
    """One line of the table; means over the held-out clips, weighted by their frames.

    ``vdp``: FovVideoVDP in JOD against the reference; ``vdp_fp32``: against the fp32 avatar's
    rendering. ``psnr``, ``psnr_fp32``: dB on the head's pixels, infinite without any error.
    ``ssim``: on the head's pixels. ``flicker``: grey levels, see ``metrics.flicker``;
    ``flicker_fp32``: against the fp32 avatar's video; ``flicker_still``: the same while the face
    stands still, see ``still.still_segment``. ``regions``: by name, those in sight; like ``ssim``
    and ``flicker`` against the reference. ``bytes``: the decoder's size.
    """

    method: str
    bits: str
    view: str
    bytes: int
    vdp: float
    vdp_fp32: float
    psnr: float
    psnr_fp32: float
    ssim: float
    flicker: float
    flicker_fp32: float
    flicker_still: float
    regions: Mapping[str, RegionScore]
