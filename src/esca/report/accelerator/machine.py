"""Pictures of the hardware, drawn from a configuration: its blocks, and the way of a unit."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esca.accelerator.rtl.blocks import Block, BlockName, Stage, Wires
from esca.files import written_beside
from esca.report.extra import needed

INK, MUTED, PAPER = "#1d2733", "#5b6776", "#ffffff"
MEMORY, ENGINE, CONTROL = "#dfeaf7", "#e6f2e4", "#f7ecd9"
"""Of blocks that are mainly memory, that compute, that control."""

LABELS: Mapping[tuple[BlockName, BlockName], float] = {
    ("dma", "extras"): 0.3,
    ("linear", "dma"): 0.4,
    ("dma", "linear"): 0.6,
}
"""How far along its longest stretch a way is labelled, where not in the middle."""

_KIB = 1024


@dataclass(frozen=True)
class Place:
    """Centre of a block in the picture, in its units, and the colour of its kind."""

    x: float
    y: float
    colour: str


WIDTH, HEIGHT = 21.0, 10.4
"""Of a block."""

PLACES: Mapping[BlockName, Place] = {
    "supply": Place(13, 62, CONTROL),
    "control": Place(42, 62, CONTROL),
    "dma": Place(100, 62, CONTROL),
    "activations": Place(13, 44, MEMORY),
    "front": Place(42, 44, ENGINE),
    "array": Place(71, 44, ENGINE),
    "ring": Place(100, 44, MEMORY),
    "feed": Place(71, 62, ENGINE),
    "accumulators": Place(71, 26, MEMORY),
    "epilogue": Place(42, 26, ENGINE),
    "extras": Place(100, 26, MEMORY),
    "results": Place(42, 9, MEMORY),
    "linear": Place(100, 9, ENGINE),
}
"""What stands where; memory is right of everything."""


def machine_picture(
    name: str, blocks: Mapping[BlockName, Block], wires: Sequence[Wires], path: Path
) -> None:
    """Write the blocks of a machine, and the widths of the ways between them, as SVG."""
    figure, axes = _sheet(940, 545, (0, 121), (2, 72))
    for one in wires:
        _way(axes, one)
    for key, block in blocks.items():
        _block(axes, PLACES[key], block)
    axes.text(2.5, 71, name, color=INK, fontsize=13, weight="bold", va="top")
    note = "numbers beside arrows: bits a cycle; KiB: memory in a block"
    axes.text(118, 71, note, color=MUTED, fontsize=8.5, va="top", ha="right")
    _write(figure, path, f"machine {name}")


def way_picture(name: str, stages: Sequence[Stage], path: Path) -> None:
    """Write the stages of a unit's last row, from its address to its output, as SVG."""
    total = sum(stage.cycles for stage in stages)
    figure, axes = _sheet(920, 60 + 26 * len(stages), (-0.32 * total, total * 1.02), (0, 1))
    axes.set_ylim(len(stages) + 0.6, -1.4)
    axes.text(-0.32 * total, -1, f"{name}: {total} cycles", color=INK, fontsize=13, weight="bold")
    start = 0
    for number, stage in enumerate(stages):
        colour = MEMORY if stage.drained else ENGINE
        axes.barh(number, stage.cycles, left=start, height=0.72, color=colour, edgecolor=INK)
        axes.text(-0.01 * total, number, stage.name, ha="right", va="center", color=INK)
        label = f"{stage.cycles}"
        axes.text(start + stage.cycles / 2, number, label, ha="center", va="center", color=INK)
        axes.plot([start, start], [number - 0.4, len(stages) - 0.2], color=MUTED, lw=0.4, zorder=0)
        start += stage.cycles
    _write(figure, path, f"way {name}")


def _sheet(
    width: float, height: float, across: tuple[float, float], up: tuple[float, float]
) -> tuple[Any, Any]:
    figure = needed("matplotlib.figure").Figure((width / 72, height / 72), facecolor=PAPER)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.axis("off")
    return figure, axes


def _block(axes: Any, place: Place, block: Block) -> None:
    patches = needed("matplotlib.patches")
    low = (place.x - WIDTH / 2, place.y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=1"
    axes.add_patch(
        patches.FancyBboxPatch(
            low, WIDTH, HEIGHT, boxstyle=style, facecolor=place.colour, edgecolor=INK, zorder=2
        )
    )
    facts = list(block.facts)
    if block.memory_bytes:
        facts.append(f"{block.memory_bytes / _KIB:g} KiB")
    step = 2.2
    top = place.y + step * len(facts) / 2
    axes.text(place.x, top, block.title, ha="center", va="center", weight="bold", color=INK,
              fontsize=10.5, zorder=3)  # fmt: skip
    for number, fact in enumerate(facts):
        axes.text(place.x, top - step * (number + 1), fact, ha="center", va="center", color=INK,
                  fontsize=8.3, zorder=3)  # fmt: skip


def _way(axes: Any, wires: Wires) -> None:
    """An arrow between the nearest sides of two blocks, or around a corner."""
    source, target = PLACES[wires.source], PLACES[wires.target]
    points = _points(wires, source, target)
    xs, ys = zip(*points, strict=True)
    axes.plot(xs[:-1], ys[:-1], color=MUTED, lw=1.1, zorder=1)
    axes.annotate(
        "",
        xy=points[-1],
        xytext=points[-2],
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 1.1, "shrinkA": 0, "shrinkB": 0},
        zorder=1,
    )
    pairs = list(itertools.pairwise(points))
    (x0, y0), (x1, y1) = max(pairs, key=lambda pair: math.dist(*pair))
    share = LABELS.get((wires.source, wires.target), 0.5)
    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    flat = y0 == y1
    where = {"ha": "center", "va": "bottom"} if flat else {"ha": "left", "va": "center"}
    axes.text(x + (0 if flat else 0.4), y + (0.4 if flat else 0), f"{wires.bits:,}", color=MUTED,
              fontsize=8.3, zorder=3, **where)  # fmt: skip


def _points(wires: Wires, source: Place, target: Place) -> list[tuple[float, float]]:
    """Corners of the way from one block's edge to another's."""
    half_width, half_height = WIDTH / 2, HEIGHT / 2
    match wires.source, wires.target:
        case "dma", "activations":
            x, y = source.x - 4, 52.6
            return [(x, source.y - half_height), (x, y), (target.x, y),
                    (target.x, target.y + half_height)]  # fmt: skip
        case "epilogue", "activations":
            return [(source.x - half_width, source.y), (target.x, source.y),
                    (target.x, target.y - half_height)]  # fmt: skip
        case "dma", "extras":
            return _beside(source, target, 112.6, 0.0)
        case "dma", "linear":
            return _beside(source, target, 117.0, -2.0)
        case "linear", "dma":
            return _beside(source, target, 114.8, 2.0)
        case "results", "dma":
            x = 87.6
            return [(source.x + half_width, source.y), (x, source.y), (x, target.y),
                    (target.x - half_width, target.y)]  # fmt: skip
        case "ring", "feed":
            x, y = 83.2, source.y + 2
            return [(source.x - half_width, y), (x, y), (x, target.y),
                    (target.x + half_width, target.y)]  # fmt: skip
        case "extras", "epilogue":
            x, y = target.x + 5, source.y - half_height - 2.6
            return [(source.x, source.y - half_height), (source.x, y), (x, y),
                    (x, target.y - half_height)]  # fmt: skip
    if source.x == target.x:
        down = -1 if target.y < source.y else 1
        return [
            (source.x, source.y + down * half_height),
            (target.x, target.y - down * half_height),
        ]
    way = 1 if target.x > source.x else -1
    return [(source.x + way * half_width, source.y), (target.x - way * half_width, target.y)]


def _beside(source: Place, target: Place, x: float, up: float) -> list[tuple[float, float]]:
    """From right edge to right edge, ``up`` from both middles."""
    edge = WIDTH / 2
    return [(source.x + edge, source.y + up), (x, source.y + up), (x, target.y + up),
            (target.x + edge, target.y + up)]  # fmt: skip


def _write(figure: Any, path: Path, name: str) -> None:
    rc = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans"}
    with needed("matplotlib").rc_context(rc), written_beside(path) as beside:
        silent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(beside, format="svg", metadata=silent)
