"""``esca budget``: what a headset in a call sustains, and what binds it."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from esca.cli.console import Json, emit, progress, say
from esca.errors import EscaError
from esca.telepresence.budget import answer, budget_names, load_budget, plan_of
from esca.telepresence.budget.config import GazeMode
from esca.telepresence.budget.results import (
    Named,
    answers_data,
    answers_text,
    budgets_text,
)


def budget_command(
    preset: Annotated[
        str | None,
        typer.Argument(help=f"{', '.join(budget_names())}, or a YAML file. Default: all."),
    ] = None,
    avatars: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Others in the room.")
    ] = None,
    gaze: Annotated[
        str | None, typer.Option(help="none, series or parallel with rendering; foveates.")
    ] = None,
    period: Annotated[float, typer.Option(help="Milliseconds in which avatars are to fit.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="Of each simulated call.")] = 2.0,
    calls: Annotated[int, typer.Option(help="Calls to simulate.")] = 24,
    seed: Annotated[int, typer.Option(help="Of jitter, losses and phases.")] = 0,
    as_json: Json = False,
) -> None:
    """Simulate the pipeline of a headset: camera to encoder to network to decoder to display.

    JSON keys: `name title avatars gaze faces_hertz frames_hertz face_ms head_ms late_ms gaze_ms
    tolerated binds capacities utilization energy_mj energy_unknown fates period_ms fit sustained
    series_ms` and `figures`, each `value unit source assumed`; without PRESET a list `budgets`.
    """
    mode = next((known for known in get_args(GazeMode) if known == gaze), None)
    if gaze is not None and mode is None:
        raise EscaError(f"--gaze: {gaze!r}, expected {', '.join(get_args(GazeMode))}")
    if not period > 0:
        raise EscaError(f"--period: {period:g}, expected above 0")
    made: list[Named] = []
    for name in [preset] if preset else budget_names():
        budget = load_budget(name)
        with progress(f"Simulating {Path(name).stem}") as update:
            plan = plan_of(budget, avatars, mode)
            answers = answer(plan, period, seconds, calls, seed, update)
        made.append((Path(name).stem, budget.title, answers))
    if preset:
        emit(answers_data(made[0]), as_json)
        say(answers_text(made[0]), as_json)
    else:
        emit({"budgets": [answers_data(one) for one in made]}, as_json)
        say(budgets_text(made), as_json)
