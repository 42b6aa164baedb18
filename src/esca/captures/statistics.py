"""Mean and scalar variance of textures and of vertices, streaming: memory does not grow.

The variance is the mean, over all elements of all frames, of the squared deviation from the
element's own mean. With ``sum_e``, ``n_e`` of an element that is
``(sum x^2 - sum_e(sum_e^2 / n_e)) / sum n_e``: only sums have to be kept, and x^2 as one number.
"""

import numpy as np
from numpy.typing import NDArray

_SQUARES = np.arange(256, dtype=np.int64) ** 2


class TextureStatistics:
    """Statistics of (T, T, 3) uint8 textures; values of 0 are unseen and do not count.

    Sums are integers, so the result does not depend on the order of the textures.
    """

    def __init__(self, size: int) -> None:
        self._sum = np.zeros((size, size, 3), dtype=np.uint32)
        self._seen = np.zeros((size, size, 3), dtype=np.uint32)
        self._square = 0

    def add(self, texture: NDArray[np.uint8]) -> None:
        """Count one texture."""
        self._sum += texture
        self._seen += texture != 0
        self._square += int(np.bincount(texture.ravel(), minlength=256) @ _SQUARES)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(T, T, 3) mean of the seen values; 0 where nothing was ever seen."""
        return self._sum / np.maximum(self._seen, 1)

    @property
    def variance(self) -> float:
        """Scalar variance of the seen values; 0 where nothing varies."""
        count = int(self._seen.sum(dtype=np.int64))
        explained = float((self._sum * self.mean).sum())
        return max((self._square - explained) / count, 0.0) if count else 0.0


class VertexStatistics:
    """Statistics of flat float32 vertices, (3V,) mm."""

    def __init__(self, values: int) -> None:
        self._mean = np.zeros(values)
        self._square = 0.0
        self._count = 0

    def add(self, vertices: NDArray[np.float32]) -> None:
        """Count one frame (Welford's update: differences of large sums would lose digits)."""
        self._count += 1
        before = vertices - self._mean
        self._mean += before / self._count
        self._square += float(before @ (vertices - self._mean))

    @property
    def mean(self) -> NDArray[np.float64]:
        """(3V,) mean in mm."""
        return self._mean

    @property
    def variance(self) -> float:
        """Scalar variance in mm squared."""
        return self._square / (self._count * self._mean.size) if self._count else 0.0
