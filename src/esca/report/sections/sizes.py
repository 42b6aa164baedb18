"""What the decoder weighs, part by part, against fp32."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from esca.report.inputs import FP32, ReportInputs
from esca.report.section import Section, render
from esca.report.theme import SERIES, SURFACE, Margins, plotted, room

ROW_HEIGHT = 30


def section(inputs: ReportInputs) -> Section | None:
    """Stacked bars, and the same as a table."""
    bars = [(details.label.text, details.parts) for details in inputs.details if details.parts]
    if not bars:
        return None
    whole = [(FP32, inputs.fp32_parts)] if inputs.fp32_parts else []
    distinct = whole + _merged(bars)
    parts = list(dict.fromkeys(part for _, held in distinct for part in held))
    html = render(
        "sizes.html",
        plot=_plot(distinct, parts),
        bars=distinct,
        parts=parts,
        words=part_name,
        fp32=sum(inputs.fp32_parts.values()),
    )
    return Section("Sizes", "sizes", html)


def part_name(part: str) -> str:
    """``texel_biases`` -> ``texel biases``."""
    return part.replace("_", " ")


def _merged(bars: Sequence[tuple[str, Mapping[str, int]]]) -> list[tuple[str, Mapping[str, int]]]:
    """Methods of equal parts as one bar."""
    names: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for name, parts in bars:
        names.setdefault(tuple(parts.items()), []).append(name)
    return [(_joined(listed), dict(parts)) for parts, listed in names.items()]


def _joined(names: list[str]) -> str:
    """``rtn W4A4``, ``gptq W4A4`` -> ``W4A4: rtn, gptq``."""
    bits = {name.rpartition(" ")[2] for name in names}
    if len(names) == 1 or len(bits) > 1:
        return ", ".join(names)
    return f"{bits.pop()}: {', '.join(name.rpartition(' ')[0] for name in names)}"


def _plot(bars: Sequence[tuple[str, Mapping[str, int]]], parts: Sequence[str]) -> Markup:
    whole = sum(bars[0][1].values())
    names = [_shortened(name) for name, _ in bars]
    margins = Margins(room(names), 10, 34, 46)
    height = margins.top + margins.bottom + ROW_HEIGHT * len(bars)
    with plotted("sizes-bars", 760, height, margins, "Decoder size by part") as plot:
        axes = plot.figure.add_subplot()
        left = [0.0] * len(bars)
        for index, part in enumerate(parts):
            widths = [held.get(part, 0) / 1e6 for _, held in bars]
            axes.barh(
                range(len(bars)),
                widths,
                left=left,
                height=0.62,
                color=SERIES[index % len(SERIES)],
                edgecolor=SURFACE,
                linewidth=0.6,
                label=part_name(part),
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for place, total in enumerate(left):
            share = f"  ({total * 1e6 / whole:.0%})" if bars[0][0] == FP32 and place else ""
            axes.text(total + max(left) * 0.008, place, f"{total:.2f} MB{share}", va="center")
        axes.set_yticks(range(len(bars)), names)
        axes.set_ylim(len(bars) - 0.45, -0.55)
        axes.set_xlim(0, max(left) * 1.2)
        axes.set_xlabel("MB")
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        plot.figure.legend(loc="upper center", ncols=min(len(parts), 6), columnspacing=1.4)
    return plot.svg


def _shortened(name: str) -> str:
    """The number of methods where their names are too long for a plot."""
    bits, mark, methods = name.partition(": ")
    return f"{bits}, {methods.count(',') + 1} methods" if mark and len(name) > 24 else name
