"""FovVideoVDP: the difference of two videos as people see it, in JOD.

Mantiuk et al., "FovVideoVDP: A visible difference predictor for wide field-of-view video", ACM TOG
2021, through the authors' package ``pyfvvdp`` (extra ``vdp``). That package is licensed CC BY-NC
4.0: it may not be used commercially without its authors' consent.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from esca.errors import EscaError

_OF_THREAD = threading.local()


def jod(
    test: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    display: str = "standard_fhd",
    fps: float = 30,
    foveated: bool = False,
    fixation: ArrayLike | None = None,
) -> float:
    """Quality of ``test`` in JOD: 10 is no visible difference, 1 less is seen by 75% of viewers.

    ``test``, ``reference``: (F, H, W, 3) uint8, display-encoded sRGB, of one shape; each video
    pixel is one pixel of ``display`` (see :func:`displays`). ``foveated``: eccentricity counts,
    from ``fixation`` (x, y) or one such row a frame, in pixels (default: the middle). Frames are
    taken one at a time, so memory does not grow with their number beyond the videos. Runs on one
    CPU thread (pictures of a head are too small to gain from more) and may be called from several
    threads at once; uses CUDA where there is one.
    EscaError without pyfvvdp, for an unknown display or for videos that do not fit.
    """
    if test.shape != reference.shape or test.ndim != 4 or test.shape[-1] != 3 or not test.size:
        raise EscaError(
            "videos: expected two of one shape (F, H, W, 3), "
            f"got {test.shape} and {reference.shape}"
        )
    if test.dtype != np.uint8 or reference.dtype != np.uint8:
        raise EscaError(f"videos: expected uint8, got {test.dtype} and {reference.dtype}")
    metric = _metric(display, foveated)
    point = None if fixation is None else np.asarray(fixation, np.float32)
    with torch.no_grad(), _one_thread():
        score, _ = metric.predict(
            torch.from_numpy(np.ascontiguousarray(test)),
            torch.from_numpy(np.ascontiguousarray(reference)),
            dim_order="FHWC",
            frames_per_second=fps,
            fixation_point=point,
        )
    return float(score)


def displays() -> tuple[str, ...]:
    """Names of the displays that pyfvvdp knows."""
    package = _package()
    return tuple(package.utils.json2dict(package.utils.config_files.find("display_models.json")))


def check_display(display: str) -> None:
    """EscaError if pyfvvdp is missing or does not know ``display``."""
    if display not in displays():
        raise EscaError(f"display: expected one of {', '.join(displays())}, got {display!r}")


def _package() -> Any:
    try:
        import pyfvvdp
    except ImportError as error:
        raise EscaError(
            "FovVideoVDP: not installed; pip install esca[vdp] (pyfvvdp, CC BY-NC 4.0)"
        ) from error
    return pyfvvdp


def _metric(display: str, foveated: bool) -> Any:
    """The metric of this thread, made once: it keeps state between frames."""
    made = _OF_THREAD.__dict__.setdefault("metrics", {})
    if (display, foveated) not in made:
        made[display, foveated] = _new_metric(display, foveated)
    return made[display, foveated]


def _new_metric(display: str, foveated: bool) -> Any:
    package = _package()
    check_display(display)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    metric = package.fvvdp(display_name=display, foveated=foveated, quiet=True, device=device)
    if not foveated:
        metric.cached_sensitivity = partial(_sensitivity, metric, metric.cached_sensitivity, {})
    return metric


def _sensitivity(
    metric: Any,
    whole: Callable[..., Tensor],
    known: dict[tuple[str, float], tuple[Tensor, Tensor]],
    rho: Tensor,
    omega: Tensor,
    luminance: Tensor,
    ecc: Tensor,
    sigma: Tensor,
) -> Tensor:
    """Contrast sensitivity where all pixels of a band share one frequency and eccentricity.

    The package interpolates over frequency, luminance and eccentricity for every pixel, half of the
    metric's time. Without foveation only the luminance varies, so ``whole`` is asked at the
    luminances of its own table, kept in ``known`` for each band, and what lies in between follows
    from one interpolation.
    """
    table = metric.get_cache_key(omega, sigma, metric.k_cm)
    band = table, float(rho.flatten()[0])
    if band not in known:
        levels = metric.csf_cache[table]["lut"]["Y"].to(luminance.dtype).flatten()
        same = torch.ones_like(levels)
        nodes = whole(same * band[1], omega, levels, same * ecc.flatten()[0], sigma)
        known[band] = levels.log2(), nodes.log2()
    places, values = known[band]
    return _interpolated(places, values, luminance.log2()).exp2()


def _interpolated(places: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """``values`` at rising ``places`` (N,), linear in between, clamped outside; shape of ``at``."""
    right = torch.bucketize(at, places).clamp(1, len(places) - 1)
    left = right - 1
    part = ((at - places[left]) / (places[right] - places[left])).clamp(0, 1)
    return torch.lerp(values[left], values[right], part)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread inside; whatever was set before comes back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
