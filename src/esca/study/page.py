"""A study's page: the protocol in words, then a part for each sweep, like a paper's results."""

from collections.abc import Sequence
from pathlib import Path

from esca.quantization import load_recipe
from esca.study.config import StudyConfig
from esca.study.curves import curve_part
from esca.study.document import Part, Table, write_page
from esca.study.methods import methods_part
from esca.study.study import Result, sweeps_of
from esca.study.sweeps import SweepName

TITLES: dict[SweepName, str] = {
    "rivals": "All methods",
    "stages": "Stages, each left out",
    "granularity": "Granularity of weight scales",
    "k": "Exempt channels (k of FFAS)",
    "alpha": "Smoothing strength (alpha)",
    "frames": "Calibration frames",
}

AXES: dict[SweepName, str] = {
    "k": "k, % of the channels that are exempt",
    "alpha": "alpha, share of the range that moves to the weights",
    "frames": "calibration frames",
}


def write_study(study: StudyConfig, results: Sequence[Result], folder: Path, date: str) -> Path:
    """Write ``study.html``, ``study.md`` and ``figures/`` into ``folder``; returns the page."""
    parts = [_protocol(study, results)]
    for sweep, members in sweeps_of(results).items():
        if sweep in AXES:
            parts.append(curve_part(TITLES[sweep], sweep, AXES[sweep], members))
        else:
            parts.append(methods_part(TITLES[sweep], sweep, members))
    runs = len({result.run.key for result in results})
    lead = (
        f"{runs} runs on {_counted(len(study.subjects), 'subject')} with "
        f"{_counted(len(study.seeds), 'seed')}; JOD is the scale of FovVideoVDP: 10 is no visible "
        "difference from the reference, one less is noticed by three viewers in four."
    )
    return write_page(study.title, lead, parts, folder, date)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _protocol(study: StudyConfig, results: Sequence[Result]) -> Part:
    seeds = ", ".join(map(str, study.seeds))
    config = study.calibration
    base = load_recipe(study.base, study.bits[0])
    codes = {result.data["code"] for result in results}
    blocks: list[str | Table] = [
        results[0].data["protocol"],
        f"Calibration: {config.frames} frames spread evenly over the training segments, each seen "
        "by a camera drawn from the seed. Held-out segments are seen by nothing but the scoring. "
        f"Seeds: {seeds}; they decide the calibration cameras and everything that learns. "
        f"Ablations start from {base.name} {base.label.upper()}.",
        "What is scored is the execution on integers, from a saved artifact. Figures with ± are "
        "mean and sample standard deviation over the seeds (in tables over all subjects, over "
        "subjects and seeds). PSNR and flicker are means over the views, flicker in grey levels.",
        "Seconds and memory: each calibration runs in a fresh process, and the recipes that share "
        "it are quantized there one after the other, with nothing else of esca running. Memory is "
        "the largest resident size during the calibration or during the recipe's own "
        "quantization, whichever is larger (on Linux, where the peak can be reset; elsewhere it is "
        "the peak of the process so far).",
        Table(
            "Subjects",
            ("subject", "capture", "avatar", "fp32 JOD"),
            tuple(_subject_line(subject.name, study, results) for subject in study.subjects),
            3,
        ),
    ]
    if len(codes) > 1:
        blocks.append(
            f"Attention: the runs were made by {len(codes)} different versions of esca's source "
            f"({', '.join(sorted(codes))}). Delete the folder rows to run all of them anew."
        )
    return Part("Protocol", "protocol", tuple(blocks))


def _subject_line(name: str, study: StudyConfig, results: Sequence[Result]) -> tuple[str, ...]:
    subject = next(subject for subject in study.subjects if subject.name == name)
    fp32 = next(result.data["fp32"] for result in results if result.run.subject.name == name)
    scores = ", ".join(f"{row['view']} {row['vdp']:.3f}" for row in fp32)
    return (name, subject.capture.resolve().name, subject.avatar.name, scores)
