"""The table of methods, the same as a plot, and the published figures beside it."""

import math
from typing import Any

from markupsafe import Markup

from esca.report.inputs import ReportInputs
from esca.report.section import Section, figure, render
from esca.report.sections.published import PUBLISHED, PUBLISHED_VIEWS
from esca.report.sections.scores import Line, Scores, columns, scores
from esca.report.theme import ACCENT, INK, MARKERS, MUTED, SERIES, Margins, plotted, room

WIDTH = 760
ROW_HEIGHT = 25


def section(inputs: ReportInputs) -> Section:
    """Scores of every method."""
    table = scores(inputs.rows)
    html = render(
        "methods.html",
        table=table,
        columns=columns(table),
        plot=_plot(table),
        protocol=inputs.protocol,
        published=PUBLISHED,
        published_views=PUBLISHED_VIEWS,
    )
    return Section("Methods", "methods", html)


def _plot(table: Scores) -> Markup:
    """VDP of every method minus that of fp32 in the same view: views as marks, mean as a dot."""
    names: list[str] = []
    places: list[int] = []
    bits_places: list[int] = []
    lines: list[tuple[int, Line, bool]] = []
    for group in table.groups:
        bits_places.append(len(names))
        names.append(group.bits.upper())
        for line in group.lines:
            places.append(len(names))
            lines.append((len(names), line, line is group.best))
            names.append(line.label.method)
    description = "FovVideoVDP of every method minus that of fp32, by view and on the mean"
    margins = Margins(room(names, 12), 134, 40, 50)
    height = margins.top + margins.bottom + ROW_HEIGHT * len(names)
    with plotted("quality", WIDTH, height, margins, description) as plot:
        axes = plot.figure.add_subplot()
        axes.axvline(0, color=ACCENT, linewidth=1.6, zorder=1)
        losses = {
            view: [
                line.views[view].vdp - table.fp32.views[view].vdp
                if view in line.views and view in table.fp32.views
                else math.nan
                for _, line, _ in lines
            ]
            for view in table.views
        }
        for index, (view, values) in enumerate(losses.items()):
            axes.plot(
                values,
                places,
                MARKERS[1 + index % 7],
                color=SERIES[index % len(SERIES)],
                markersize=6,
                markeredgewidth=0,
                label=view,
            )
        for best, label in ((False, "mean of the views"), (True, "best of its bits")):
            axes.plot(
                [table.loss(line) for _, line, chosen in lines if chosen is best],
                [place for place, _, chosen in lines if chosen is best],
                "o",
                markersize=10,
                color=INK if best else "none",
                markeredgecolor=INK,
                markeredgewidth=1.6,
                zorder=4 if best else 1.5,
                label=label,
            )
        written = [(place, line.mean.vdp, table.loss(line), best) for place, line, best in lines]
        for place, mean, loss, best in written:
            weight = "bold" if best else "normal"
            _beside(axes, place, (figure(mean, 3), figure(loss, 3)), fontweight=weight)
        _beside(axes, -0.1, ("JOD", "to fp32"), color=MUTED)
        axes.set_yticks(range(len(names)), names)
        for place in bits_places:
            tick = axes.get_yticklabels()[place]
            tick.set_color(MUTED)
            tick.set_fontweight("bold")
        axes.set_ylim(len(names) - 0.4, -0.7)
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        axes.margins(x=0.05)
        axes.set_xlabel("JOD against fp32 in the same view (line: no loss)")
        plot.figure.legend(loc="upper center", ncols=len(table.views) + 2, columnspacing=1.5)
    return plot.svg


def _beside(axes: Any, place: float, words: tuple[str, str], **style: str) -> None:
    """Two right-aligned columns of text at the right of the axes."""
    for right, text in zip((1.1, 1.23), words, strict=True):
        axes.text(
            right,
            place,
            text,
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="right",
            fontsize=11.5,
            **style,
        )
