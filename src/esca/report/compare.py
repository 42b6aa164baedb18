"""Every recipe in one table: calibrate once, quantize by each, score, and write the page."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.evaluation import Clips, Protocol, Row, as_json
from esca.files import write_json
from esca.quantization import CalibrationConfig, Recipe, calibrate
from esca.report.judge import judge
from esca.runtime import quantized_artifact, save_artifact

Stage = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""``stage("Calibrating")`` opens a progress display and yields its ``(done, total)`` callback."""


def compare(
    capture: Path,
    checkpoint: Path,
    folder: Path,
    recipes: Sequence[Recipe],
    calibration: CalibrationConfig,
    protocol: Protocol,
    stage: Stage,
    *,
    title: str,
    date: str,
) -> tuple[tuple[Row, ...], Clips]:
    """Leave ``artifacts/*.esca``, ``results.json`` and ``report.html`` in ``folder``."""
    opened = open_capture(capture)
    with stage("Calibrating") as update:
        measured = calibrate(load_avatar(checkpoint), opened, calibration, update, recipes)
    paths = []
    with stage("Quantizing") as update:
        for done, recipe in enumerate(recipes):
            update(done, len(recipes))
            path = folder / "artifacts" / f"{recipe.name}-{recipe.label}.esca"
            artifact = quantized_artifact(
                measured,
                recipe,
                checkpoint,
                opened.root.name,
                lesson=path.with_suffix(".lesson"),
            )
            save_artifact(artifact, path)
            paths.append(path)
    del measured
    page = folder / "report.html"
    with stage("Scoring") as update:
        rows, clips = judge(
            capture,
            checkpoint,
            paths,
            protocol,
            page,
            title=title,
            date=date,
            regions=calibration.regions,
            progress=update,
        )
    write_json(as_json(rows, clips.protocol), folder / "results.json")
    return rows, clips
