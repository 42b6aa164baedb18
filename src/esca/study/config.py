"""What a study looks at, as validated data (YAML)."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from esca.errors import EscaError
from esca.evaluation.protocol import Protocol
from esca.quantization import CalibrationConfig
from esca.settings import STRICT, Settings
from esca.study.sweeps import SweepName


@dataclass(frozen=True, config=STRICT)
class Subject:
    """One avatar and the capture that it is calibrated and judged on.

    ``regions``: folder of region masks, for captures that hold none.
    """

    name: str
    capture: Path
    avatar: Path
    regions: Path | None = None


@dataclass(frozen=True, config=STRICT)
class StudyConfig:
    """Everything that decides a study's rows.

    ``base``: recipe that the ablations start from, at the first of ``bits``. ``recipes``: those of
    the table of rivals (empty: all that ship with esca), at each of ``bits``. ``seeds``: of the
    calibration's cameras and of everything that learns; where ``seeded`` names recipes, only those
    run with all of them and everything else with the first. ``protocol``: how the clips are scored.
    """

    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)]
    sweeps: Annotated[tuple[SweepName, ...], Field(min_length=1)] = get_args(SweepName)
    base: str = "ffas-uv"
    recipes: tuple[str, ...] = ()
    bits: Annotated[tuple[str, ...], Field(min_length=1)] = ("w4a4",)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    seeded: tuple[str, ...] = ()
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    protocol: Protocol = field(default_factory=Protocol)
    title: str = "Study"

    def __post_init__(self) -> None:
        for what, names in (
            ("subjects", [subject.name for subject in self.subjects]),
            ("seeds", [str(seed) for seed in self.seeds]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise EscaError(f"study: {what}: {twice!r} is there twice, expected distinct ones")


_STUDY = Settings(StudyConfig, "study")


def load_study(path: Path) -> StudyConfig:
    """A study file; relative paths in it are relative to its folder."""
    return _relative_to(path.parent, _STUDY.read(path))


def _relative_to(folder: Path, study: StudyConfig) -> StudyConfig:
    subjects = tuple(
        Subject(
            subject.name,
            folder / subject.capture,
            folder / subject.avatar,
            None if subject.regions is None else folder / subject.regions,
        )
        for subject in study.subjects
    )
    recipes = tuple(_recipe_at(folder, name) for name in study.recipes)
    values = {name: getattr(study, name) for name in StudyConfig.__dataclass_fields__}
    return StudyConfig(
        **values
        | {"subjects": subjects, "recipes": recipes, "base": _recipe_at(folder, study.base)}
    )


def _recipe_at(folder: Path, name: str) -> str:
    return str(folder / name) if Path(name).suffix in {".yaml", ".yml"} else name
