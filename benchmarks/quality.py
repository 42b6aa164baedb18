"""All methods on the embedded subject, and on others, as in docs/results.md: one command.

    python benchmarks/quality.py OUT [--subject NAME CAPTURE AVATAR ...] [--seeds 0 1 2]
                                     [--recipe NAME ...] [--seeded NAME ...] [--frames 260]

Records the embedded subject into OUT (``--frames`` in all, 30% of them held out), calibrates on all
of its training frames and runs ``esca study`` on it and on the subjects named: every recipe with
the first seed, those of ``--seeded`` with all. Runs that are done are skipped at the next start.
Leaves OUT/study.html, study.md, results.jsonl.
"""

import argparse
import datetime
from pathlib import Path

from esca.cli.console import progress
from esca.demo import demo_avatar, record_demo
from esca.evaluation import Protocol
from esca.quantization import CalibrationConfig
from esca.study import StudyConfig, Subject, run_study, write_study

SEEDED = ("ffas-uv", "ffas-uv-distill", "ffas-uv-distill-mixed")


def main() -> None:
    """Record, run, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--subject", nargs=3, action="append", default=[], metavar="TEXT")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--recipe", action="append", default=[])
    parser.add_argument("--seeded", nargs="*", default=list(SEEDED))
    parser.add_argument("--frames", type=int, default=260)
    wanted = parser.parse_args()
    recorded = sorted(wanted.out.glob("m--*"))
    with progress("Recording the subject") as update:
        capture = recorded or [record_demo(wanted.out, wanted.frames, progress=update)]
    study = StudyConfig(
        subjects=(
            Subject("procedural", capture[0], demo_avatar()),
            *(Subject(name, Path(root), Path(avatar)) for name, root, avatar in wanted.subject),
        ),
        sweeps=("rivals",),
        recipes=tuple(wanted.recipe),
        seeds=tuple(wanted.seeds),
        seeded=tuple(one for one in wanted.seeded if not wanted.recipe or one in wanted.recipe),
        calibration=CalibrationConfig(frames=256),
        protocol=Protocol(scale=0.25, crop="face", frames=5),
        title="Quality",
    )
    with progress("Runs") as update:
        results = run_study(study, wanted.out, update)
    print(write_study(study, results, wanted.out, datetime.date.today().isoformat()))


if __name__ == "__main__":
    main()
