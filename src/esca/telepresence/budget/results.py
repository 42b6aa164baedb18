"""Answers as plain data and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from esca.telepresence.budget.answers import Answers
from esca.telepresence.budget.plan import Work

Named = tuple[str, str, Answers]
"""Name, title and answers of a budget."""


def answers_data(named: Named) -> dict[str, Any]:
    """Plain data; every figure with unit and source."""
    name, title, made = named
    return {
        "name": name,
        "title": title,
        "avatars": made.plan.avatars,
        "gaze": made.plan.gaze,
        "faces_hertz": made.faces_hertz,
        "frames_hertz": made.frames_hertz,
        "face_ms": dict(made.face),
        "head_ms": dict(made.head),
        "late_ms": dict(made.late),
        "gaze_ms": dict(made.gaze),
        "tolerated": made.tolerated,
        "binds": made.binds.name,
        "capacities": [asdict(capacity) for capacity in made.capacities],
        "utilization": {device: dict(stages) for device, stages in made.utilization.items()},
        "energy_mj": dict(made.millijoules),
        "energy_unknown": list(made.unknown),
        "fates": dict(made.fates),
        "period_ms": made.period_ms,
        "fit": made.fit,
        "sustained": made.sustained,
        "series_ms": made.series_ms,
        "figures": {field: asdict(figure) for field, figure in made.plan.sources.items()},
    }


def answers_text(named: Named) -> str:
    """Stages, latencies and what follows from them, in a screen of text."""
    name, title, made = named
    others = "1 other" if made.plan.avatars == 1 else f"{made.plan.avatars} others"
    return "\n".join(
        [
            f"{name}: {title}; {others}, gaze tracking: {made.plan.gaze}",
            "",
            _stages(made),
            "",
            _latencies(made),
            "",
            f"sustains  {made.frames_hertz:.1f} frames/s, {made.faces_hertz:.1f} new pictures/s of "
            "each face",
            f"binds     {_binding(made)}",
            f"energy    {_energy(made)}",
            f"series    {made.series_ms:.2f} ms of work a frame, were nothing done side by side",
            f"fits      {made.fit} others in {made.period_ms:g} ms by arithmetic, "
            f"{made.sustained} in the simulation",
        ]
    )


def budgets_text(all_named: Sequence[Named]) -> str:
    """A line for each budget."""
    period = all_named[0][2].period_ms
    head = ["budget", "encoder", "decoder", "faces/s", "frames/s", "face p50", "p95", "p99"]
    rows = [[*head, "mJ", f"fit {period:g} ms", "binds"]]
    for name, _, made in all_named:
        rows.append(
            [
                name,
                *(f"{work.ms:.2f}" for work in (made.plan.encoder, made.plan.decoder)),
                *(f"{rate:.1f}" for rate in (made.faces_hertz, made.frames_hertz)),
                *(f"{value:.1f}" for value in made.face.values()),
                f"{sum(made.millijoules.values()):.1f}" if made.millijoules else "-",
                f"{made.sustained}",
                _binding(made),
            ]
        )
    return _columns(rows, left=(0, len(rows[0]) - 1))


def _stages(made: Answers) -> str:
    plan, busy = made.plan, made.utilization
    listed: list[tuple[str, str, Work]] = [
        ("encoder", "encoder", plan.encoder),
        ("decoder", "decoder", plan.decoder),
        ("warp", "warp", plan.warp),
        ("rasterizer", "rasterizer", plan.rasterizer),
        ("compositor", "compositor", plan.compositor),
    ]
    if plan.gaze != "none":
        listed.append(("gaze", "gaze.tracker", plan.tracker))
    rows = [["stage", "on", "ms", "busy", "mJ/frame", "figure"]]
    for stage, field, work in listed:
        energy = made.millijoules.get(stage)
        rows.append(
            [
                stage,
                work.device,
                f"{work.ms:.2f}",
                f"{busy.get(work.device, {}).get(stage, 0):.1%}",
                "-" if energy is None else f"{energy:.2f}",
                _origin(made, field),
            ]
        )
    delays = {"camera": plan.camera_ms, "network.delay": plan.network_ms}
    delays |= {"network.playout": plan.playout_ms, "display": plan.display_ms}
    rows += [[f, "", f"{ms:.2f}", "", "", _origin(made, f)] for f, ms in delays.items()]
    return _columns(rows, left=(0, 1, 5))


def _latencies(made: Answers) -> str:
    rows = [["from ... to photons, ms", "p50", "p95", "p99"]]
    parts: list[tuple[str, Mapping[str, float]]] = [
        ("the other's face moves", made.face),
        ("own head moves", made.head),
        ("own head, reprojected", made.late),
        (f"gaze moves ({made.plan.tolerated_ms:g} ms are tolerable)", made.gaze),
    ]
    for label, values in parts:
        if values:
            rows.append([label, *(f"{value:.1f}" for value in values.values())])
    return _columns(rows, left=(0,))


def _columns(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _origin(made: Answers, field: str) -> str:
    figure = made.plan.sources[field]
    return f"{'assumed: ' if figure.assumed else ''}{figure.source}"


def _binding(made: Answers) -> str:
    return f"{made.binds.name} ({made.binds.stage}) at {made.binds.hertz:.1f} Hz"


def _energy(made: Answers) -> str:
    known = " + ".join(f"{name} {energy:.2f}" for name, energy in made.millijoules.items())
    without = f"; not known: {', '.join(made.unknown)}" if made.unknown else ""
    return f"{known or 'no figure'}{' mJ a frame' if known else ''}{without}"
