"""Ranges and errors of every layer, on the integer runtime."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from esca.evaluation.layers import LayerError
from esca.report.inputs import Details, ReportInputs
from esca.report.section import Section, options, render, short_names
from esca.report.theme import INK, MARKERS, MUTED, SERIES, Margins, plotted, room

WIDTH = 760
ROW_HEIGHT = 24
MOST_DECIBELS = 99.0
BEYOND = 1.05
"""Bars end here, at 5% beyond the largest observed magnitude."""


def section(inputs: ReportInputs) -> Section | None:
    """Noise of all methods layer by layer, then each method's ranges."""
    known = [details for details in inputs.details if details.layers]
    if not known:
        return None
    html = render(
        "layers.html",
        overview=_overview(known),
        known=[(key, details, _details(key, details)) for key, details in enumerate(known)],
        groups=options(details.label for details in known),
        chosen=len(known) - 1,
        percent=percent,
        decibels=decibels,
    )
    return Section("Layers", "layers", html)


def percent(share: float) -> str:
    """A share of values for people."""
    if share == 0:
        return "0"
    return "< 0.01 %" if share < 1e-4 else f"{100 * share:.2f} %"


def decibels(value: float) -> str:
    """A ratio in dB for people."""
    return f"{value:.1f}" if math.isfinite(value) else "∞" if value > 0 else "−∞"


def _clamped(value: float) -> float:
    return max(min(value, MOST_DECIBELS), 0.0)


def _overview(known: Sequence[Details]) -> Markup:
    """SQNR against depth, a line a method, a panel for each bits."""
    groups = options(details.label for details in known)
    methods = list(dict.fromkeys(details.label.method for details in known))
    short = short_names(layer.name for details in known for layer in details.layers)
    names = list(short.values())
    description = "Signal to quantization noise of each layer's output, for every method"
    margins = Margins(54, 6, 58, room(names, 9))
    height = 250 + margins.top + margins.bottom
    with plotted("layer-noise", WIDTH, height, margins, description) as plot:
        plot.figure.subplots_adjust(wspace=0.05)
        panels = plot.figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        lines = {}
        for axes, (bits, members) in zip(panels, groups, strict=True):
            for option in members:
                layers = known[option.key].layers
                index = methods.index(option.label.method)
                (lines[option.label.method],) = axes.plot(
                    [names.index(short[layer.name]) for layer in layers],
                    [_clamped(layer.sqnr_db) for layer in layers],
                    marker=MARKERS[index % len(MARKERS)],
                    markersize=4.5,
                    color=SERIES[index % len(SERIES)],
                    linewidth=1.5,
                )
            axes.set_title(bits.upper())
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=9)
            axes.grid(axis="x", visible=False)
        panels[0].set_ylabel("SQNR of the layer's output, dB")
        plot.figure.legend(
            lines.values(), lines.keys(), loc="upper center", ncols=min(len(lines), 7)
        )
    return plot.svg


def _details(key: int, details: Details) -> Markup:
    """Observed range, clipped range and SQNR of one method's layers."""
    layers = details.layers
    names = list(short_names(layer.name for layer in layers).values())
    places = range(len(layers))
    description = f"Range and noise of each layer of {details.label.text}"
    margins = Margins(room(names, 10), 24, 26, 46)
    height = margins.top + margins.bottom + ROW_HEIGHT * len(layers)
    with plotted(f"layers-{key}", WIDTH, height, margins, description) as plot:
        plot.figure.subplots_adjust(wspace=0.06)
        ranges, noise = plot.figure.subplots(1, 2, width_ratios=(1.35, 1))
        _ranges(ranges, layers)
        values = [_clamped(layer.sqnr_db) for layer in layers]
        noise.barh(places, values, height=0.56, color=SERIES[0], linewidth=0)
        for place, value, layer in zip(places, values, layers, strict=True):
            noise.text(value + 0.8, place, decibels(layer.sqnr_db), va="center", fontsize=10)
        noise.set_xlim(0, 1.17 * max([*values, 10.0]))
        noise.set_xlabel("dB, higher is better")
        noise.set_title("SQNR of the output")
        for axes in (ranges, noise):
            axes.grid(axis="y", visible=False)
            axes.spines[["left"]].set_visible(False)
            axes.set_ylim(len(layers) - 0.4, -0.6)
        noise.set_yticks([])
        ranges.set_yticks(places, names, fontsize=10)
    return plot.svg


def _ranges(axes: Any, layers: Sequence[LayerError]) -> None:
    """Ends of each layer's grid as bars and its extremes as lines, both over the larger extreme."""
    largest = [max(abs(layer.observed_low), abs(layer.observed_high)) or 1.0 for layer in layers]
    pairs = list(zip(layers, largest, strict=True))
    low = [max(layer.clip_low / unit, -BEYOND) for layer, unit in pairs]
    kept = [
        min(layer.clip_high / unit, BEYOND) - start
        for (layer, unit), start in zip(pairs, low, strict=True)
    ]
    places = range(len(layers))
    axes.barh(places, kept, left=low, height=0.56, color=SERIES[1], alpha=0.85, linewidth=0)
    seen = [[layer.observed_low / unit for layer, unit in pairs]]
    seen.append([layer.observed_high / unit for layer, unit in pairs])
    axes.hlines(places, *seen, color=INK, linewidth=1.4)
    for ends in seen:
        axes.plot(ends, places, "|", color=INK, markersize=8)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xlim(-BEYOND - 0.03, BEYOND + 0.03)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_xlabel("share of the layer's largest observed magnitude")
    axes.set_title("Range: seen (line), kept (bar)")
