"""Entry point of the ``esca`` command."""

import sys
import warnings

import typer
from rich.markup import escape

from esca import __version__
from esca.cli import (
    avatar,
    bench,
    budget,
    call,
    capture,
    compare,
    compile,
    demo,
    evaluate,
    explore,
    export,
    gallery,
    mix,
    quantize,
    report,
    rtl,
    simulate,
    study,
    train,
    view,
)
from esca.cli.console import err
from esca.errors import EscaError

app = typer.Typer(
    name="esca",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Codec avatars on headsets: from a capture to a true 4-bit integer decoder.\n\n"
        "The flow is **capture → train → quantize → evaluate → report**:\n\n"
        "- `esca capture synth subject/`  make a subject, or bring a MultiFace capture\n"
        "- `esca train subject/ run/`  or bring a MultiFace checkpoint\n"
        "- `esca quantize subject/ run/avatar.pth mine.esca --recipe ffas-uv --bits w4a4`\n"
        "- `esca evaluate subject/ run/avatar.pth mine.esca --out results.json`\n"
        "- `esca report subject/ run/avatar.pth mine.esca --out report.html`\n\n"
        "`esca compare` puts every recipe into one table, `esca study` makes ablations of it.\n"
        "`esca mix` chooses 4 or 8 bits for each layer under a budget.\n"
        "`esca demo` runs all of it on a subject that comes with esca."
    ),
)
app.add_typer(capture.app, name="capture")
app.add_typer(avatar.app, name="avatar")
app.command("train")(train.train_command)
app.command("quantize")(quantize.quantize_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("compare")(compare.compare_command)
app.command("report")(report.report_command)
app.command("gallery")(gallery.gallery_command)
app.command("compile")(compile.compile_command)
app.command("simulate")(simulate.simulate_command)
app.command("explore")(explore.explore_command)
app.add_typer(rtl.app, name="rtl")
app.command("view")(view.view_command)
app.command("export")(export.export_command)
app.command("bench")(bench.bench_command)
app.command("mix")(mix.mix_command)
app.command("study")(study.study_command)
app.add_typer(call.app, name="call")
app.command("budget")(budget.budget_command)
app.command("demo")(demo.demo_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"esca {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options before the command."""


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        app()
    except EscaError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(2)
