"""Rows of an evaluation arranged for people: one line a method, groups by bits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from esca.errors import EscaError
from esca.evaluation.rows import Row
from esca.evaluation.table import mean_rows
from esca.report.inputs import FP32, Label
from esca.report.section import figure


@dataclass(frozen=True)
class Line:
    """One method: its row in each view, and their mean."""

    label: Label
    views: Mapping[str, Row]
    mean: Row


@dataclass(frozen=True)
class Group:
    """Methods of the same bits, in the order of the rows."""

    bits: str
    lines: tuple[Line, ...]

    @property
    def best(self) -> Line:
        """The line with the highest mean VDP."""
        return max(self.lines, key=lambda line: line.mean.vdp)


@dataclass(frozen=True)
class Scores:
    """``fp32`` is the float avatar's line, ``groups`` all others; ``views`` in order of rows."""

    views: tuple[str, ...]
    regions: tuple[str, ...]
    fp32: Line
    groups: tuple[Group, ...]

    def loss(self, line: Line) -> float:
        """Mean VDP of a line minus that of fp32, in JOD."""
        return line.mean.vdp - self.fp32.mean.vdp


def scores(rows: Sequence[Row]) -> Scores:
    """EscaError without rows or without a row of fp32."""
    by_label: dict[Label, dict[str, Row]] = {}
    for row in rows:
        by_label.setdefault(Label(row.method, row.bits), {})[row.view] = row
    lines = [
        Line(Label(mean.method, mean.bits), by_label[Label(mean.method, mean.bits)], mean)
        for mean in mean_rows(rows)
    ]
    fp32 = next((line for line in lines if line.label.method == FP32), None)
    if fp32 is None:
        raise EscaError(f"report: rows: expected rows of the method {FP32!r} among them")
    groups: dict[str, list[Line]] = {}
    for line in lines:
        if line is not fp32:
            groups.setdefault(line.label.bits, []).append(line)
    return Scores(
        views=tuple(dict.fromkeys(row.view for row in rows)),
        regions=tuple(dict.fromkeys(name for row in rows for name in row.regions)),
        fp32=fp32,
        groups=tuple(Group(bits, tuple(members)) for bits, members in groups.items()),
    )


@dataclass(frozen=True)
class Column:
    """A column of figures.

    ``group``: heading above it. ``value``: figure of a line, None where there is none. ``better``:
    1 if more is better, -1 if less is, 0 if neither is marked.
    """

    group: str
    title: str
    digits: int
    better: int
    value: Callable[[Line], float | None]

    def text(self, line: Line) -> str:
        """The figure as printed."""
        return figure(self.value(line), self.digits)

    def best(self, lines: Sequence[Line]) -> set[Label]:
        """Lines that print the best figure; none if all print the same."""
        if not self.better:
            return set()
        known = [
            (value * self.better, line) for line in lines if (value := self.value(line)) is not None
        ]
        if len({self.text(line) for _, line in known}) < 2:
            return set()
        top = self.text(max(known, key=lambda pair: pair[0])[1])
        return {line.label for _, line in known if self.text(line) == top}


def columns(table: Scores) -> list[Column]:
    """The columns of the main table."""

    def of_view(view: str) -> Callable[[Line], float | None]:
        return lambda line: line.views[view].vdp if view in line.views else None

    def of_region(name: str) -> Callable[[Line], float | None]:
        return lambda line: line.mean.regions[name].psnr if name in line.mean.regions else None

    jod, whole, region = "FovVideoVDP, JOD ↑", "Whole head", "PSNR of regions, dB ↑"
    return [
        *(Column(jod, view, 3, 1, of_view(view)) for view in table.views),
        Column(jod, "mean", 3, 1, lambda line: line.mean.vdp),
        Column(jod, "to fp32", 3, 0, lambda line: None if line is table.fp32 else table.loss(line)),
        Column(whole, "PSNR dB ↑", 2, 1, lambda line: line.mean.psnr),
        Column(whole, "SSIM ↑", 4, 1, lambda line: line.mean.ssim),
        Column(whole, "flicker ↓", 3, -1, lambda line: line.mean.flicker),
        *(Column(region, name, 2, 1, of_region(name)) for name in table.regions),
        Column("Size ↓", "MB", 2, 0, lambda line: line.mean.bytes / 1e6),
    ]


def region_columns(table: Scores) -> list[Column]:
    """Quality of each region, and flicker against fp32 while the face moves and while it rests."""

    def of_region(name: str, key: str) -> Callable[[Line], float | None]:
        return lambda line: getattr(line.mean.regions.get(name), key, None)

    made = []
    for name in table.regions:
        made.append(Column(name.capitalize(), "JOD ↑", 3, 1, of_region(name, "vdp")))
        made.append(Column(name.capitalize(), "PSNR dB ↑", 2, 1, of_region(name, "psnr")))
    flicker = "Flicker to fp32, grey levels ↓"
    made.append(Column(flicker, "moving", 3, -1, lambda line: line.mean.flicker_fp32))
    made.append(Column(flicker, "still", 3, -1, lambda line: line.mean.flicker_still))
    return made
