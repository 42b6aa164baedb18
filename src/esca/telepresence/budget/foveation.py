"""What a foveated picture costs against one of full resolution everywhere."""

import math

from esca.errors import EscaError


def pixel_share(field: float, sharp: float, coarse: float) -> float:
    """Pixels of a foveated picture against those of a full one.

    ``field``: width and height of the view in degrees; ``sharp``: radius of the disc in full
    resolution; ``coarse``: how much larger the other pixels are on each axis. The disc is inside
    the view and resolution is even in degrees: ``a + (1 - a) / coarse^2`` with the disc's share
    ``a = pi sharp^2 / field^2``. EscaError for a disc that does not fit or ``coarse`` below 1.
    """
    if not 0 <= 2 * sharp <= field or field <= 0:
        raise EscaError(f"gaze.sharp: {sharp:g} degrees do not fit into a view of {field:g}")
    if coarse < 1:
        raise EscaError(f"gaze.coarse: expected 1 or more, got {coarse:g}")
    disc = math.pi * (sharp / field) ** 2
    return disc + (1 - disc) / coarse**2


def raster_share(pixels: float, fixed: float) -> float:
    """Time of rasterizing against full resolution: ``fixed`` of it does not change with pixels."""
    return fixed + (1 - fixed) * pixels
