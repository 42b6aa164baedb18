"""Detectors of what goes wrong in quantized pictures: pure functions of arrays.

Each compares with the fp32 avatar's picture, answers 0 where nothing is wrong and has a limit:
beyond it the failure counts as there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from esca.errors import EscaError
from esca.evaluation.metrics import Mask, Video, changes

TILE = 48
"""Rows and columns of the crops in which flicker is looked for."""

FINE = 2.0
"""Detail is what a Gaussian blur of this standard deviation, in pixels, takes away."""

LEAST_DETAIL = 0.3
"""Root mean square of detail, in grey levels, that rounding to 8 bits makes of nothing."""

WINDOW = 16
"""Rows and columns of texels whose spectrum shows a checkerboard."""

PATCH = 64
"""Rows and columns of texels over which such spectra are averaged."""


@dataclass(frozen=True)
class Failure:
    """A kind of failure. ``unit``: of the detector's answer; ``limit``: the most that is fine."""

    title: str
    unit: str
    limit: float
    why: str


FAILURES: Mapping[str, Failure] = {
    "flicker": Failure(
        "Temporal flicker",
        "grey levels",
        1.0,
        "the smallest step that an 8-bit display shows; rounding both videos to 8 bits alone "
        "gives about 0.5",
    ),
    "blur": Failure(
        "Blurred eyes or mouth",
        "share of the detail lost",
        0.15,
        "people tell two contrasts apart from a difference of about 15% on",
    ),
    "checkerboard": Failure(
        "Checkerboard",
        "grey levels",
        1.0,
        "the smallest step of an 8-bit texture",
    ),
}


@dataclass(frozen=True)
class Spot:
    """Where in a video a failure is worst: frame, first row and first column of a tile."""

    frame: int
    row: int
    column: int
    amount: float


def worst_flicker(test: Video, reference: Video, mask: Mask, tile: int = TILE) -> Spot:
    """The tile that flickers most against the reference, (F, H, W, 3) both.

    ``amount``: :func:`esca.evaluation.metrics.flicker` inside that tile between ``frame`` and the
    one before, in grey levels. Tiles overlap by half and have at least half of their pixels in the
    mask. 0 for one frame. EscaError for shapes that differ.
    """
    best = Spot(0, 0, 0, 0.0)
    side = (min(tile, test.shape[1]), min(tile, test.shape[2]))
    step = (max(side[0] // 2, 1), max(side[1] // 2, 1))
    for number, change in enumerate(changes(test, reference, mask), start=1):
        both = torch.from_numpy(mask[number] & mask[number - 1]).float()[None]
        amount = torch.from_numpy(change.mean(axis=2)).float()[None] * both
        covered = functional.avg_pool2d(both, side, step)
        means = functional.avg_pool2d(amount, side, step) / covered.clamp_min(1e-9)
        means = torch.where(covered >= 0.5, means, torch.zeros(()))
        place = int(means.argmax())
        value = float(means.flatten()[place])
        if value > best.amount:
            row, column = divmod(place, means.shape[2])
            best = Spot(number, row * step[0], column * step[1], value)
    return best


def detail_loss(
    test: NDArray[np.uint8], reference: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> float:
    """Share of the reference's fine contrast that a picture (H, W, 3) has lost.

    ``1 - <d_test, d_ref> / <d_ref, d_ref>`` with ``d`` the picture minus its Gaussian blur of FINE
    pixels, summed over the mask and the channels: 0 for equal pictures, 1 where nothing of the
    detail is left, below 0 where it was sharpened. What noise adds is no detail of the reference
    and does not count; shifts of a part of a pixel do. 0 where the reference has less detail than
    LEAST_DETAIL.
    EscaError for shapes that differ.
    """
    if test.shape != reference.shape or test.ndim != 3:
        raise EscaError(
            f"pictures: expected two of one shape (H, W, 3), got {test.shape} and {reference.shape}"
        )
    own, ideal = _detail(test), _detail(reference)
    if mask is not None:
        inside = torch.from_numpy(np.ascontiguousarray(mask))
        own, ideal = own[:, inside], ideal[:, inside]
    energy = float(ideal.square().sum(dtype=torch.float64))
    kept = float((own * ideal).sum(dtype=torch.float64))
    return 1 - kept / energy if energy > LEAST_DETAIL**2 * ideal.numel() else 0.0


def checkerboard(error: NDArray[np.floating], period: int = 2) -> NDArray[np.float64]:
    """(h, w) strength of a pattern of ``period`` texels in each patch of an error (T, T, 3).

    Transposed convolutions of stride 2 give their output phases unlike errors: a pattern of period
    2 for the last of them, of 4 for the one before. Patches have PATCH rows and columns and start
    at every half of it. In each the power at the period's frequencies (in windows of WINDOW texels,
    periodic Hann, overlapping by half) minus what the neighbouring frequencies suggest for an error
    without a pattern; the answer is its square root over the channels' mean: the root mean square
    of the pattern, in the units of ``error``; ``A (-1)^(x + y)`` gives A. EscaError unless
    ``error`` is (T, T, 3) with T at least PATCH, and ``period`` 2 or 4.
    """
    if error.ndim != 3 or min(error.shape[:2]) < PATCH:
        raise EscaError(
            f"checkerboard: expected (T, T, 3) with T {PATCH} or more, got {error.shape}"
        )
    if period not in (2, 4):
        raise EscaError(f"checkerboard: period is {period}, expected 2 or 4")
    power = torch.stack([_power(error[..., channel]) for channel in range(error.shape[2])]).mean(0)
    total = torch.zeros(power.shape[2:], dtype=torch.float64)
    for row, column in _bins(period):
        total += power[row, column] - _neighbours(power, row, column)
    return total.clamp_min(0).sqrt().numpy()


def _power(plane: NDArray[np.floating]) -> Tensor:
    """(WINDOW, WINDOW, h, w) float64 power spectrum of each patch of a plane (T, T).

    A complex exponential of amplitude 1 has power 1.
    """
    hop = WINDOW // 2
    hann = torch.hann_window(WINDOW, periodic=True) / hop
    values = torch.from_numpy(np.ascontiguousarray(plane)).float()
    windows = values.unfold(0, WINDOW, hop).unfold(1, WINDOW, hop)
    power = torch.fft.fft2(windows * hann[:, None] * hann).abs().square()
    inside = PATCH // hop - 1
    pooled = functional.avg_pool2d(power.permute(2, 3, 0, 1), inside, PATCH // 2 // hop)
    return pooled.double()


def _bins(period: int) -> list[tuple[int, int]]:
    """Frequencies of a pattern: multiples of 1 / period but not of a shorter one, nor 0."""
    step = WINDOW // period
    coarser = {(y, x) for y in (0, 8) for x in (0, 8)} if period > 2 else {(0, 0)}
    every = [(y, x) for y in range(0, WINDOW, step) for x in range(0, WINDOW, step)]
    return [place for place in every if place not in coarser]


def _neighbours(power: Tensor, row: int, column: int) -> Tensor:
    """Geometric mean of the power two bins away on the axes on which a frequency is not 0.

    Two bins away the window lets nothing of the frequency itself through. Smooth errors fall with
    the frequency like a power, for which the geometric mean of both sides is near the middle.
    """
    rows = (-2, 2) if row else (0,)
    columns = (-2, 2) if column else (0,)
    sides = [power[(row + y) % WINDOW, (column + x) % WINDOW] for y in rows for x in columns]
    return torch.stack(sides).clamp_min(1e-30).log().mean(0).exp()


def _detail(picture: NDArray[np.uint8]) -> Tensor:
    """(3, H, W) picture minus its blur; the border pixel goes on beyond the border."""
    reach = int(3 * FINE)
    place = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-(place**2) / (2 * FINE**2))
    kernel = (kernel / kernel.sum()).float()
    planes = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[:, None].float()
    held = functional.pad(planes, (reach,) * 4, mode="replicate")
    across = functional.conv2d(held, kernel[None, None, None])
    return (planes - functional.conv2d(across, kernel[None, None, :, None]))[:, 0]
