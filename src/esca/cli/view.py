"""``esca view``: artifacts beside their fp32 avatar, in a browser."""

import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from esca.cli.console import out, progress
from esca.runtime.backends import ENGINES, Engine
from esca.runtime.extra import needed


def view_command(
    artifacts: Annotated[list[Path], typer.Argument(help="Artifacts of one avatar.")],
    avatar: Annotated[Path, typer.Option(help="Their fp32 checkpoint.")],
    capture: Annotated[
        Path | None,
        typer.Option(
            help="Capture of the subject; default: the artifact's, where it is beside it."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve at.")] = 8080,
    backend: Annotated[Engine, typer.Option(help=f"What decodes: {', '.join(ENGINES)}.")] = (
        "openvino"
    ),
    threads: Annotated[int, typer.Option(help="Threads of each of two decoders.")] = 1,
) -> None:
    """Show heads in a browser: fp32, quantized and their difference, with sliders and playback.

    Serves until interrupted. Whoever can reach the page sees the face.
    """
    needed("viser", "viewer")
    # Imported here, since it needs what only the extra brings.
    from esca.viewer.view import serving

    with ExitStack() as stack:
        with progress("Encoding") as update:
            page = stack.enter_context(
                serving(artifacts, avatar, capture, backend, threads, host, port, update)
            )
        out.print(f"Open {page.address} in a browser; Ctrl-C ends.", highlight=False)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
