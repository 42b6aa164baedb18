"""Rows of an evaluation as text and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from esca.evaluation.protocol import Protocol
from esca.evaluation.rows import RegionScore, Row

MEAN = "mean"
NUMBERS = (
    *("vdp", "vdp_fp32", "psnr", "psnr_fp32"),
    *("ssim", "flicker", "flicker_fp32", "flicker_still"),
)


def combined(parts: Sequence[tuple[float, Row]]) -> Row:
    """One row from rows of the same method: weighted means; regions where a row has them."""
    names = dict.fromkeys(name for _, row in parts for name in row.regions)
    regions = {}
    for name in names:
        scores = [(weight, row.regions[name]) for weight, row in parts if name in row.regions]
        regions[name] = RegionScore(
            *(
                _mean([(weight, getattr(score, key)) for weight, score in scores])
                for key in ("psnr", "ssim", "vdp")
            )
        )
    numbers: dict[str, Any] = {
        key: _mean([(weight, getattr(row, key)) for weight, row in parts]) for key in NUMBERS
    }
    return replace(parts[0][1], regions=regions, **numbers)


def mean_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """One row a method and bits, with the view ``mean``: the mean over its views."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.bits), []).append(row)
    return tuple(
        replace(combined([(1, row) for row in group]), view=MEAN) for group in groups.values()
    )


def as_json(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """Plain data for ``json.dumps``.

    ``protocol``: the settings, and ``description``, the same in words. ``rows``: one object a
    method and view, and for each method one whose ``view`` is ``mean``; keys ``method``, ``bits``,
    ``view``, ``bytes``, ``vdp``, ``vdp_fp32`` (JOD), ``psnr``, ``psnr_fp32`` (dB; null without any
    error), ``ssim``, ``flicker``, ``flicker_fp32``, ``flicker_still`` (grey levels) and
    ``regions``: for each by name ``psnr``, ``ssim``, ``vdp``.
    """
    settings = asdict(protocol) | {"description": protocol.describe()}
    return {
        "protocol": settings | {"views": dict(protocol.views), "regions": list(protocol.regions)},
        "rows": [finite(asdict(row)) for row in (*rows, *mean_rows(rows))],
    }


def as_text(rows: Sequence[Row], protocol: Protocol) -> str:
    """Two aligned tables, a line for each method: whole pictures, then regions and flicker.

    First VDP of each view, all other figures are means over the views.
    """
    tables = (_pictures(rows), _regions(rows))
    return "\n".join([*(f"{aligned(lines)}\n" for lines in tables), protocol.describe(), ""])


def _pictures(rows: Sequence[Row]) -> list[list[str]]:
    views = list(dict.fromkeys(row.view for row in rows))
    by_view = {(row.method, row.bits, row.view): row for row in rows}
    head = ["method", "bits", *(f"vdp {view}" for view in views), "vdp mean", "to fp32"]
    head += ["psnr", "to fp32", "ssim", "flicker", "MB"]
    lines = [head]
    for mean in mean_rows(rows):
        of_view = [by_view.get((mean.method, mean.bits, view)) for view in views]
        line = [mean.method, mean.bits]
        line += [f"{row.vdp:.3f}" if row else "-" for row in of_view]
        line += [f"{mean.vdp:.3f}", f"{mean.vdp_fp32:.3f}", decibels(mean.psnr)]
        line += [decibels(mean.psnr_fp32), f"{mean.ssim:.4f}", f"{mean.flicker:.2f}"]
        lines.append([*line, f"{mean.bytes / 1e6:.2f}"])
    return lines


def _regions(rows: Sequence[Row]) -> list[list[str]]:
    regions = list(dict.fromkeys(name for row in rows for name in row.regions))
    head = ["method", "bits", *(f"{kind} {name}" for name in regions for kind in ("vdp", "psnr"))]
    lines = [[*head, "flicker to fp32: moving", "still"]]
    for mean in mean_rows(rows):
        line = [mean.method, mean.bits]
        for name in regions:
            score = mean.regions.get(name)
            line += [f"{score.vdp:.3f}", decibels(score.psnr)] if score else ["-", "-"]
        lines.append([*line, f"{mean.flicker_fp32:.2f}", f"{mean.flicker_still:.2f}"])
    return lines


def aligned(lines: Sequence[Sequence[str]], names: int = 2) -> str:
    """Lines of cells as a table, a rule under the first; ``names`` columns to the left."""
    head = lines[0]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = [
        "  ".join(
            cell.ljust(width) if column < names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    table.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(table)


def _mean(parts: Sequence[tuple[float, float]]) -> float:
    return sum(weight * value for weight, value in parts) / sum(weight for weight, _ in parts)


def decibels(value: float) -> str:
    """Two digits; a dash for no error at all."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None for numbers that JSON cannot hold."""
    return {
        key: finite(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in values.items()
    }
