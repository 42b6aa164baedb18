"""Beyond calibration: quality and clamping under stronger codes and other light."""

from collections.abc import Sequence

from markupsafe import Markup

from esca.evaluation.shift import ShiftRow
from esca.report.inputs import Label, ReportInputs
from esca.report.section import Section, options, render, short_names
from esca.report.sections.layers import percent
from esca.report.theme import MARKERS, SERIES, Margins, plotted, room

WIDTH = 760


def section(inputs: ReportInputs) -> Section | None:
    """Quality of every method under every shift as lines, and all figures as a table."""
    if not inputs.shifts:
        return None
    html = render(
        "shifts.html",
        rows=inputs.shifts,
        plot=_plot(inputs.shifts),
        percent=percent,
        label=Label,
        short=short_names(row.worst for row in inputs.shifts),
    )
    return Section("Beyond calibration", "shifts", html)


def _plot(rows: Sequence[ShiftRow]) -> Markup:
    names = list(dict.fromkeys(row.shift for row in rows))
    groups = options(dict.fromkeys(Label(row.method, row.bits) for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    known = {(row.shift, row.method, row.bits): row.vdp_fp32 for row in rows}
    margins = Margins(54, 6, 58, room(names, 10))
    height = 230 + margins.top + margins.bottom
    description = "FovVideoVDP against fp32 under every shift, for every method"
    with plotted("shift-quality", WIDTH, height, margins, description) as plot:
        plot.figure.subplots_adjust(wspace=0.05)
        panels = plot.figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        lines = {}
        for axes, (bits, members) in zip(panels, groups, strict=True):
            for option in members:
                index = methods.index(option.label.method)
                (lines[option.label.method],) = axes.plot(
                    range(len(names)),
                    [known.get((name, option.label.method, bits), float("nan")) for name in names],
                    MARKERS[index % len(MARKERS)],
                    linestyle="-",
                    color=SERIES[index % len(SERIES)],
                    markersize=5.5,
                    linewidth=1.1,
                )
            axes.set_title(bits.upper())
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=10)
            axes.grid(axis="x", visible=False)
        panels[0].set_ylabel("JOD against fp32")
        plot.figure.legend(
            lines.values(), lines.keys(), loc="upper center", ncols=min(len(lines), 7)
        )
    return plot.svg
