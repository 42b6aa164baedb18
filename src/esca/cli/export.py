"""``esca export``: an artifact as ONNX, for other engines."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, progress, say
from esca.errors import EscaError
from esca.files import sha256
from esca.quantization.calibration import CalibrationConfig
from esca.quantization.recipe import load_recipe
from esca.runtime.artifact import Artifact, load_artifact, save_artifact
from esca.runtime.encoder import BITS, RECIPE, encoder_artifact
from esca.runtime.extra import needed


def export_command(
    artifact: Annotated[Path, typer.Argument(help="Artifact of `esca quantize`.")],
    out: Annotated[Path, typer.Option(help="File to write, by convention *.onnx.")],
    to: Annotated[
        str,
        typer.Option(help="qdq: INT4 and INT8 operators for toolchains; cpu: fastest on CPUs."),
    ] = "qdq",
    avatar: Annotated[
        Path | None, typer.Option(help="The artifact's checkpoint, for the next two options.")
    ] = None,
    colours: Annotated[
        bool, typer.Option("--colours", help="Correct colours for an input `camera`.")
    ] = False,
    encoder: Annotated[
        bool,
        typer.Option("--encoder", help="Also quantize and export the encoder (needs --capture)."),
    ] = False,
    capture: Annotated[
        Path | None, typer.Option(help="Capture: normalization in the metadata; calibration.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Calibration frames of the encoder.")] = 64,
    check: Annotated[
        int, typer.Option(help="Compare this many held-out frames with the integer runtime.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Write a decoder, and its encoder, as ONNX (opset 21), fully checked.

    The encoder goes beside OUT as NAME.encoder.onnx and NAME.encoder.esca. `--check` runs the files
    on held-out frames of the capture in ONNX Runtime, and in OpenVINO where it is installed.

    JSON keys: `files`, each `path form bytes nodes`, and with `--check` `differences`, by engine
    and output `max mean same bits`, in steps of the output's grid.
    """
    if (colours or encoder or check) and avatar is None:
        raise EscaError("export: --colours, --encoder and --check need --avatar")
    if (encoder or check) and capture is None:
        raise EscaError("export: --encoder and --check need --capture")
    if colours and check:
        raise EscaError("export: --check compares what comes before --colours; give one of them")
    needed("onnx", "export")
    # Imported here, since all of it needs the extra.
    from esca.runtime.export.check import check_decoder, check_encoder
    from esca.runtime.export.export import export

    opened = None if capture is None else open_capture(capture)
    loaded = None if avatar is None else load_avatar(avatar).requires_grad_(False)
    made = load_artifact(artifact)
    if avatar is not None:
        _check_same(made, avatar, artifact)
    files = [(made, out, export(artifact, out, to, opened, loaded if colours else None))]
    if encoder and avatar is not None and loaded is not None and opened is not None:
        own = out.with_name(f"{out.stem}.encoder.esca")
        config = CalibrationConfig(frames=frames)
        with progress("Calibrating the encoder") as update:
            recipe = load_recipe(RECIPE, BITS)
            coder = encoder_artifact(loaded, opened, recipe, avatar, config, update)
        save_artifact(coder, own)
        target = out.with_name(f"{out.stem}.encoder.onnx")
        files.append((coder, target, export(own, target, to, opened)))
    facts = []
    for source, path, nodes in files:
        fact: dict[str, Any] = {
            "path": str(path),
            "form": to,
            "bytes": path.stat().st_size,
            "nodes": nodes,
        }
        say(f"Wrote {path}: {to}, {fact['bytes'] / 1e6:.2f} MB, {nodes} operators.", as_json)
        if check and loaded is not None and opened is not None:
            compare = check_decoder if source is made else check_encoder
            with progress("Comparing") as update:
                found = compare(source.quantized, path, loaded, opened, check, update)
            fact["differences"] = {
                engine: {label: asdict(one) for label, one in outputs.items()}
                for engine, outputs in found.items()
            }
            for engine, outputs in found.items():
                for label, one in outputs.items():
                    say(f"  {engine}, {label}: {one}", as_json)
        facts.append(fact)
    emit({"files": facts}, as_json)


def _check_same(artifact: Artifact, avatar: Path, path: Path) -> None:
    known = artifact.provenance.get("checkpoint_sha256")
    if known is not None and known != sha256(avatar):
        raise EscaError(f"{avatar}: not the checkpoint that {path} was made from")
