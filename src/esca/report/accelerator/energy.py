"""What a frame takes from the battery, and what the chip takes from the wafer."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from esca.accelerator.config import Node
from esca.accelerator.energy import FRAMES_PER_SECOND, GRACE_UJ_PER_PIXEL
from esca.accelerator.technology import (
    NODES,
    AreaConstants,
    Constant,
    EnergyConstants,
    Estimate,
    figure,
    is_derived,
    load_technology,
)
from esca.report.accelerator.gather import FrameStory
from esca.report.section import Section, render
from esca.report.theme import INK, SERIES, SURFACE, Margins, plotted, room

GROUPS: Mapping[str, tuple[str, ...]] = {
    "array": ("multipliers", "adders", "registers"),
    "mux": ("mux",),
    "accumulators": ("accumulators",),
    "activation buffer": ("activation_buffer",),
    "weights, outputs": ("weight_buffer", "output_buffer"),
    "control": ("control",),
    "other engines": ("epilogue", "linear", "upsample", "grid_sample", "movers"),
    "DRAM": ("dram",),
}
"""Components as the bars show them."""


def section(story: FrameStory) -> Section:
    """Bars by node for energy and area, tables of components and constants."""
    table = load_technology(story.frame.setup.technology.constants)
    energies = [(f"{energy.node} nm", energy.components) for energy in story.energies]
    areas = [(f"{area.node} nm", area.blocks) for area in story.areas]
    node = story.frame.setup.technology.node_nanometres
    constants = [
        (name, constant, _figures(group, constant, name))
        for group in (table.energy, table.area)
        for name, constant in vars(group).items()
    ]
    html = render(
        "accelerator_energy.html",
        story=story,
        energy=story.energy,
        energy_plot=_plot("energy", energies, "microjoules a frame"),
        area_plot=_plot("area", areas, "square millimetres"),
        watts=story.energy.watts(),
        rate=FRAMES_PER_SECOND,
        grace=GRACE_UJ_PER_PIXEL,
        missing=story.energy.excluded,
        constants=constants,
        nodes=NODES,
        node=node,
        words=lambda name: name.replace("_", " "),
        array_ratio=story.area.array.value / story.dense_area.array.value - 1,
        chip_ratio=story.area.total.value / story.dense_area.total.value - 1,
    )
    return Section("Energy and area", "accelerator-energy", html)


def _figures(
    group: EnergyConstants | AreaConstants, constant: Constant, name: str
) -> list[tuple[Node, float, bool]]:
    return [(node, figure(group, name, node).value, is_derived(constant, node)) for node in NODES]


def _plot(name: str, bars: Sequence[tuple[str, Mapping[Any, Estimate]]], label: str) -> Markup:
    """Stacked bars with the bounds of their sums."""
    margins = Margins(room(["45 nm"]), 24, 34, 44)
    height = margins.top + margins.bottom + 38 * len(bars)
    with plotted(f"accelerator-{name}", 860, height, margins, f"{label} by node") as plot:
        axes = plot.figure.add_subplot()
        left = [0.0] * len(bars)
        for index, (group, members) in enumerate(GROUPS.items()):
            widths = [sum(parts[m].value for m in members if m in parts) for _, parts in bars]
            if not any(widths):
                continue
            axes.barh(
                range(len(bars)),
                widths,
                left=left,
                height=0.6,
                color=SERIES[(0, 5, 1, 2, 3, 6, 7, 4)[index]],
                edgecolor=SURFACE,
                linewidth=0.5,
                label=group,
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        ends = []
        for place, (_, parts) in enumerate(bars):
            low = sum(part.low for part in parts.values())
            high = sum(part.high for part in parts.values())
            ends.append(high)
            axes.plot([low, high], [place, place], color=INK, linewidth=1.1)
            axes.plot([low, high], [place, place], "|", color=INK, markersize=9)
            digits = 0 if high >= 100 else 2
            shown = f"{left[place]:,.{digits}f}  ({low:,.{digits}f} to {high:,.{digits}f})"
            axes.text(high + max(ends) * 0.012, place, shown, va="center")
        axes.set_yticks(range(len(bars)), [node for node, _ in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlim(0, max(ends) * 1.3)
        axes.set_xlabel(f"{label}; the line spans the bounds")
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        plot.figure.legend(loc="upper center", ncols=7, columnspacing=1.1, handlelength=1.4)
    return plot.svg
