"""Run a study: every variant on every subject with every seed, each run once, resumable."""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from esca.errors import EscaError
from esca.files import written_beside
from esca.quantization import Recipe, load_recipe, recipe_names
from esca.quantization.published import RECIPE as PUBLISHED
from esca.quantization.recipe import recipe_data
from esca.study.bench import Bench
from esca.study.config import StudyConfig, Subject
from esca.study.store import Store, code_digest, run_key
from esca.study.sweeps import SweepName, Variant, seeded, variants
from esca.study.worker import Order, worker

Progress = Callable[[int, int], None]
NUMERIC: tuple[SweepName, ...] = ("k", "alpha", "frames")


@dataclass(frozen=True)
class Run:
    """One run: a variant on a subject with a seed. ``key``: its name in the store."""

    variant: Variant
    subject: Subject
    seed: int
    key: str

    @property
    def order(self) -> Order:
        """The calibration it needs."""
        recipe = self.variant.recipe
        like = Recipe("any", rounding=replace(recipe.rounding, damp=0.01, block=32))
        return Order(self.subject.capture, self.subject.avatar, self.variant.calibration, like)


@dataclass(frozen=True)
class Result:
    """A finished run: what was run, and its stored data (``rows``, ``fp32``, ``spent``, ...)."""

    run: Run
    data: dict[str, Any]


def plan(study: StudyConfig, benches: Sequence[Bench], points: Sequence[float] = ()) -> list[Run]:
    """All runs of a study, sweep by sweep; runs of equal keys are the same run.

    ``points``: values of the numeric sweeps instead of their own.
    """
    names = study.recipes or (PUBLISHED.name, *recipe_names())
    rivals = [
        PUBLISHED.with_bits(bits) if name == PUBLISHED.name else load_recipe(name, bits)
        for bits in study.bits
        for name in names
    ]
    unknown = set(study.seeded) - {recipe.name for recipe in rivals}
    if unknown:
        raise EscaError(f"study: seeded: {min(unknown)!r} is none of its recipes")
    base = load_recipe(study.base, study.bits[0])
    runs = []
    for sweep in study.sweeps:
        wanted = points if points and sweep in NUMERIC else None
        for variant in variants(sweep, base, rivals, study.calibration, wanted):
            for bench in benches:
                runs += [_run(variant, bench, seed) for seed in _seeds(study, variant)]
    return runs


def _seeds(study: StudyConfig, variant: Variant) -> tuple[int, ...]:
    all_of_them = not study.seeded or variant.recipe.name in study.seeded
    return study.seeds if all_of_them else study.seeds[:1]


def _run(variant: Variant, bench: Bench, seed: int) -> Run:
    calibration = replace(variant.calibration, seed=seed, regions=bench.subject.regions)
    variant = replace(variant, recipe=seeded(variant.recipe, seed), calibration=calibration)
    key = run_key(
        bench.identity
        | {
            "recipe": {k: v for k, v in recipe_data(variant.recipe).items() if k != "name"},
            "calibration": {k: v for k, v in asdict(calibration).items() if k != "regions"},
            "protocol": asdict(bench.protocol),
        }
    )
    return Run(variant, bench.subject, seed, key)


def run_study(
    study: StudyConfig,
    folder: Path,
    progress: Progress | None = None,
    points: Sequence[float] = (),
) -> list[Result]:
    """Do what is not done yet, and return all results in the order of the plan.

    Finished runs lie in ``folder/rows``, one file each; a second start skips them. Recipes that
    share a calibration share a fresh process, in which calibration and quantization are timed and
    their peak memory is taken; scoring happens here, between them, so that timings are undisturbed.
    A script that calls this needs the usual ``if __name__ == "__main__"`` around it.
    ``progress`` counts distinct runs. Also writes ``folder/results.jsonl``, a line a run and view.
    """
    benches = {subject.name: Bench(subject, study.protocol) for subject in study.subjects}
    runs = plan(study, list(benches.values()), points)
    store = Store(folder / "rows")
    distinct = {run.key: run for run in runs}
    missing = [run for run in distinct.values() if not store.has(run.key)]
    done = len(distinct) - len(missing)
    if progress:
        progress(done, len(distinct))
    code = code_digest()
    for order, members in _grouped(missing):
        with worker(order) as at_work, tempfile.TemporaryDirectory() as scratch:
            for run in members:
                method, spent = at_work.make(run.variant.recipe, Path(scratch))
                scored = benches[run.subject.name].score(method)
                facts = {"recipe": recipe_data(run.variant.recipe), "code": code}
                store.save(run.key, facts | {"spent": asdict(spent)} | asdict(scored))
                done += 1
                if progress:
                    progress(done, len(distinct))
    loaded = {key: store.load(key) for key in distinct}
    results = [Result(run, loaded[run.key]) for run in runs]
    write_lines(results, folder / "results.jsonl")
    return results


def _grouped(runs: Iterable[Run]) -> list[tuple[Order, list[Run]]]:
    groups: dict[Order, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.order, []).append(run)
    return list(groups.items())


def write_lines(results: Iterable[Result], path: Path) -> None:
    """One JSON object a line for each run and view: where it stands in the study, and its row."""
    with written_beside(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for result in results:
            run, variant = result.run, result.run.variant
            place: dict[str, Any] = {"sweep": variant.sweep, "label": variant.label}
            place |= {"value": variant.value, "subject": run.subject.name, "seed": run.seed}
            place |= {"key": run.key, "code": result.data["code"]} | result.data["spent"]
            for row in result.data["rows"]:
                line = row | place | {"method": variant.method}
                stream.write(json.dumps(line, sort_keys=True) + "\n")


def sweeps_of(results: Sequence[Result]) -> dict[SweepName, list[Result]]:
    """Results by sweep, in the order of the plan."""
    found: dict[SweepName, list[Result]] = {}
    for result in results:
        found.setdefault(result.run.variant.sweep, []).append(result)
    return found
