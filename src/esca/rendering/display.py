"""The dataset's display transform: from raw capture values to what a screen is given.

Captures store linear-ish values with a green cast. MultiFace's own pictures balance the channels,
subtract a black level and apply a square-root curve; nothing else in esca changes colours.
"""

import numpy as np
from numpy.typing import NDArray

GAINS = np.array([1.4, 1.1, 1.6], np.float32) / np.float32(1.1)
"""Factor of each channel (RGB) that removes the green cast."""

BLACK = 3 / 255
"""Raw level that is subtracted after the gains."""

SLOPE = 0.95 / (1 - BLACK)
OFFSET = 15 / 255
"""Display level that is subtracted after the square root."""


def to_display(raw: NDArray[np.floating]) -> NDArray[np.float32]:
    """Display values in [0, 1] of raw values in [0, 1]; any shape (..., 3), RGB last.

    ``clip(sqrt(0.95 / (1 - b) * clip(raw * gains - b, 0, 2)) - 15/255, 0, 1)`` with ``b = 3/255``.
    Pure raw green reaches 0.92, not 1.
    """
    balanced = np.asarray(raw, np.float32) * GAINS
    balanced -= np.float32(BLACK)
    np.clip(balanced, 0, 2, out=balanced)
    balanced *= np.float32(SLOPE)
    np.sqrt(balanced, out=balanced)
    balanced -= np.float32(OFFSET)
    return np.clip(balanced, 0, 1, out=balanced)


def display_gain(raw: NDArray[np.floating], step: float = 4 / 255) -> NDArray[np.float32]:
    """How much a small error of a raw value shows: the mean slope of :func:`to_display` around it.

    ``raw``: (..., 3) in [0, 1]. ``step``: how far the slope reaches to both sides; dark values,
    where the curve is steepest, show errors more than three times as much as bright ones.
    """
    raw = np.asarray(raw, np.float32)
    return (to_display(raw + step) - to_display(raw - step)) / np.float32(2 * step)


def from_display(display: NDArray[np.floating]) -> NDArray[np.float32]:
    """Raw values in [0, 1] that show as ``display`` in [0, 1]; any shape (..., 3), RGB last.

    The inverse of :func:`to_display` wherever raw values can show the colour. Display 0 becomes the
    largest raw value that shows as black (so it never becomes 0, which captures keep for "unseen");
    display values above what raw 1 shows (green above 0.92) become raw 1.
    """
    curve = np.asarray(display, np.float32) + np.float32(OFFSET)
    raw = (curve * curve / np.float32(SLOPE) + np.float32(BLACK)) / GAINS
    return np.clip(raw, 0, 1)
