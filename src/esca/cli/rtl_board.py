"""``esca rtl board`` and ``esca rtl host``: the accelerator on a board."""

from pathlib import Path
from typing import Annotated

import typer

from esca.accelerator.check import random_codes
from esca.accelerator.config import config_hash, preset_names
from esca.cli.console import Json, emit, progress, say
from esca.runtime import load_artifact
from esca.runtime.extra import needed

BOARD = "ecp5-4x4"
PRESETS = f"{BOARD} (the board's own), {', '.join(preset_names())}, or a YAML file."
SIMULATED_DIVISOR = 4

Mhz = Annotated[float, typer.Option(help="Clock of the machine and of memory.")]
Baud = Annotated[float, typer.Option(help="Of the serial line.")]


def board_command(
    out: Annotated[Path, typer.Option(help="Folder for ulx3s.v, ulx3s.lpf and ulx3s.bit.")],
    preset: Annotated[str, typer.Argument(help=PRESETS)] = BOARD,
    mhz: Mhz = 50.0,
    baud: Baud = 1e6,
    seed: Annotated[int, typer.Option(help="Of placement.")] = 1,
    as_json: Json = False,
) -> None:
    """Build a bitstream for the ULX3S 85F: machine, SDRAM controller and the host's port.

    Exit code 1 where the clock is missed. JSON keys: `config config_sha256 bitstream bytes used
    available mhz fmax_mhz met`.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.board.bitstream import build_bitstream
    from esca.accelerator.rtl.board.own_config import board_config

    config = board_config(preset)
    with progress("Building") as update:
        made = build_bitstream(config, out, mhz * 1e6, baud, seed, update)
    data = {
        "config": config.name,
        "config_sha256": config_hash(config),
        "bitstream": str(made.path),
        "bytes": made.size,
        "used": dict(made.used),
        "available": dict(made.available),
        "mhz": mhz,
        "fmax_mhz": round(made.fmax_hertz / 1e6, 2),
        "met": made.met,
    }
    emit(data, as_json)
    for kind, used in made.used.items():
        say(f"{kind:<11} {used:>7,} of {made.available[kind]:,}", as_json)
    say(
        f"{made.path}: {made.size:,} bytes; {made.fmax_hertz / 1e6:.1f} MHz of {mhz:g} wanted",
        as_json,
    )
    if not made.met:
        raise typer.Exit(1)


def host_command(
    artifact: Annotated[Path, typer.Argument(help="Artifact of `esca quantize`.")],
    preset: Annotated[str, typer.Option(help=PRESETS)] = BOARD,
    port: Annotated[
        str | None, typer.Option(help="Serial port of a board; default: a compiled simulation.")
    ] = None,
    frames: Annotated[int, typer.Option(help="How many frames, of random codes.")] = 1,
    mhz: Mhz = 50.0,
    baud: Baud = 1e6,
    as_json: Json = False,
) -> None:
    """Run the texture decoder on a board, over its serial port, and hold it against the runtime.

    Exit code 1 where anything differs. The simulated line is faster than a real one, 4 cycles a
    bit. JSON keys: `config passed` and `frames`, each `values different cycles line_errors
    frame_errors repeated`.
    """
    needed("amaranth", "rtl")
    from esca.accelerator.rtl.board.board_frames import board_data, check_board_frames
    from esca.accelerator.rtl.board.core import board_settings
    from esca.accelerator.rtl.board.host import Board
    from esca.accelerator.rtl.board.own_config import board_config
    from esca.accelerator.rtl.board.sdram_part import ULX3S_SDRAM
    from esca.accelerator.rtl.board.serial_port import SerialPort
    from esca.accelerator.rtl.board.simulated import JoinedBoard
    from esca.accelerator.rtl.frames import texture_program
    from esca.accelerator.rtl.top import Top

    config, quantized = board_config(preset), load_artifact(artifact).quantized
    if port is None:
        settings = board_settings(config, ULX3S_SDRAM, mhz * 1e6, SIMULATED_DIVISOR)
        board = Board(JoinedBoard(Top(config), settings))
    else:
        board = Board(SerialPort(port, baud))
    data = []
    with progress("Running") as update:
        program = texture_program(quantized, config)
        checks = check_board_frames(board, quantized, program, random_codes(quantized, frames))
        for check in checks:
            data.append(board_data(check))
            update(len(data), frames)
    passed = not any(one["different"] for one in data)
    emit({"config": config.name, "passed": passed, "frames": data}, as_json)
    for number, one in enumerate(data):
        say(
            f"frame {number}: {one['different']:,} of {one['values']:,} integers differ; "
            f"{one['cycles']:,} cycles; {one['repeated']} requests repeated",
            as_json,
        )
    if not passed:
        raise typer.Exit(1)
