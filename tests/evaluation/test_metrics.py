import math

import numpy as np
import pytest
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.evaluation.metrics import flicker, psnr, ssim

Video = NDArray[np.uint8]


def noisy(seed: int = 0, size: tuple[int, ...] = (2, 20, 24, 3)) -> tuple[Video, Video]:
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, size)
    blurred = (base + np.roll(base, 1, 1) + np.roll(base, 1, 2) + np.roll(base, 2, 1)) // 4
    test = np.clip(blurred + random.normal(0, 12, size), 0, 255)
    return test.astype(np.uint8), blurred.astype(np.uint8)


def brute_ssim(test: Video, reference: Video) -> NDArray[np.float64]:
    """Wang et al. window by window, (F, H - 10, W - 10, 3)."""
    place = np.arange(11) - 5
    line = np.exp(-(place**2) / (2 * 1.5**2))
    window = np.outer(line, line)
    window /= window.sum()
    frames, rows, columns, _ = test.shape
    result = np.zeros((frames, rows - 10, columns - 10, 3))
    for f, i, j, c in np.ndindex(result.shape):
        x = test[f, i : i + 11, j : j + 11, c].astype(float)
        y = reference[f, i : i + 11, j : j + 11, c].astype(float)
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
        cov = (window * (x - mx) * (y - my)).sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        top = (2 * mx * my + c1) * (2 * cov + c2)
        result[f, i, j, c] = top / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return result


def test_psnr_of_a_known_error() -> None:
    reference = np.full((3, 4, 5, 3), 100, np.uint8)
    assert psnr(reference + np.uint8(5), reference) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(reference - np.uint8(5), reference) == psnr(reference + np.uint8(5), reference)
    assert psnr(reference, reference) == math.inf


def test_psnr_pools_the_error_over_frames_and_mask() -> None:
    test, reference = noisy()
    mask = np.random.default_rng(2).random(test.shape[:3]) < 0.3
    error = (test.astype(float) - reference)[mask]
    expected = 10 * math.log10(255**2 / np.mean(error**2))
    assert psnr(test, reference, mask) == pytest.approx(expected)


def test_ssim_is_the_published_one() -> None:
    test, reference = noisy()
    expected = brute_ssim(test, reference)
    assert ssim(test, reference) == pytest.approx(expected.mean(), abs=1e-5)
    mask = np.random.default_rng(3).random(test.shape[:3]) < 0.4
    inner = expected[mask[:, 5:-5, 5:-5]]
    assert ssim(test, reference, mask) == pytest.approx(inner.mean(), abs=1e-5)


def test_ssim_agrees_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    test, reference = noisy(5, (1, 40, 40, 3))
    expected = metrics.structural_similarity(
        test[0],
        reference[0],
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim(test, reference) == pytest.approx(expected, abs=1e-5)


def test_flicker_ignores_what_stands_still() -> None:
    reference = np.random.default_rng(0).integers(50, 200, (4, 6, 6, 3)).astype(np.uint8)
    assert flicker(reference + np.uint8(30), reference) == 0
    blinking = reference.copy()
    blinking[1::2] += 4
    assert flicker(blinking, reference) == pytest.approx(4)
    assert flicker(blinking[:1], reference[:1]) == 0


def test_flicker_counts_pixels_that_the_mask_has_in_both_frames() -> None:
    reference = np.zeros((2, 2, 2, 3), np.uint8)
    test = reference.copy()
    test[1, 0, 0], test[1, 1, 1] = 10, 100
    mask = np.ones((2, 2, 2), bool)
    mask[0, 1, 1] = False
    assert flicker(test, reference, mask) == pytest.approx(10 / 3)


@pytest.mark.parametrize("metric", [psnr, ssim, flicker])
def test_what_does_not_fit_is_named(metric) -> None:
    test, reference = noisy()
    with pytest.raises(EscaError, match="videos: expected two of one shape"):
        metric(test[:, 1:], reference)
    with pytest.raises(EscaError, match="mask: expected"):
        metric(test, reference, np.ones((2, 3, 3), bool))


def test_an_empty_mask_and_small_pictures_are_named() -> None:
    test, reference = noisy()
    empty = np.zeros(test.shape[:3], bool)
    with pytest.raises(EscaError, match="mask: holds no pixel"):
        psnr(test, reference, empty)
    with pytest.raises(EscaError, match="mask: holds no pixel"):
        ssim(test, reference, empty)
    with pytest.raises(EscaError, match="11 x 11 pixels or more"):
        ssim(test[:, :10], reference[:, :10])
