"""Pictures: fp32, a method of choice and the amplified difference, in each view."""

from dataclasses import dataclass

from esca.errors import EscaError
from esca.report.images import (
    ERROR_GAIN,
    ERROR_MAP,
    Picture,
    check_frame,
    error_map,
    gradient,
    picture,
    reduced,
    top_level,
)
from esca.report.inputs import Frame, Label, ReportInputs, ViewPictures
from esca.report.section import Section, options, render
from esca.report.sections.scores import scores

MOST_ROWS = 640
"""Larger pictures are averaged down to this height: the page has to stay small."""


@dataclass(frozen=True)
class Pair:
    """A method's picture, and how far it is from fp32."""

    key: int
    label: Label
    shown: Picture
    error: Picture


@dataclass(frozen=True)
class ViewRow:
    """One view: the pictures that stay, and a pair for each method."""

    view: str
    frame: str
    reference: Picture | None
    fp32: Picture
    pairs: tuple[Pair, ...]


def section(inputs: ReportInputs) -> Section | None:
    """A row of pictures for each view, with a chooser of the method."""
    labels = list(dict.fromkeys(label for view in inputs.views for label in view.methods))
    if not labels:
        return None
    html = render(
        "pictures.html",
        rows=[_row(view, labels) for view in inputs.views],
        groups=options(labels),
        chosen=_first_choice(inputs, labels),
        gain=ERROR_GAIN,
        gradient=gradient(ERROR_MAP),
        top=top_level(),
        most_rows=MOST_ROWS,
        reduced=any(view.fp32.shape[0] > MOST_ROWS for view in inputs.views),
    )
    return Section("Pictures", "pictures", html)


def _first_choice(inputs: ReportInputs, labels: list[Label]) -> int:
    """The best method at the fewest bits, if it has pictures; else the last."""
    best = [group.best.label for group in scores(inputs.rows).groups]
    pictured = [label for label in reversed(best) if label in labels]
    return labels.index(pictured[0]) if pictured else len(labels) - 1


def _row(view: ViewPictures, labels: list[Label]) -> ViewRow:
    pairs = []
    for key, label in enumerate(labels):
        if label not in view.methods:
            raise EscaError(f"report: view {view.view!r} has no picture of {label.text}")
        frame = view.methods[label]
        where = f"{label.text}, {view.view}"
        pairs.append(
            Pair(
                key,
                label,
                _shown(frame, where),
                _shown(error_map(frame, view.fp32), f"Error of {where}", quality=80),
            )
        )
    return ViewRow(
        view.view,
        view.frame,
        None if view.reference is None else _shown(view.reference, f"Reference, {view.view}"),
        _shown(view.fp32, f"fp32, {view.view}"),
        tuple(pairs),
    )


def _shown(frame: Frame, alt: str, quality: int = 90) -> Picture:
    check_frame(frame, alt)
    return picture(reduced(frame, MOST_ROWS), alt, quality)
