import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from esca.errors import EscaError
from esca.viewer.heat import (
    BLACK_LUMINANCE,
    PEAK_LUMINANCE,
    band_frequency,
    luminance,
    sensitivity,
    texels_per_degree,
    visible_error,
)

SMOOTH = np.array([1, 3, 3, 1]) / 4


def halved(values: np.ndarray) -> np.ndarray:
    return convolve2d(values, np.full((2, 2), 0.25), "valid")[::2, ::2]


def doubled(values: np.ndarray) -> np.ndarray:
    """Zeros between the values, then a plain convolution; edges go on."""
    padded = np.pad(values, 1, mode="edge")
    spread = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
    spread[::2, ::2] = padded
    return convolve2d(spread, np.outer(SMOOTH, SMOOTH), "full")[3:-4, 3:-4]


def plain_error(test: np.ndarray, reference: np.ndarray, scale: float, count: int) -> np.ndarray:
    adapted = reference.mean() + BLACK_LUMINANCE
    difference, base, energies = test - reference, reference, []
    for band in range(count):
        low, ground = doubled(halved(difference)), doubled(halved(base))
        weight = sensitivity(band_frequency(band) * scale, adapted)
        energies.append(((difference - low) / (ground + BLACK_LUMINANCE) * weight) ** 2)
        difference, base = halved(difference), halved(base)
    total = energies[-1]
    for energy in energies[-2::-1]:
        total = energy + doubled(total)
    return np.sqrt(total)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_equals_plain_convolutions(seed, count):
    generator = np.random.default_rng(seed)
    reference = generator.uniform(1, 150, (24, 16))
    test = np.clip(reference + generator.normal(0, 5, reference.shape), 0, 200)
    made = visible_error(test, reference, 19.0, count)
    np.testing.assert_allclose(made, plain_error(test, reference, 19.0, count), rtol=1e-6)


def test_equal_pictures_have_no_error_and_a_flat_offset_only_a_faint_one():
    base = np.full((64, 64), 40.0, np.float32)
    assert float(visible_error(base, base, 19.0).max()) == 0
    assert float(visible_error(base * 1.1, base, 19.0).max()) < 1e-3


def test_a_grating_is_seen_in_the_band_of_its_frequency_with_its_contrast():
    wave = np.sin(2 * np.pi * band_frequency(1) * np.arange(256, dtype=np.float32))
    base = np.full((256, 256), 40.0, np.float32)
    scale = 19.0
    made = visible_error(base * (1 + 0.02 * wave), base, scale)
    peak = sensitivity(band_frequency(1) * scale, 40.5) * 0.02
    assert 0.5 * peak < float(made[64:192, 64:192].max()) < 1.5 * peak


def test_bands_are_most_sensitive_where_they_say():
    frequencies = np.linspace(0.005, 0.5, 400)
    for band in (1, 2, 3):
        own = np.cos(np.pi * 2**band * frequencies) ** 4
        before = np.prod([np.cos(np.pi * 2**k * frequencies) ** 4 for k in range(band)], axis=0)
        response = before * (1 - own)
        response[frequencies > 0.5 / 2**band] = 0
        assert frequencies[response.argmax()] == pytest.approx(band_frequency(band), rel=0.1)


def test_sides_must_halve_as_often_as_there_are_bands():
    with pytest.raises(EscaError, match="texture: 24 x 20, expected multiples of 8"):
        visible_error(np.ones((24, 20)), np.ones((24, 20)), 19.0, 3)


def test_luminance_of_display_colours():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    part = picture / 255
    light = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    expected = PEAK_LUMINANCE * light @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(luminance(picture), expected, rtol=1e-5)


def test_sensitivity_has_its_peak_at_a_few_cycles_and_grows_with_light():
    frequencies = np.linspace(0.2, 40, 400)
    values = [sensitivity(f, 100.0) for f in frequencies]
    assert 1.5 < frequencies[int(np.argmax(values))] < 6
    assert values[-1] < 0.05 * max(values)
    assert sensitivity(4, 100) > sensitivity(4, 1)


def test_viewing_geometry():
    assert texels_per_degree(1.0, 1000.0) == pytest.approx(17.455, abs=1e-3)
