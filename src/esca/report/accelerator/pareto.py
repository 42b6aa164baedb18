"""The explorer's page: designs in time, energy and area, and the front among them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from esca.accelerator.explore import Row, Sweep, pareto_front
from esca.errors import EscaError
from esca.report.accelerator.page import write_page
from esca.report.section import Section, render
from esca.report.theme import MARKERS, MUTED, SERIES, SURFACE, Margins, plotted


def build_pareto_page(sweep: Sweep, rows: Sequence[Row], out: Path, date: str = "") -> Path:
    """Write plots and the table of the front; EscaError where no design runs."""
    running = [row for row in rows if row.objectives is not None]
    if not running:
        raise EscaError(f"sweep {sweep.name}: no design runs; the first says: {rows[0].error}")
    front = pareto_front(rows)
    best = [
        ("Fastest", min(front, key=lambda row: row.latency_ms or 0)),
        ("Least energy", min(front, key=lambda row: row.energy_uj or 0)),
        ("Smallest", min(front, key=lambda row: row.area_mm2 or 0)),
    ]
    lead = render(
        "accelerator_pareto_lead.html",
        workload=rows[0].workload,
        base=sweep.base,
        rows=len(rows),
        best=best,
    )
    html = render(
        "accelerator_pareto.html",
        plots=[
            (axis, _plot(sweep, axis, running, front))
            for axis, changes in sweep.axes.items()
            if len(changes) > 1
        ],
        front=front,
        running=len(running),
        failed=len(rows) - len(running),
        axes=list(sweep.axes),
        words=lambda axis, place: describe(sweep, axis, place),
    )
    title = f"Accelerators for {rows[0].workload}"
    return write_page(title, lead, [Section("Designs", "designs", html)], out, date)


def describe(sweep: Sweep, axis: str, place: int) -> str:
    """A change in short: the last parts of its fields; an array by its sides."""
    change = dict(sweep.axes[axis][place])
    words = []
    if {"array.rows", "array.columns"} <= change.keys():
        words.append(f"{change['array.rows']}×{change['array.columns']}")
        return words[0]
    for field, value in change.items():
        short = field.rpartition(".")[2]
        if short == "mappings":
            words.append("+".join(value))
        elif short.endswith("_bytes"):
            words.append(f"{short.removesuffix('_bytes')} {value // 1024} KiB")
        elif short == "dram_bytes_per_second":
            words.append(f"{float(value) / 1e9:g} GB/s")
        elif short not in {"mux_width", "dma_bytes_per_cycle"}:
            words.append(f"{short.replace('_', ' ')} {value}")
    return ", ".join(words)


def _plot(sweep: Sweep, axis: str, rows: Sequence[Row], front: Sequence[Row]) -> Markup:
    """Energy and area against latency; colours and markers are the choices of one axis."""
    chosen = set(map(id, front))
    margins = Margins(58, 10, 60, 46)
    description = f"Latency, energy and area, by {axis}"
    with plotted(f"pareto-{axis}", 940, 400, margins, description) as plot:
        panels = plot.figure.subplots(1, 2)
        plot.figure.subplots_adjust(wspace=0.18)
        handles: dict[int, Any] = {}
        for panel, (name, label) in zip(
            panels, (("energy_uj", "microjoules a frame"), ("area_mm2", "mm²")), strict=True
        ):
            panel.set_xscale("log")
            panel.set_yscale("log")
            for place in range(len(sweep.axes[axis])):
                mine = [row for row in rows if row.choices[axis] == place]
                for large in (False, True):
                    dots = [row for row in mine if (id(row) in chosen) == large]
                    drawn = panel.scatter(
                        [row.latency_ms for row in dots],
                        [getattr(row, name) for row in dots],
                        s=62 if large else 13,
                        color=SERIES[place % len(SERIES)],
                        marker=MARKERS[place % len(MARKERS)],
                        alpha=1 if large else 0.45,
                        linewidth=0.6 if large else 0,
                        edgecolor=SURFACE,
                        zorder=3 if large else 2,
                    )
                    if large or not handles.get(place):
                        handles[place] = drawn
            panel.set_xlabel("milliseconds a frame")
            panel.set_ylabel(label)
            panel.tick_params(which="both", colors=MUTED)
            for ticks in (panel.xaxis, panel.yaxis):
                ticks.set_major_formatter("{x:g}")
                ticks.set_minor_formatter("{x:g}")
        names = [describe(sweep, axis, place) for place in handles]
        plot.figure.legend(
            handles.values(),
            names,
            loc="upper center",
            ncols=min(4, len(names)),
            title=axis,
            markerscale=1.0,
        )
    return plot.svg
