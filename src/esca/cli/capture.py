"""``esca capture``: make captures and look at what is in one."""

from pathlib import Path
from typing import Annotated

import typer

from esca.captures.check import CaptureReport, check_capture
from esca.captures.reader import open_capture
from esca.cli.console import Json, emit, out, progress, say
from esca.subjects.head import head_subject
from esca.subjects.procedural import procedural_subject
from esca.subjects.rig import studio_rig
from esca.subjects.segments import default_segments
from esca.subjects.studio import RecordConfig, record
from esca.subjects.subject import Subject

app = typer.Typer(no_args_is_help=True, help="Make captures, and check what one holds.")

Target = Annotated[Path, typer.Argument(help="Folder to write; must not hold a capture yet.")]
Texture = Annotated[int, typer.Option(help="Texture side in texels: 256, 512 or 1024.")]
Frames = Annotated[int, typer.Option(help="Frames in all, held-out segments included.")]
Cameras = Annotated[int, typer.Option(help="Cameras in the rig, 12 or more.")]
Photos = Annotated[bool, typer.Option("--photos", help="Also render the photos (slow, large).")]
Seed = Annotated[int, typer.Option(help="Seed of the subject and of its motion.")]
Workers = Annotated[int, typer.Option(help="Processes; 0 for one per core.")]


@app.command("synth")
def synth(
    target: Target,
    texture: Texture = 512,
    frames: Frames = 240,
    cameras: Cameras = 12,
    photos: Photos = False,
    vertices: Annotated[int, typer.Option(help="Approximate mesh vertices.")] = 7000,
    seed: Seed = 0,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Write a procedural subject in MultiFace format.

    JSON keys: `path subject frames cameras texture vertices`.
    """
    subject = procedural_subject(seed, vertices)
    _record(subject, target, texture, frames, cameras, photos, seed, workers, as_json)


@app.command("head")
def head(
    source: Annotated[Path, typer.Argument(help="A glTF head (.glb or .gltf) with morph targets.")],
    target: Target,
    texture: Texture = 512,
    frames: Frames = 240,
    cameras: Cameras = 12,
    photos: Photos = False,
    seed: Seed = 0,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Write a glTF head in MultiFace format, under studio lighting.

    JSON keys: `path subject frames cameras texture vertices`.
    """
    subject = head_subject(source)
    _record(subject, target, texture, frames, cameras, photos, seed, workers, as_json)


@app.command("check")
def check(
    capture: Annotated[Path, typer.Argument(help="A capture's folder.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every image.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a capture holds and what is missing or broken; exit code 1 if it cannot be used.

    JSON keys: the fields of the report, `problems` (each `severity path message`) and `ok`.
    """
    with progress("Checking") as update:
        found = check_capture(capture, deep=deep, progress=update)
    emit(found.as_dict(), as_json)
    if not as_json:
        _print_report(found)
    if found.errors:
        raise typer.Exit(1)


def _print_report(found: CaptureReport) -> None:
    held = f"{found.photos} photos" if found.photos else "no photos"
    maps = ", ".join(found.regions) or "none"
    lines = [
        f"{found.root}",
        f"  subject      {found.subject} ({found.rig} rig, {len(found.cameras)} cameras)",
        f"  frames       {found.frames} in {len(found.segments)} segments, "
        f"{found.dropped_frames} dropped",
        f"  samples      {found.samples} with textures, {found.dropped_samples} missing; {held}",
        f"  mesh         {found.vertices} vertices, {found.triangles} triangles",
        f"  texture      {found.texture_size} x {found.texture_size}",
        f"  regions      {maps}; loss weights {'present' if found.loss_weight else 'absent'}",
    ]
    for line in lines:
        out.print(line, highlight=False, markup=False)
    for problem in found.problems:
        out.print(
            f"  {problem.severity}: {problem.path}: {problem.message}",
            highlight=False,
            markup=False,
            style="red" if problem.severity == "error" else "yellow",
        )
    verdict = "can be used" if not found.errors else f"{len(found.errors)} errors"
    out.print(f"  verdict      {verdict}", highlight=False, markup=False)


def _record(
    subject: Subject,
    target: Path,
    texture: int,
    frames: int,
    cameras: int,
    photos: bool,
    seed: int,
    workers: int,
    as_json: bool,
) -> None:
    config = RecordConfig(
        texture_size=texture,
        cameras=studio_rig(cameras),
        segments=default_segments(frames, seed=seed),
        photos=photos,
        workers=workers or None,
    )
    with progress("Recording") as update:
        record(subject, target, config, update)
    made = open_capture(target)
    emit(
        {
            "path": str(target),
            "subject": made.subject,
            "frames": len(made.frames),
            "cameras": len(made.cameras),
            "texture": made.texture_size,
            "vertices": made.vertex_count,
        },
        as_json,
    )
    say(
        f"Wrote {target}: subject {made.subject}, {len(made.frames)} frames in "
        f"{len(made.segments)} segments, {len(made.cameras)} cameras, "
        f"texture {made.texture_size}, {made.vertex_count} vertices.",
        as_json,
    )
