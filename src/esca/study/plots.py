"""Plots of a study, in the page's theme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from esca.report.theme import ACCENT, INK, MARKERS, MUTED, SERIES, Margins, plotted, room
from esca.study.summary import Spread

WIDTH, HEIGHT, BAR = 760, 330, 25


@dataclass(frozen=True)
class Curve:
    """Figures over a numeric axis; ``dashed`` for what is only there for comparison."""

    label: str
    places: Sequence[float]
    values: Sequence[Spread]
    dashed: bool = False


def curves(name: str, lines: Sequence[Curve], across: str, up: str, description: str) -> Markup:
    """Lines with error bars of one standard deviation where there are several figures."""
    margins = Margins(70, 14, 46, 50)
    with plotted(name, WIDTH, HEIGHT, margins, description) as plot:
        axes = plot.figure.add_subplot()
        for index, line in enumerate(lines):
            deviations = [value.sd for value in line.values]
            axes.errorbar(
                line.places,
                [value.mean for value in line.values],
                deviations if any(deviations) else None,
                marker=MARKERS[index % len(MARKERS)],
                markersize=5.5,
                capsize=3,
                color=SERIES[index % len(SERIES)],
                linestyle="--" if line.dashed else "-",
                linewidth=1.2 if line.dashed else 1.8,
                label=line.label,
            )
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        plot.figure.legend(loc="upper center", ncols=min(len(lines), 6), columnspacing=1.4)
    return plot.svg


def dots(
    name: str,
    values: Mapping[str, Mapping[str, Spread]],
    across: str,
    description: str,
) -> Markup:
    """A row a name with one mark a series and whiskers of one standard deviation, zero marked."""
    names = list(values)
    series = list(dict.fromkeys(key for row in values.values() for key in row))
    margins = Margins(room(names, 12), 14, 40, 50)
    height = margins.top + margins.bottom + BAR * len(names)
    with plotted(name, WIDTH, height, margins, description) as plot:
        axes = plot.figure.add_subplot()
        axes.axvline(0, color=ACCENT, linewidth=1.6, zorder=1)
        for index, key in enumerate(series):
            known = [(place, values[n][key]) for place, n in enumerate(names) if key in values[n]]
            bold = index == len(series) - 1
            axes.errorbar(
                [value.mean for _, value in known],
                [place for place, _ in known],
                xerr=[value.sd for _, value in known],
                linestyle="none",
                marker="o" if bold else MARKERS[1 + index % 7],
                markersize=8 if bold else 6,
                markeredgewidth=1.4 if bold else 0,
                markeredgecolor=INK,
                markerfacecolor="none" if bold else SERIES[index % len(SERIES)],
                ecolor=INK if bold else SERIES[index % len(SERIES)],
                elinewidth=1.2,
                capsize=2.5,
                label=key,
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        axes.margins(x=0.05)
        axes.set_xlabel(across)
        plot.figure.legend(loc="upper center", ncols=min(len(series), 6), columnspacing=1.4)
    return plot.svg


@dataclass(frozen=True)
class Mark:
    """A single point of :func:`front`, written beside it."""

    label: str
    cost: float
    value: float


def front(
    name: str,
    points: Sequence[tuple[float, float]],
    marks: Sequence[Mark],
    budget: float,
    across: str,
    up: str,
) -> Markup:
    """Predicted trade-off as steps, measured points as marks, the budget as a line."""
    margins = Margins(70, 20, 46, 50)
    with plotted(name, WIDTH, HEIGHT, margins, f"{up} over {across}, and the budget") as plot:
        axes = plot.figure.add_subplot()
        costs, values = zip(*points, strict=True)
        axes.plot(
            costs,
            values,
            drawstyle="steps-post",
            color=SERIES[0],
            label=f"predicted front, {len(points)} allocations",
        )
        axes.axvline(budget, color=ACCENT, linestyle=":", label=f"budget {budget:g}")
        axes.plot(
            [mark.cost for mark in marks],
            [mark.value for mark in marks],
            "D",
            color=SERIES[1],
            markersize=6.5,
            label="measured",
        )
        middle = (min(costs) + max(costs)) / 2
        for mark in marks:
            left = mark.cost > middle
            axes.annotate(
                mark.label,
                (mark.cost, mark.value),
                textcoords="offset points",
                xytext=(-8 if left else 8, -14),
                ha="right" if left else "left",
                color=MUTED,
                fontsize=11,
            )
        axes.margins(x=0.12, y=0.1)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        plot.figure.legend(loc="upper center", ncols=3, columnspacing=1.4)
    return plot.svg
