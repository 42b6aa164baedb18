"""The sweeps: which recipes and calibrations each one puts side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, get_args

from esca.evaluation.simulated import SIMULATED
from esca.quantization import CalibrationConfig, Recipe
from esca.quantization.published import RECIPE as PUBLISHED
from esca.quantization.recipe import Rounding, Smoothing
from esca.quantization.weights import Granularity

SweepName = Literal["rivals", "stages", "k", "alpha", "frames", "granularity"]

EXEMPT = (0, 10, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
"""Percentages of the published table, and the small ones in front of it."""

ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CALIBRATION_FRAMES = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Variant:
    """One point of a sweep. ``value``: its place on the sweep's axis, None for a named point."""

    sweep: SweepName
    label: str
    value: float | None
    recipe: Recipe
    calibration: CalibrationConfig

    @property
    def method(self) -> str:
        """The recipe's name in tables."""
        return SIMULATED if self.recipe.name == PUBLISHED.name else self.recipe.name


def variants(
    sweep: SweepName,
    base: Recipe,
    rivals: Sequence[Recipe],
    calibration: CalibrationConfig,
    points: Sequence[float] | None = None,
) -> tuple[Variant, ...]:
    """The points of a sweep; ``points`` replaces the values of one with a numeric axis."""
    if sweep == "rivals":
        made = (Variant(sweep, r.name, None, r, calibration) for r in rivals)
        return tuple(replace(variant, label=variant.method) for variant in made)
    if sweep == "stages":
        changed = {"all": base} | _without_stages(base)
        return tuple(Variant(sweep, name, None, r, calibration) for name, r in changed.items())
    if sweep == "granularity":
        return tuple(
            Variant(sweep, name, None, replace(base, granularity=name), calibration)
            for name in get_args(Granularity)
        )
    if sweep == "frames":
        return tuple(
            Variant(sweep, f"{v:g}", v, base, replace(calibration, frames=int(v)))
            for v in points or CALIBRATION_FRAMES
        )
    change, values = _NUMERIC[sweep]
    return tuple(
        Variant(sweep, f"{v:g}", v, change(base, v), calibration) for v in points or values
    )


def _with_exempt(recipe: Recipe, percent: float) -> Recipe:
    return replace(
        recipe, smoothing=replace(recipe.smoothing, method="ffas", exempt_percent=percent)
    )


def _with_alpha(recipe: Recipe, alpha: float) -> Recipe:
    method = "icas" if recipe.smoothing.method == "none" else recipe.smoothing.method
    return replace(recipe, smoothing=replace(recipe.smoothing, method=method, alpha=alpha))


_NUMERIC: Mapping[str, tuple[Callable[[Recipe, float], Recipe], tuple[float, ...]]] = {
    "k": (_with_exempt, EXEMPT),
    "alpha": (_with_alpha, ALPHAS),
}


def _without_stages(base: Recipe) -> dict[str, Recipe]:
    """The recipe with each of its stages left out, those that it has."""
    candidates = {
        "no smoothing": replace(base, smoothing=Smoothing()),
        "all channels smoothed": replace(base, smoothing=replace(base.smoothing, method="icas"))
        if base.smoothing.method == "ffas"
        else base,
        "plain Hessian": replace(base, rounding=replace(base.rounding, hessian="plain")),
        "nearest rounding": replace(base, rounding=Rounding()),
        "activations not clipped": replace(base, range="minmax"),
        "weights not clipped": replace(base, weight_range="minmax"),
        "no headroom for codes": replace(base, headroom=1.0),
        "no reconstruction": replace(base, reconstruction=None),
        "no distillation": replace(base, distill=None),
    }
    return {name: recipe for name, recipe in candidates.items() if recipe != base}


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with the seed of every stage that has one."""
    changes: dict[str, Any] = {}
    for field in fields(recipe):
        stage = getattr(recipe, field.name)
        if is_dataclass(stage) and not isinstance(stage, type) and hasattr(stage, "seed"):
            changes[field.name] = replace(stage, seed=seed)
    return replace(recipe, **changes)
