"""What every command shares: progress on standard error, results on standard output."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document instead of text; see the keys above."),
]


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; yields the ``(done, total)`` callback that drives it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield update


def say(text: str, as_json: bool = False) -> None:
    """One line for people; nothing where a JSON document is asked for."""
    if not as_json:
        out.print(text, highlight=False, markup=False)


def emit(data: Any, as_json: bool) -> None:
    """The JSON document, where it is asked for."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, sort_keys=True))
