"""The table of methods, the same as a plot, and the published figures beside it."""

from markupsafe import Markup

from esca.report.inputs import ReportInputs
from esca.report.section import Section, render
from esca.report.sections.published import PUBLISHED, PUBLISHED_VIEWS
from esca.report.sections.scores import Scores, columns, scores
from esca.report.theme import ACCENT, INK, LINE, MARKERS, MUTED, SERIES, SURFACE, plotted

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
    """Mean VDP of every method as a dot, its views as small marks, fp32 as a line."""
    count = sum(len(group.lines) + 1 for group in table.groups)
    description = "FovVideoVDP of every method, mean and single views, against fp32"
    with plotted("quality", 760, 74 + ROW_HEIGHT * count, description) as plot:
        axes = plot.figure.add_subplot()
        top = table.fp32.mean.vdp
        axes.axvline(top, color=ACCENT, linewidth=1.6, zorder=1)
        axes.annotate(
            f"fp32 {top:.3f}",
            (top, 1),
            (0, 5),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=ACCENT,
        )
        place, ticks, names = 0, [], []
        for group in table.groups:
            ticks.append(place)
            names.append(group.bits.upper())
            place += 1
            for line in group.lines:
                values = [line.views[view].vdp for view in table.views if view in line.views]
                axes.plot(
                    [min(values), max(values)], [place, place], color=LINE, linewidth=5, zorder=1.5
                )
                for index, view in enumerate(table.views):
                    if view in line.views:
                        axes.plot(
                            line.views[view].vdp,
                            place,
                            MARKERS[1 + index % 7],
                            color=SERIES[index % len(SERIES)],
                            markersize=5.5,
                            markeredgewidth=0,
                        )
                best = line is group.best
                axes.plot(
                    line.mean.vdp,
                    place,
                    "o",
                    markersize=9.5,
                    color=INK if best else SURFACE,
                    markeredgecolor=INK,
                    markeredgewidth=1.6,
                    zorder=4,
                )
                ticks.append(place)
                names.append(line.label.method)
                place += 1
        axes.set_yticks(ticks, names)
        for tick, name in zip(axes.get_yticklabels(), names, strict=True):
            if name in {group.bits.upper() for group in table.groups}:
                tick.set_color(MUTED)
                tick.set_fontweight("bold")
        axes.set_ylim(place - 0.4, -0.7)
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        axes.margins(x=0.06)
        axes.set_xlabel("FovVideoVDP in JOD, higher is better")
        marks = [
            axes.plot(
                [], [], "o", color=SURFACE, markeredgecolor=INK, markeredgewidth=1.6, markersize=9
            )[0],
            axes.plot([], [], "o", color=INK, markersize=9)[0],
        ]
        words = ["mean of the views", "best of its bits"]
        for index, view in enumerate(table.views):
            marks += axes.plot(
                [], [], MARKERS[1 + index % 7], color=SERIES[index % len(SERIES)], markersize=6
            )
            words.append(view)
        plot.figure.legend(
            marks, words, loc="outside lower center", ncols=len(words), columnspacing=1.4
        )
    return plot.svg
