"""Sweeps over named points: a table by subject, and the losses as a plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from esca.study.document import Figure, Part, Table
from esca.study.grouping import best_cells, by_label, by_subject
from esca.study.plots import dots
from esca.study.study import Result
from esca.study.summary import (
    MEAN,
    Spread,
    loss,
    of,
    region_psnr,
    spent,
    spread_of,
    vdp,
    views_of,
)

MB = 1e6


@dataclass(frozen=True)
class Column:
    """A column of figures. ``higher``: whether more is better, None where none is marked."""

    title: str
    digits: int
    higher: bool | None
    value: Callable[[Sequence[Result]], Spread]


def methods_part(title: str, anchor: str, results: Sequence[Result]) -> Part:
    """Tables and plot of one sweep."""
    views = views_of(results)
    subjects = by_subject(results)
    blocks: list[str | Table | Figure] = []
    losses = {
        label: {view: spread_of(members, view, loss) for view in [*views, MEAN]}
        for label, members in by_label(results).items()
    }
    whole = "over all subjects" if len(subjects) > 1 else f"on {next(iter(subjects))}"
    caption = f"JOD against fp32 in the same view, {whole}; whiskers: one standard deviation."
    blocks.append(Figure(f"{anchor}-losses", dots(anchor, losses, "JOD to fp32", caption), caption))
    shown: dict[str, Sequence[Result]] = {"All subjects": results} if len(subjects) > 1 else {}
    shown |= {f"Subject {name}": members for name, members in subjects.items()}
    for caption, members in shown.items():
        blocks.append(_table(caption, members, _pictures(members)))
        blocks.append(_table(f"{caption}: parts, time and cost", members, _costs(members)))
    return Part(title, anchor, tuple(blocks))


def _pictures(results: Sequence[Result]) -> list[Column]:
    """What people see, by view."""

    def of_view(view: str, figure: Callable[..., float]) -> Callable[[Sequence[Result]], Spread]:
        return lambda members: spread_of(members, view, figure)

    views = views_of(results)
    return [
        *(Column(f"VDP {view}", 3, True, of_view(view, vdp)) for view in views),
        *(Column(f"to fp32, {view}", 3, True, of_view(view, loss)) for view in [*views, MEAN]),
    ]


def _costs(results: Sequence[Result]) -> list[Column]:
    """PSNR and flicker, and what a method takes."""
    regions = dict.fromkeys(
        name for result in results for row in result.data["rows"] for name in row["regions"]
    )

    def of_region(name: str) -> Callable[[Sequence[Result]], Spread]:
        return lambda members: spread_of(members, MEAN, region_psnr(name))

    def mean_of(key: str) -> Callable[[Sequence[Result]], Spread]:
        return lambda members: spread_of(members, MEAN, of(key))

    def size(members: Sequence[Result]) -> Spread:
        return _scaled(spread_of(members, MEAN, of("bytes")), 1 / MB)

    return [
        Column("PSNR dB", 2, True, mean_of("psnr")),
        *(Column(f"{name} dB", 2, True, of_region(name)) for name in regions),
        Column("flicker", 3, False, mean_of("flicker")),
        Column("MB", 2, None, size),
        Column("calibr. s", 0, None, lambda members: spent(members, "calibration_seconds")),
        Column("quant. s", 0, None, lambda members: spent(members, "quantization_seconds")),
        Column("peak MB", 0, None, lambda members: _scaled(spent(members, "peak_memory"), 1 / MB)),
    ]


def _scaled(value: Spread, factor: float) -> Spread:
    return Spread(value.mean * factor, value.sd * factor, value.count)


def _table(caption: str, results: Sequence[Result], columns: Sequence[Column]) -> Table:
    rows, means = [], []
    for label, members in by_label(results).items():
        figures = [column.value(members) for column in columns]
        rows.append((label, *(f.text(c.digits) for f, c in zip(figures, columns, strict=True))))
        means.append([figure.mean for figure in figures])
    compared = {i + 1: c.higher for i, c in enumerate(columns) if c.higher is not None}
    values = {place: [line[place - 1] for line in means] for place in compared}
    best = best_cells(values, compared, rows)
    return Table(caption, ("", *(column.title for column in columns)), tuple(rows), 1, best)
