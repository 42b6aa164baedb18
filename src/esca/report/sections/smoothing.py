"""Smoothing factors of every smoothed convolution, exempt channels marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from esca.errors import EscaError
from esca.report.inputs import Details, Label, ReportInputs, SmoothedLayers
from esca.report.section import Option, Section, render, short_names
from esca.report.theme import INK, MUTED, SERIES, plotted

PANELS_A_ROW = 4


@dataclass(frozen=True)
class Smoothings:
    """Methods that smooth in the same way: their labels, and the layers of one of them."""

    labels: tuple[Label, ...]
    layers: Sequence[SmoothedLayers]

    @property
    def exempt(self) -> int:
        """Channels that keep a factor of 1 on purpose."""
        return sum(int(layer.exempt.sum()) for layer in self.layers)

    @property
    def channels(self) -> int:
        """All channels of the smoothed tensors."""
        return sum(len(layer.scales) for layer in self.layers)


def section(inputs: ReportInputs) -> Section | None:
    """A plot for every distinct smoothing."""
    distinct = smoothings(inputs.details)
    if not distinct:
        return None
    made = [(key, one, _plot(key, one)) for key, one in enumerate(distinct)]
    choices = [Option(key, Label(_names(one.labels), "")) for key, one in enumerate(distinct)]
    html = render(
        "smoothing.html",
        made=made,
        groups=[("", choices)],
        chosen=len(made) - 1,
        names=_names,
    )
    return Section("Smoothing", "smoothing", html)


def smoothings(known: Sequence[Details]) -> list[Smoothings]:
    """Smoothed methods, those with equal factors together."""
    distinct: list[Smoothings] = []
    for details in known:
        if not details.smoothed:
            continue
        for layer in details.smoothed:
            if layer.scales.shape != layer.exempt.shape or layer.scales.ndim != 1:
                raise EscaError(
                    f"report: smoothing of {details.label.text}: expected scales and exempt of one "
                    f"shape (C,), got {layer.scales.shape} and {layer.exempt.shape}"
                )
        for index, one in enumerate(distinct):
            if _equal(one.layers, details.smoothed):
                distinct[index] = Smoothings((*one.labels, details.label), one.layers)
                break
        else:
            distinct.append(Smoothings((details.label,), details.smoothed))
    return distinct


def _equal(some: Sequence[SmoothedLayers], others: Sequence[SmoothedLayers]) -> bool:
    return len(some) == len(others) and all(
        one.names == other.names
        and np.array_equal(one.scales, other.scales)
        and np.array_equal(one.exempt, other.exempt)
        for one, other in zip(some, others, strict=True)
    )


def _names(labels: Sequence[Label]) -> str:
    """``icas, icas-uv`` with the bits where methods of the same name differ."""
    bits: dict[str, list[str]] = {}
    for label in labels:
        bits.setdefault(label.method, []).append(label.bits.upper())
    alike = len({tuple(listed) for listed in bits.values()}) == 1
    if alike:
        return f"{', '.join(bits)} ({', '.join(next(iter(bits.values())))})"
    return ", ".join(f"{name} ({', '.join(listed)})" for name, listed in bits.items())


def _plot(key: int, one: Smoothings) -> Markup:
    """A panel for each smoothed tensor: factors of its channels, in order of size."""
    short = short_names(name for layer in one.layers for name in layer.names)
    rows = math.ceil(len(one.layers) / PANELS_A_ROW)
    description = f"Smoothing factor of each input channel, {_names(one.labels)}"
    with plotted(f"smoothing-{key}", 760, 64 + 150 * rows, description) as plot:
        grid = plot.figure.subplots(rows, PANELS_A_ROW, sharey=True, squeeze=False)
        for axes, layer in zip(grid.flat, one.layers, strict=False):
            order = np.argsort(layer.scales, kind="stable")
            scales, exempt = layer.scales[order], layer.exempt[order]
            ranks = np.arange(len(scales)) + 1
            axes.axhline(1, color=MUTED, linewidth=1)
            axes.plot(ranks[~exempt], scales[~exempt], "o", color=SERIES[0], markersize=3.4, mew=0)
            axes.plot(ranks[exempt], scales[exempt], "s", color=SERIES[1], markersize=3.6, mew=0)
            axes.set_yscale("log")
            axes.set_xlim(0, len(scales) + 1)
            axes.set_xticks([1, len(scales)])
            more = f" +{len(layer.names) - 1}" if len(layer.names) > 1 else ""
            axes.set_title(short[layer.names[0]] + more, fontsize=9, fontweight="normal", color=INK)
        for axes in list(grid.flat)[len(one.layers) :]:
            axes.remove()
        marks = [
            grid.flat[0].plot([], [], "o", color=SERIES[0], markersize=6, mew=0)[0],
            grid.flat[0].plot([], [], "s", color=SERIES[1], markersize=6, mew=0)[0],
        ]
        plot.figure.legend(marks, ["smoothed", "exempt"], loc="outside upper right", ncols=2)
        plot.figure.supxlabel(
            "input channels, in order of their factor", fontsize=11.5, color=MUTED
        )
        plot.figure.supylabel("factor s", fontsize=11.5, color=MUTED)
    return plot.svg
