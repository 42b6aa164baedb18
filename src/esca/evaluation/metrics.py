"""Picture metrics on 8-bit display values: pure functions of arrays.

Videos are (F, H, W, 3) uint8, display-encoded. A mask (F, H, W) limits a figure to its pixels.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from esca.errors import EscaError

Video = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PEAK = 255.0
WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def psnr(test: Video, reference: Video, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, peak 255, of the mean squared error over the whole video.

    The error is pooled over frames, pixels and channels before the logarithm. Infinite for equal
    videos. EscaError for shapes that differ or a mask without a pixel.
    """
    _check(test, reference, mask)
    total, count = 0.0, 0
    for number in range(len(test)):
        error = (test[number].astype(np.int32) - reference[number]) ** 2
        if mask is not None:
            error = error[mask[number]]
        total += float(error.sum())
        count += error.size
    if not count:
        raise EscaError("mask: holds no pixel, expected at least one")
    return 10 * math.log10(PEAK**2 * count / total) if total else math.inf


def ssim(test: Video, reference: Video, mask: Mask | None = None) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004): mean over frames, channels and pixels.

    11 x 11 Gaussian window, sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, population statistics; only
    windows that lie wholly inside the picture count, and with a mask only those whose centre is in
    it. EscaError for shapes that differ, pictures smaller than the window or an empty mask.
    """
    _check(test, reference, mask)
    if min(test.shape[1:3]) < WINDOW:
        raise EscaError(f"ssim: expected pictures of {WINDOW} x {WINDOW} pixels or more")
    border = WINDOW // 2
    total, count = 0.0, 0
    for number in range(len(test)):
        values = _ssim_map(_planes(test[number]), _planes(reference[number]))
        if mask is not None:
            inner = np.ascontiguousarray(mask[number, border:-border, border:-border])
            values = values[:, torch.from_numpy(inner)]
        total += float(values.sum(dtype=torch.float64))
        count += values.numel()
    if not count:
        raise EscaError("mask: holds no pixel inside the border, expected at least one")
    return total / count


def flicker(test: Video, reference: Video, mask: Mask | None = None) -> float:
    """Mean absolute difference, in grey levels, of the two videos' changes from frame to frame.

    ``mean |(test_t - test_(t-1)) - (ref_t - ref_(t-1))|`` over the pixels that the mask has in both
    frames and over channels: 0 for an error that stands still, however large. 0 for one frame.
    """
    total, count = 0.0, 0
    for number, change in enumerate(changes(test, reference, mask), start=1):
        if mask is not None:
            change = change[mask[number] & mask[number - 1]]
        total += float(change.sum())
        count += change.size
    return total / count if count else 0.0


def changes(test: Video, reference: Video, mask: Mask | None = None) -> Iterator[NDArray[np.int32]]:
    """(H, W, 3) size of the two videos' difference in change, for each frame after the first."""
    _check(test, reference, mask)
    before = test[0].astype(np.int32) - reference[0]
    for number in range(1, len(test)):
        now = test[number].astype(np.int32) - reference[number]
        yield np.abs(now - before)
        before = now


def _check(test: Video, reference: Video, mask: Mask | None) -> None:
    if test.shape != reference.shape or test.ndim != 4 or not test.size:
        raise EscaError(
            "videos: expected two of one shape (F, H, W, 3), "
            f"got {test.shape} and {reference.shape}"
        )
    if mask is not None and mask.shape != test.shape[:3]:
        raise EscaError(f"mask: expected {test.shape[:3]} as the video, got {mask.shape}")


def _planes(picture: Video) -> Tensor:
    """(C, 1, H, W) float32 of an (H, W, C) picture."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[:, None].float()


def _ssim_map(test: Tensor, reference: Tensor) -> Tensor:
    """(C, H - 10, W - 10) SSIM of two (C, 1, H, W) pictures."""
    place = torch.arange(WINDOW) - WINDOW // 2
    window = torch.exp(-(place**2) / (2 * SIGMA**2))
    window = window / window.sum()

    def blur(planes: Tensor) -> Tensor:
        return functional.conv2d(
            functional.conv2d(planes, window[None, None, None]), window[None, None, :, None]
        )

    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    mean_t, mean_r = blur(test), blur(reference)
    variance_t = blur(test * test) - mean_t * mean_t
    variance_r = blur(reference * reference) - mean_r * mean_r
    covariance = blur(test * reference) - mean_t * mean_r
    top = (2 * mean_t * mean_r + c1) * (2 * covariance + c2)
    bottom = (mean_t**2 + mean_r**2 + c1) * (variance_t + variance_r + c2)
    return (top / bottom)[:, 0]
