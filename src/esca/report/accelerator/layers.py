"""Where the array's cycles go, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from esca.accelerator import LayerTiming
from esca.accelerator.activity import read_bytes_per_cycle
from esca.accelerator.structure import read_port_bytes
from esca.report.accelerator.gather import FrameStory
from esca.report.section import Section, render, short_names
from esca.report.theme import SERIES, SURFACE, Margins, plotted, room

ROW_HEIGHT = 23

CAUSES = {
    "weights": "weights",
    "loads": "inputs",
    "biases": "texel biases",
    "stores": "stores",
    "accumulators": "accumulators",
}
"""What the array may stand waiting for; all else is the layer before, on whatever engine."""


@dataclass(frozen=True)
class Line:
    """A layer of the table; ``number`` is its name in the timeline and the roofline plot.

    ``read_bytes``: most that the array takes from the activation buffer in one cycle.
    """

    number: int
    name: str
    timing: LayerTiming
    cycles: int
    microjoules: float
    read_bytes: int | None

    @property
    def mapping(self) -> str:
        """Mapping and block."""
        timing = self.timing
        if timing.block is None or timing.mapping != "phases":
            return timing.mapping or "–"
        return f"phases {timing.block[0]}×{timing.block[1]}"

    @property
    def waited(self) -> list[tuple[int, str]]:
        """Cycles that the array waited, and for what; most first."""
        causes: dict[str, int] = {}
        for queue, cycles in self.timing.waited_cycles.items():
            cause = CAUSES.get(queue, "layer before")
            causes[cause] = causes.get(cause, 0) + cycles
        return sorted(((cycles, cause) for cause, cycles in causes.items()), reverse=True)

    @property
    def share(self) -> float:
        """Cycles at work over cycles at work and waiting."""
        return self.timing.engine_cycles / self.cycles if self.cycles else 0.0


def lines(story: FrameStory) -> list[Line]:
    """Layers in order of execution."""
    names = short_names(layer.name for layer in story.frame.layers)
    return [
        Line(
            number,
            names[timing.name],
            timing,
            timing.engine_cycles + sum(timing.waited_cycles.values()),
            spent.total.value,
            None if plan.tiling is None else read_bytes_per_cycle(plan.tiling),
        )
        for number, (timing, plan, spent) in enumerate(
            zip(story.frame.layers, story.frame.plans, story.energy.layers, strict=True), 1
        )
    ]


def section(story: FrameStory) -> Section:
    """Bars of the array's layers, and a table of all."""
    made = lines(story)
    html = render(
        "accelerator_layers.html",
        plot=_plot([line for line in made if line.timing.engine == "array"]),
        lines=made,
        frame=story.frame,
        energy=story.energy,
        port=read_port_bytes(story.frame.setup),
    )
    return Section("Layers", "accelerator-layers", html)


def _plot(made: Sequence[Line]) -> Markup:
    """Cycles of each layer on the array, cut into what they were used for."""
    names = [f"{line.number}  {line.name}" for line in made]
    parts: dict[str, list[float]] = {
        "useful products": [],
        "zeros and crops": [],
        "empty places": [],
        "stalls": [],
        "waiting": [],
    }
    for line in made:
        timing = line.timing
        full = timing.engine_cycles
        useful, held = timing.useful_utilization * full, timing.occupied_utilization * full
        waited = line.cycles - full
        empty = max(0.0, full - timing.stalled_cycles - held)
        pieces = (useful, held - useful, empty, timing.stalled_cycles, waited)
        for part, piece in zip(parts.values(), pieces, strict=True):
            part.append(piece / 1e3)
    margins = Margins(room(names, 10), 64, 32, 44)
    height = margins.top + margins.bottom + ROW_HEIGHT * len(made)
    with plotted("accelerator-cycles", 860, height, margins, "Cycles of each layer") as plot:
        axes = plot.figure.add_subplot()
        left = [0.0] * len(made)
        for colour, (name, widths) in zip((0, 3, 1, 5, 4), parts.items(), strict=True):
            axes.barh(
                range(len(made)),
                widths,
                left=left,
                height=0.66,
                color=SERIES[colour],
                edgecolor=SURFACE,
                linewidth=0.3,
                label=name,
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for place, line in enumerate(made):
            share = line.timing.useful_utilization * line.share
            axes.text(left[place] + max(left) * 0.008, place, f"{share:.0%}", va="center", size=10)
        axes.set_yticks(range(len(made)), names, fontsize=10)
        axes.set_ylim(len(made) - 0.4, -0.6)
        axes.set_xlim(0, max(left) * 1.02)
        axes.set_xlabel("thousand cycles on the array; the figure is useful utilization")
        axes.grid(axis="y", visible=False)
        axes.spines[["left"]].set_visible(False)
        plot.figure.legend(loc="upper center", ncols=5, columnspacing=1.3)
    return plot.svg
