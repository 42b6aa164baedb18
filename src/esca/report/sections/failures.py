"""Failure gallery: the worst spot of each method for each kind of failure, and its number."""

from collections.abc import Sequence
from dataclasses import dataclass

from esca.evaluation.failures import FAILURES, Failure
from esca.evaluation.findings import Finding
from esca.report.images import (
    ERROR_GAIN,
    ERROR_MAP,
    Picture,
    error_colours,
    gradient,
    picture,
    top_level,
)
from esca.report.inputs import FP32, Label, ReportInputs
from esca.report.section import Section, figure, render


@dataclass(frozen=True)
class Spot:
    """A finding ready for the page; ``over``: beyond the failure's limit."""

    label: Label
    amount: str
    where: str
    over: bool
    fp32: Picture
    shown: Picture
    error: Picture


@dataclass(frozen=True)
class Group:
    """A kind of failure: worst methods first, and those in which nothing was found."""

    failure: Failure
    limit: str
    spots: tuple[Spot, ...]
    spotless: tuple[Label, ...]

    @property
    def over(self) -> tuple[Label, ...]:
        """Methods beyond the limit."""
        return tuple(spot.label for spot in self.spots if spot.over)


def section(inputs: ReportInputs) -> Section | None:
    """A group of crops for each kind of failure."""
    if inputs.findings is None:
        return None
    rows = (Label(row.method, row.bits) for row in inputs.rows if row.method != FP32)
    labels = list(dict.fromkeys(rows))
    groups = [_group(key, inputs.findings, labels) for key in FAILURES]
    html = render(
        "failures.html",
        groups=groups,
        methods=len(labels),
        gain=ERROR_GAIN,
        gradient=gradient(ERROR_MAP),
        top=top_level(),
    )
    return Section("Failure gallery", "failures", html)


def _group(key: str, findings: Sequence[Finding], labels: Sequence[Label]) -> Group:
    failure = FAILURES[key]
    own = sorted((f for f in findings if f.failure == key), key=lambda f: -f.amount)
    found = {Label(finding.method, finding.bits) for finding in own}
    return Group(
        failure,
        amount_text(key, failure.limit),
        tuple(_spot(finding, failure) for finding in own),
        tuple(label for label in labels if label not in found),
    )


def _spot(finding: Finding, failure: Failure) -> Spot:
    label = Label(finding.method, finding.bits)
    what = f"{failure.title}, {finding.where}"
    return Spot(
        label,
        amount_text(finding.failure, finding.amount),
        finding.where,
        finding.amount > failure.limit,
        picture(finding.fp32, f"{what}: fp32", quality=None),
        picture(finding.shown, f"{what}: {label.text}", quality=None),
        picture(error_colours(finding.error), f"{what}: error of {label.text}", quality=None),
    )


def amount_text(key: str, amount: float) -> str:
    """A detector's answer for people."""
    if key == "blur":
        return f"{figure(100 * amount, 1)} % lost"
    return f"{figure(amount, 2)} levels"
