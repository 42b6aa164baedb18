"""What every engine does when."""

from collections.abc import Iterable

from esca.accelerator import Span
from esca.report.accelerator.gather import FrameStory
from esca.report.section import Section, render
from esca.report.theme import SERIES, SURFACE, Margins, plotted, room

ORDER = ("array", "epilogue", "linear", "upsample", "grid_sample", "move", "dram")
NAMES = {"grid_sample": "grid sample", "dram": "DRAM"}
WIDTH = 900
_PIXELS_A_DIGIT = 6.5


def section(story: FrameStory) -> Section:
    """A row an engine, a colour a layer, its number where there is room."""
    frame = story.frame
    numbers = {layer.name: number for number, layer in enumerate(frame.layers, 1)}
    rows = [engine for engine in ORDER if any(s.engine == engine for s in frame.timeline)]
    per_cycle = frame.latency_ms / frame.cycles
    smallest = frame.cycles / WIDTH / 2
    labels = [NAMES.get(engine, engine) for engine in rows]
    margins = Margins(room(labels), 44, 8, 44)
    height = margins.top + margins.bottom + 42 * len(rows)
    with plotted("accelerator-timeline", WIDTH, height, margins, "Engines over time") as plot:
        axes = plot.figure.add_subplot()
        for row, engine in enumerate(rows):
            bars = merged((s for s in frame.timeline if s.engine == engine), smallest)
            for layer, pieces in bars.items():
                number = numbers[layer]
                axes.broken_barh(
                    [(start * per_cycle, (end - start) * per_cycle) for start, end in pieces],
                    (row - 0.36, 0.72),
                    color=SERIES[number % len(SERIES)],
                    linewidth=0,
                )
                for start, end in pieces:
                    pixels = (end - start) / frame.cycles * (WIDTH - margins.left - margins.right)
                    if pixels > _PIXELS_A_DIGIT * len(str(number)) + 6:
                        middle = (start + end) / 2 * per_cycle
                        axes.text(
                            middle,
                            row,
                            str(number),
                            ha="center",
                            va="center",
                            size=10,
                            color=SURFACE,
                            weight="bold",
                        )
            busy = frame.engine_cycles[engine] / frame.cycles
            axes.text(frame.latency_ms * 1.006, row, f"{busy:.0%}", va="center", size=10.5)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, frame.latency_ms)
        axes.set_xlabel("milliseconds; on the right the share of time at work")
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
    html = render(
        "accelerator_timeline.html",
        plot=plot.svg,
        frame=frame,
        waited=sum(frame.waited_cycles.values()),
    )
    return Section("Timeline", "accelerator-timeline", html)


def merged(spans: Iterable[Span], gap: float) -> dict[str, list[tuple[int, int]]]:
    """Pieces (start, end) by layer; those that lie closer than ``gap`` cycles become one."""
    pieces: dict[str, list[tuple[int, int]]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        if not span.cycles:
            continue
        end = span.start + span.cycles
        mine = pieces.setdefault(span.layer, [])
        if mine and span.start - mine[-1][1] <= gap:
            mine[-1] = (mine[-1][0], max(end, mine[-1][1]))
        else:
            mine.append((span.start, end))
    return pieces
