"""Failures injected by a known amount, found by that amount."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from esca.errors import EscaError
from esca.evaluation.failures import (
    FAILURES,
    FINE,
    TILE,
    checkerboard,
    detail_loss,
    worst_flicker,
)
from esca.evaluation.metrics import flicker

SIZE = (5, 120, 96, 3)


def clip(seed: int = 0) -> np.ndarray:
    """A moving pattern with margins to 0 and 255."""
    row, column = np.mgrid[: SIZE[1], : SIZE[2]]
    frames = [90 + 40 * np.sin((row + 2 * t) / 7) + 30 * np.cos(column / 5) for t in range(SIZE[0])]
    return np.stack([np.stack([f, f + 10, f + 20], -1) for f in frames]).astype(np.uint8)


def full(video: np.ndarray) -> np.ndarray:
    return np.ones(video.shape[:3], bool)


@pytest.mark.parametrize("amount", [1, 4, 12])
def test_flicker_is_found_where_it_is_and_by_its_amount(amount: int) -> None:
    video = clip()
    test = video.copy()
    test[3, 24:72, 48:96] += np.uint8(amount)
    spot = worst_flicker(test, video, full(video))
    assert (spot.frame, spot.row, spot.column) == (3, 24, 48)
    assert spot.amount == pytest.approx(amount)
    tile = (slice(2, 4), slice(24, 72), slice(48, 96))
    assert spot.amount == pytest.approx(flicker(test[tile], video[tile]))


def test_no_flicker_in_an_error_that_stands_still_nor_outside_the_mask() -> None:
    video, mask = clip(), full(clip())
    assert worst_flicker(video + np.uint8(20), video, mask).amount == 0
    assert worst_flicker(video[:1] + np.uint8(9), video[:1], mask[:1]).amount == 0
    test = video.copy()
    test[2, :60] += np.uint8(50)
    mask[:, :60] = False
    assert worst_flicker(test, video, mask).amount == 0


def test_rounding_alone_stays_below_the_limit() -> None:
    random = np.random.default_rng(0)
    real = random.uniform(50, 200, SIZE)
    test = np.rint(real + random.uniform(-0.5, 0.5, SIZE)).astype(np.uint8)
    amount = worst_flicker(test, np.rint(real).astype(np.uint8), full(test)).amount
    assert 0.3 < amount < FAILURES["flicker"].limit


def wave(frequency: float, amplitude: float = 60.0) -> np.ndarray:
    column = np.arange(200)
    line = 128 + amplitude * np.sin(2 * np.pi * frequency * column)
    return np.rint(np.broadcast_to(line[None, :, None], (60, 200, 3))).astype(np.uint8)


@pytest.mark.parametrize("kept", [1.0, 0.9, 0.5, 0.0])
def test_lost_contrast_is_the_answer(kept: float) -> None:
    inner = np.zeros((60, 200), bool)
    inner[:, 20:-20] = True
    found = detail_loss(wave(0.15, 60 * kept), wave(0.15), inner)
    assert found == pytest.approx(1 - kept, abs=0.02)


def test_a_gaussian_blur_takes_what_its_transfer_function_says() -> None:
    sigma, frequency = 1.5, 0.1
    sharp = wave(frequency)
    reach = np.arange(-8, 9)
    kernel = np.exp(-(reach**2) / (2 * sigma**2))
    line = np.convolve(sharp[0, :, 0].astype(float), kernel / kernel.sum(), mode="same")
    blurred = np.rint(np.broadcast_to(line[None, :, None], sharp.shape)).astype(np.uint8)
    inner = np.zeros(sharp.shape[:2], bool)
    inner[:, 20:-20] = True
    expected = 1 - math.exp(-2 * (math.pi * sigma * frequency) ** 2)
    assert detail_loss(blurred, sharp, inner) == pytest.approx(expected, abs=0.02)


def test_blur_is_monotone_and_noise_is_no_blur() -> None:
    random = np.random.default_rng(1)
    base = Image.fromarray(random.integers(0, 256, (80, 90, 3), dtype=np.uint8))
    sharp = base.filter(ImageFilter.GaussianBlur(0.8))
    ideal = np.asarray(sharp)
    found = [
        detail_loss(np.asarray(sharp.filter(ImageFilter.GaussianBlur(r))), ideal)
        for r in (0, 0.5, 1, 2, 4)
    ]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[1] > 0.1
    assert 0.75 < found[-1] <= 1
    noisy = np.clip(ideal + random.normal(0, 6, ideal.shape), 0, 255).astype(np.uint8)
    assert abs(detail_loss(noisy, ideal)) < 0.02
    assert detail_loss(np.full_like(ideal, 7), ideal) == pytest.approx(1, abs=1e-6)
    assert detail_loss(ideal, np.full_like(ideal, 7)) == 0
    assert FINE < TILE


def pattern(period: int, which: str, size: int = 64) -> np.ndarray:
    row, column = np.mgrid[:size, :size]
    made = {"rows": row, "columns": column, "both": row + column}[which] % period
    return np.where(made < period / 2, 1.0, -1.0)[..., None] * np.ones(3)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.1, 20),
    st.sampled_from(["rows", "columns", "both"]),
    st.floats(-30, 30),
)
def test_a_checkerboard_gives_its_amplitude(amount: float, which: str, offset: float) -> None:
    found = checkerboard(amount * pattern(2, which) + offset)
    assert found == pytest.approx(np.full_like(found, amount), rel=1e-4)


def test_phases_with_errors_of_their_own_are_a_checkerboard() -> None:
    phases = np.array([[1.0, -2.0], [0.5, 0.5]])
    error = np.tile(phases, (32, 32))[..., None] * np.ones(3)
    found = checkerboard(error)
    assert found == pytest.approx(np.full_like(found, phases.std()), rel=1e-4)
    coarse = np.kron(np.tile(phases, (16, 16)), np.ones((2, 2)))[..., None] * np.ones(3)
    assert checkerboard(coarse).max() < 1e-4
    assert checkerboard(coarse, 4) == pytest.approx(np.full((1, 1), phases.std()), rel=1e-4)


def test_smooth_errors_and_noise_are_no_checkerboard() -> None:
    row, column = np.mgrid[:128, :128] / 128
    smooth = 20 * np.stack([np.sin(6 * row), np.cos(5 * column), row + column], -1)
    assert checkerboard(np.zeros((64, 64, 3))).max() == 0
    assert checkerboard(smooth).max() < 0.02
    assert checkerboard(smooth, 4).max() < 0.3
    noise = np.random.default_rng(2).normal(0, 4, (256, 256, 3))
    pooled = [math.sqrt(np.square(checkerboard(noise, p)).mean()) for p in (2, 4)]
    assert max(pooled) < 0.05 * 4
    assert max(checkerboard(noise, p).max() for p in (2, 4)) < FAILURES["checkerboard"].limit
    found = [checkerboard(noise + a * pattern(2, "both", 256)).mean() for a in (0, 1, 2, 4)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(4, rel=0.1)


def test_bad_shapes_are_named() -> None:
    video = clip()
    with pytest.raises(EscaError, match="videos: expected two of one shape"):
        worst_flicker(video[:, :-1], video, full(video))
    with pytest.raises(EscaError, match="pictures: expected two of one shape"):
        detail_loss(video[0, :-1], video[0])
    with pytest.raises(EscaError, match=r"checkerboard: expected .* 64 or more"):
        checkerboard(np.zeros((8, 8, 3)))
    with pytest.raises(EscaError, match="period is 3, expected 2 or 4"):
        checkerboard(np.zeros((64, 64, 3)), 3)
