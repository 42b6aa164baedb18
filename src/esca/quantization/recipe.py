"""Recipes: what to do to a graph, as validated data (YAML)."""

import re
from dataclasses import field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from esca.errors import EscaError
from esca.quantization.weights import Granularity, RangeMethod
from esca.settings import STRICT, Settings


@dataclass(frozen=True, config=STRICT)
class Smoothing:
    """Input-channel-wise activation smoothing.

    ``method``: ``icas`` scales every channel, ``ffas`` exempts the ``exempt_percent`` channels that
    vary most inside the facial mask. ``alpha``: share of the range that moves to the weights.
    """

    method: Literal["none", "icas", "ffas"] = "none"
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    exempt_percent: Annotated[float, Field(ge=0.0, le=100.0)] = 10.0


@dataclass(frozen=True, config=STRICT)
class Rounding:
    """How weights meet the grid.

    ``hessian``: ``uv`` weighs each output texel by its visibility and importance. ``damp``: share
    of the Hessian's mean diagonal. ``block``: columns between lazy updates.
    """

    method: Literal["nearest", "gptq"] = "nearest"
    hessian: Literal["plain", "uv"] = "plain"
    damp: Annotated[float, Field(gt=0.0, le=10.0)] = 0.01
    block: Annotated[int, Field(ge=1)] = 32


@dataclass(frozen=True, config=STRICT)
class Distillation:
    """Training of the quantized decoder toward the float decoder's own outputs.

    ``steps`` of ``batch`` codes (pairs of moments); ``rate``: see ``Student.rates``. ``temporal``:
    weight of the error's change from one moment to the next. ``spread``: noise of sampled codes, in
    standard deviations. Every ``hold_out``-th calibration frame is only examined, every
    ``examine_every`` steps. ``weight``: texels by visibility and importance (``uv``), also by how
    much their errors show on a display (``shown``), or all alike.
    """

    steps: Annotated[int, Field(ge=1)] = 1500
    batch: Annotated[int, Field(ge=2, multiple_of=2)] = 4
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    temporal: Annotated[float, Field(ge=0.0)] = 0.5
    spread: Annotated[float, Field(ge=0.0)] = 0.6
    hold_out: Annotated[int, Field(ge=2)] = 8
    examine_every: Annotated[int, Field(ge=1)] = 50
    weight: Literal["shown", "uv", "uniform"] = "shown"
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class Reconstruction:
    """Learned rounding and ranges of others, layer by layer; see ``learning.reconstruct``.

    ``steps`` of ``batch`` frames for each block and pass, or for the whole decoder (``dqc``).
    ``layers``: most convolutions in a block. ``rate``: Adam's rate for rounding variables, or for
    bounds as shares of their start (``dqc``). ``step_rate``: the same for activation steps as
    shares of theirs. ``regularizer``: weight of AdaRound's pull to 0 or 1, from ``warm_up`` of the
    steps on. ``drop``: share of activations that stay float (``qdrop``). ``outliers``: share of
    texels, those of the largest deviation across channels, that do not count (``poca``).
    ``features``: weight of normalized features (``dqc``).
    """

    method: Literal["adaround-lsq", "brecq", "qdrop", "poca", "dqc"]
    steps: Annotated[int, Field(ge=1)] = 200
    batch: Annotated[int, Field(ge=1)] = 4
    layers: Annotated[int, Field(ge=1)] = 1
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.03
    step_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.003
    regularizer: Annotated[float, Field(ge=0.0)] = 0.01
    warm_up: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    drop: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    outliers: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    features: Annotated[float, Field(ge=0.0)] = 5.0
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class Bits:
    """Bits of one layer."""

    weights: Annotated[int, Field(ge=2, le=8)] = 4
    activations: Annotated[int, Field(ge=2, le=8)] = 4


@dataclass(frozen=True, config=STRICT)
class Override:
    """Bits for the layers whose name matches ``layer`` (``*`` stands for anything)."""

    layer: str
    weights: Annotated[int | None, Field(ge=2, le=8)] = None
    activations: Annotated[int | None, Field(ge=2, le=8)] = None

    def matches(self, name: str) -> bool:
        """Whether a layer's name fits the pattern."""
        pattern = ".*".join(re.escape(part) for part in self.layer.split("*"))
        return re.fullmatch(pattern, name) is not None


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """Everything that decides how a graph is quantized.

    ``bits`` are those of convolutions; ``linear`` those of fully connected layers. ``texel_bias``
    bits hold the per-texel biases, ``coordinate`` those of sampling grids and their biases (which
    take no room where they rise evenly; see :mod:`esca.quantization.ramp`),
    ``texture`` (10: three colours a 32-bit word) and ``mesh`` those of the outputs (``mesh`` also
    serves any other vector).
    ``range``: activations are clipped at their extremes (``minmax``), where the mean of
    ``|x - Q(x)|^range_power`` is least (``search``), or by 2DQuant's search (``dobi``). A power of
    1 suits avatars: few texels (eyes, mouth) reach far beyond the rest, and higher powers spend the
    grid on them. ``weight_range``: the same choice for weights, by squared error. ``headroom``: how
    much farther than calibration saw the ranges of codes and other vectors reach, which are never
    clipped: held-out expressions go there, and a code that saturates shows the wrong expression.
    """

    name: str
    bits: Bits = Bits()
    linear: Bits = Bits(8, 8)
    smoothing: Smoothing = Smoothing()
    rounding: Rounding = Rounding()
    granularity: Granularity = "channel"
    range: Literal["minmax", "search", "dobi"] = "search"
    headroom: Annotated[float, Field(ge=1.0, le=4.0)] = 1.3
    range_power: Annotated[float, Field(gt=0.0, le=4.0)] = 1.0
    weight_range: RangeMethod = "mse"
    texel_bias: Annotated[int, Field(ge=2, le=16)] = 8
    coordinate: Annotated[int, Field(ge=8, le=16)] = 16
    texture: Annotated[int, Field(ge=4, le=16)] = 10
    mesh: Annotated[int, Field(ge=4, le=16)] = 16
    overrides: tuple[Override, ...] = field(default=())
    reconstruction: Reconstruction | None = None
    distill: Distillation | None = None

    def bits_of(self, layer: str, linear: bool) -> Bits:
        """Bits of a layer after overrides; the last match wins."""
        bits = self.linear if linear else self.bits
        for override in self.overrides:
            if override.matches(layer):
                bits = Bits(
                    bits.weights if override.weights is None else override.weights,
                    bits.activations if override.activations is None else override.activations,
                )
        return bits

    def with_bits(self, label: str) -> "Recipe":
        """The recipe at ``w4a4``-like bits of convolutions; linear layers stay at 8 or more."""
        return replace(self, bits=parse_bits(label))

    @property
    def label(self) -> str:
        """``w4a4``-like name of the bits."""
        return f"w{self.bits.weights}a{self.bits.activations}"


def parse_bits(label: str) -> Bits:
    """``w4a8`` -> Bits(4, 8)."""
    found = re.fullmatch(r"w(\d+)a(\d+)", label.lower())
    if found is None:
        raise EscaError(f"bits: {label!r}, expected a label such as w4a4 or w8a8")
    weights, activations = int(found[1]), int(found[2])
    if not (2 <= weights <= 8 and 2 <= activations <= 8):
        raise EscaError(f"bits: {label!r}, expected 2 to 8 bits for weights and activations")
    return Bits(weights, activations)


RIVALS = (
    "minmax",
    "rtn",
    "smoothquant",
    "gptq",
    "adaround-lsq",
    "brecq",
    "qdrop",
    "2dquant",
    "poca",
)
"""Shipped recipes that others defined."""

QUICK = ("minmax", "rtn", "smoothquant", "gptq", "icas", "uv", "icas-uv", "ffas-uv")
"""Shipped recipes that take seconds: nothing in them learns."""


_RECIPE = Settings(
    Recipe, "recipe", resources.files("esca.quantization") / "recipes", (*RIVALS, *QUICK)
)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship with esca: those of others first."""
    return _RECIPE.names()


def load_recipe(name_or_path: str | Path, bits: str | None = None) -> Recipe:
    """A shipped recipe by name, or a YAML file; ``bits`` overrides its convolution bits."""
    recipe = _RECIPE.load(name_or_path, "recipe")
    return recipe if bits is None else recipe.with_bits(bits)


def parse_recipe(text: str, source: str) -> Recipe:
    """A recipe from YAML text; errors name ``source`` and the field."""
    return _RECIPE.parse(text, source)


def recipe_from_data(data: dict[str, Any], source: str) -> Recipe:
    """A recipe from plain data, validated."""
    return _RECIPE.validated(data, source)


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """Plain data of a recipe, for artifacts and reports."""
    return _RECIPE.data(recipe)
