"""Smoothing factors of every smoothed convolution, exempt channels marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.report.inputs import Details, Label, ReportInputs, SmoothedLayers
from esca.report.section import Option, Section, render, short_names
from esca.report.theme import LINE, MUTED, SERIES, Margins, plotted, room

Floats = NDArray[np.floating]


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
            if not (layer.scales > 0).all():
                raise EscaError(
                    f"report: smoothing of {details.label.text}: expected scales above 0"
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
    """A column for each smoothed tensor: factors of its channels, in order of size."""
    short = short_names(name for layer in one.layers for name in layer.names)
    names = [
        short[layer.names[0]] + (f" +{len(layer.names) - 1}" if len(layer.names) > 1 else "")
        for layer in one.layers
    ]
    description = f"Smoothing factor of each input channel, {_names(one.labels)}"
    margins = Margins(64, 6, 32, room(names, 10) + 18)
    height = 270 + margins.top + margins.bottom
    columns = range(len(names))
    with plotted(f"smoothing-{key}", 760, height, margins, description) as plot:
        axes = plot.figure.add_subplot()
        places, powers, exempt = _dots(one.layers)
        axes.axhline(0, color=MUTED, linewidth=1)
        for chosen, mark, colour, label in (
            (~exempt, "o", SERIES[0], "smoothed"),
            (exempt, "s", SERIES[1], "exempt"),
        ):
            axes.plot(
                places[chosen], powers[chosen], mark, color=colour, ms=3.4, mew=0, label=label
            )
        for border in columns[1:]:
            axes.axvline(border - 0.5, color=LINE, linewidth=0.8)
        ticks = range(math.ceil(float(powers.min()) - 0.25), math.floor(powers.max() + 0.25) + 1)
        axes.set_ylim(float(powers.min()) - 0.25, float(powers.max()) + 0.25)
        axes.set_yticks(ticks, [f"{10.0**power:g}" for power in ticks])
        axes.set_xticks(columns, names, rotation=90, fontsize=10)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("factor s")
        axes.set_xlabel("convolution; its input channels in order of their factor")
        plot.figure.legend(loc="upper right", ncols=2, markerscale=2)
    return plot.svg


def _dots(layers: Sequence[SmoothedLayers]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Place of each channel's dot, decimal logarithm of its factor, and whether it is exempt."""
    places, powers, exempt = [], [], []
    for column, layer in enumerate(layers):
        order = np.argsort(layer.scales, kind="stable")
        places.append(column + 0.84 * ((np.arange(len(order)) + 0.5) / len(order) - 0.5))
        powers.append(np.log10(layer.scales[order]))
        exempt.append(layer.exempt[order])
    return np.concatenate(places), np.concatenate(powers), np.concatenate(exempt)
