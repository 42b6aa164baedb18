"""Means and spreads of results over seeds and subjects: pure arithmetic on rows."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from esca.study.store import number
from esca.study.study import Result

Row = dict[str, Any]
MEAN = "mean"


@dataclass(frozen=True)
class Spread:
    """``mean`` and sample standard deviation ``sd`` of ``count`` figures; 0 for a single one."""

    mean: float
    sd: float
    count: int

    def text(self, digits: int) -> str:
        """``9.123 ± 0.004``; without the spread where all figures are one."""
        if math.isnan(self.mean):
            return "–"
        if math.isinf(self.mean):
            return "∞"
        mean = f"{self.mean:.{digits}f}".replace("-", "−")
        return mean if self.count < 2 or not self.sd else f"{mean} ± {self.sd:.{digits}f}"


def spread(values: Iterable[float]) -> Spread:
    """Of some figures; NaN for none."""
    known = list(values)
    if not known:
        return Spread(math.nan, 0.0, 0)
    if any(math.isinf(value) for value in known):
        return Spread(math.inf, 0.0, len(known))
    deviation = statistics.stdev(known) if len(known) > 1 else 0.0
    return Spread(statistics.fmean(known), deviation, len(known))


def views_of(results: Sequence[Result]) -> list[str]:
    """Views of the results, in order."""
    return list(dict.fromkeys(row["view"] for result in results for row in result.data["rows"]))


def figure_of(result: Result, view: str, value: Callable[[Row, Row], float | None]) -> float:
    """A figure of one result in a view, or the mean over its views.

    ``value`` gets the method's row and the fp32 avatar's of the same view, and may give None where
    the view does not have the figure (a region out of sight). NaN where no view has it.
    """
    fp32 = {row["view"]: row for row in result.data["fp32"]}
    rows = [row for row in result.data["rows"] if view in (row["view"], MEAN)]
    values = [value(row, fp32[row["view"]]) for row in rows]
    known = [one for one in values if one is not None]
    return statistics.fmean(known) if known else math.nan


def spread_of(
    results: Iterable[Result], view: str, value: Callable[[Row, Row], float | None]
) -> Spread:
    """The same over several results; those without the figure do not count."""
    figures = (figure_of(result, view, value) for result in results)
    return spread(one for one in figures if not math.isnan(one))


def vdp(row: Row, fp32: Row) -> float:
    """FovVideoVDP against the reference, JOD."""
    return float(row["vdp"])


def fp32_vdp(row: Row, fp32: Row) -> float:
    """The same of the fp32 avatar."""
    return float(fp32["vdp"])


def loss(row: Row, fp32: Row) -> float:
    """JOD gained against the fp32 avatar in the same view; negative where something is lost."""
    return float(row["vdp"] - fp32["vdp"])


def of(key: str) -> Callable[[Row, Row], float | None]:
    """A figure of the row by its name; None for PSNR without any error counts as infinite."""
    return lambda row, fp32: number(row[key])


def region_psnr(region: str) -> Callable[[Row, Row], float | None]:
    """PSNR of a facial region in dB, where it is in sight."""

    def value(row: Row, fp32: Row) -> float | None:
        score = row["regions"].get(region)
        return None if score is None else number(score["psnr"])

    return value


def spent(results: Iterable[Result], key: str) -> Spread:
    """``calibration_seconds``, ``quantization_seconds`` or ``peak_memory`` of some results."""
    return spread(float(result.data["spent"][key]) for result in results)
