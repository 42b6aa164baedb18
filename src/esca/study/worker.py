"""Calibration and quantization in a process of their own, timed, with their memory measured."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.errors import EscaError
from esca.evaluation.methods import method_of
from esca.evaluation.simulated import simulated_method
from esca.evaluation.videos import Method
from esca.quantization import Calibration, CalibrationConfig, Recipe, calibrate
from esca.quantization.published import RECIPE as PUBLISHED
from esca.quantization.published import published
from esca.quantization.stages import quantize_calibrated
from esca.runtime.artifact import Artifact, load_artifact, save_artifact
from esca.runtime.memory import peak_bytes, reset_peak
from esca.runtime.saturation import calibrated_shares


@dataclass(frozen=True)
class Order:
    """One calibration that several recipes share.

    ``like``: any of the recipes; they need the same Hessians, so that the time of the calibration
    is that of each of them.
    """

    capture: Path
    avatar: Path
    config: CalibrationConfig
    like: Recipe


@dataclass(frozen=True)
class Spent:
    """What a recipe took: seconds, and the most resident bytes of the process meanwhile.

    ``peak_memory``: the larger of the calibration's and the quantization's peak.
    """

    calibration_seconds: float
    quantization_seconds: float
    peak_memory: int


class Worker:
    """A fresh process that calibrates once and quantizes by recipe after recipe."""

    def __init__(self, order: Order, pool: ProcessPoolExecutor) -> None:
        self.order, self.pool = order, pool

    def make(self, recipe: Recipe, folder: Path) -> tuple[Method, Spent]:
        """What a recipe makes, by way of a file in ``folder``: an artifact run on integers, or the
        float simulation of the published configuration. EscaError if the process was killed.
        """
        try:
            if recipe.name == PUBLISHED.name:
                path = folder / "one.pt"
                spent = self.pool.submit(_simulate, self.order, recipe, path).result()
                # Written a moment ago by this process's own child.
                return simulated_method(torch.load(path, weights_only=False)), spent
            path = folder / "one.esca"
            spent = self.pool.submit(_make, self.order, recipe, path).result()
            return method_of(load_artifact(path)), spent
        except BrokenProcessPool as error:
            raise EscaError(
                f"study: the process that made {recipe.name} {recipe.label} was ended from "
                "outside; is there enough memory?"
            ) from error


@contextmanager
def worker(order: Order) -> Iterator[Worker]:
    """A worker; its process starts with the first recipe and ends with the block."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield Worker(order, pool)


@dataclass(frozen=True, eq=False)
class _Calibrated:
    calibration: Calibration
    seconds: float
    peak: int


@cache
def _calibrated(order: Order) -> _Calibrated:
    avatar, capture = load_avatar(order.avatar), open_capture(order.capture)
    reset_peak()
    start = time.perf_counter()
    calibration = calibrate(avatar, capture, order.config, recipes=[order.like])
    return _Calibrated(calibration, time.perf_counter() - start, peak_bytes())


def _simulate(order: Order, recipe: Recipe, path: Path) -> Spent:
    known = _calibrated(order)
    reset_peak()
    start = time.perf_counter()
    simulation = published(known.calibration, recipe.bits)
    seconds, peak = time.perf_counter() - start, peak_bytes()
    torch.save(simulation, path)
    return Spent(known.seconds, seconds, max(known.peak, peak))


def _make(order: Order, recipe: Recipe, artifact: Path) -> Spent:
    known = _calibrated(order)
    reset_peak()
    start = time.perf_counter()
    quantized = quantize_calibrated(known.calibration, recipe).quantized
    seconds, peak = time.perf_counter() - start, peak_bytes()
    shares = calibrated_shares(quantized, known.calibration.statistics)
    save_artifact(Artifact(quantized, {"clamped": shares}), artifact)
    return Spent(known.seconds, seconds, max(known.peak, peak))
