"""``esca explore``: which accelerators are worth building."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from esca.accelerator.explore import Row, Sweep, explore, load_sweep, pareto_front
from esca.cli.console import Json, emit, progress, say
from esca.files import write_json
from esca.report.accelerator.pareto import build_pareto_page, describe


def explore_command(
    sweep: Annotated[
        str, typer.Argument(help="default, 144 designs around esca-16x16, or a YAML file.")
    ] = "default",
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("explore"),
    workers: Annotated[int, typer.Option(help="Processes; 0 takes one a core.")] = 0,
    as_json: Json = False,
) -> None:
    """Sweep configurations over a workload; the Pareto front in latency, energy and area.

    Writes `rows.jsonl` (an interrupted run goes on from it), `front.json` and `pareto.html`.

    JSON keys: `sweep workload designs failed` and `front`, rows of `config_sha256 choices changes
    latency_ms energy_uj area_mm2 useful_utilization dram_bytes`.
    """
    asked = load_sweep(sweep)
    with progress("Exploring") as update:
        rows = explore(asked, out / "rows.jsonl", workers or os.cpu_count() or 1, update)
    front = pareto_front(rows)
    data = {
        "sweep": asked.name,
        "workload": rows[0].workload,
        "designs": len(rows),
        "failed": sum(row.error is not None for row in rows),
        "front": [_row_data(asked, row) for row in front],
    }
    write_json(data, out / "front.json")
    page = build_pareto_page(asked, rows, out / "pareto.html")
    emit(data, as_json)
    say(_text(asked, data), as_json)
    say(f"Wrote {page}.", as_json)


def _row_data(sweep: Sweep, row: Row) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for axis, place in row.choices.items():
        changes |= sweep.axes[axis][place]
    return {**asdict(row), "changes": changes}


def _text(sweep: Sweep, data: dict[str, Any]) -> str:
    lines = [
        f"{data['workload']}: {data['designs']} designs, {data['failed']} do not run, "
        f"{len(data['front'])} on the front",
        f"{'ms':>8} {'uJ':>8} {'mm2':>7} {'useful':>7}  design",
    ]
    for row in data["front"]:
        label = "; ".join(describe(sweep, axis, place) for axis, place in row["choices"].items())
        lines.append(
            f"{row['latency_ms']:>8.3f} {row['energy_uj']:>8.0f} {row['area_mm2']:>7.2f} "
            f"{row['useful_utilization']:>7.1%}  {label}"
        )
    return "\n".join(lines)
