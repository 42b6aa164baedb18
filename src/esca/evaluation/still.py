"""A face that stands still: what an encoder sends for it, and so what a decoder flickers at."""

from dataclasses import replace

import numpy as np
import torch

from esca.evaluation.clips import Clip, Segment
from esca.evaluation.metrics import Mask

NOISE = 0.02
"""Noise of each code value, as a part of the codes' own deviation over the clip.

Sensor noise of one raw grey level a texel moves the codes of avatars that were tried by 0.3% (a
scanned head) to 4.9% (the procedural one) of it.
"""

MOST_FRAMES = 8
"""Every pixel of every frame counts, so few frames are enough."""


def still_segment(segment: Segment, noise: float = NOISE, seed: int = 0) -> Segment:
    """The segment's middle frame over and over, with Gaussian noise on its code.

    ``noise``: standard deviation over the root mean square deviation of the segment's codes from
    their mean. Head pose, camera and view direction stand still; there is no reference beyond the
    fp32 avatar's rendering. As long as the segment, but MOST_FRAMES at most.
    """
    middle, count = len(segment.frames) // 2, min(len(segment.frames), MOST_FRAMES)
    codes = segment.codes
    spread = float((codes - codes.mean(0)).square().mean().sqrt())
    draw = torch.randn(count, codes.shape[1], generator=torch.Generator().manual_seed(seed))
    return Segment(
        name=f"{segment.name}, still",
        frames=(segment.frames[middle],) * count,
        codes=codes[middle] + noise * spread * draw,
        transforms=np.repeat(segment.transforms[middle : middle + 1], count, axis=0),
        clips=tuple(_still_clip(clip, middle, count) for clip in segment.clips),
    )


def _still_clip(clip: Clip, middle: int, count: int) -> Clip:
    return replace(
        clip,
        directions=clip.directions[middle].expand(count, -1),
        reference=None,
        mask=still_mask(clip, count),
    )


def still_mask(clip: Clip, count: int) -> Mask:
    """(count, H, W): the middle frame's mask for every frame of a still clip."""
    middle = len(clip.mask) // 2
    return np.repeat(clip.mask[middle : middle + 1], count, axis=0)
