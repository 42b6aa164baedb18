"""A budget as data: where each stage runs and what it takes, every figure with unit and source."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from esca.errors import EscaError
from esca.settings import STRICT, Settings

Unit = Literal["ms", "Hz", "mJ", "share", "ratio", "degrees"]
GazeMode = Literal["none", "series", "parallel"]


@dataclass(frozen=True, config=STRICT)
class Figure:
    """A number, its unit and where it is from. ``assumed``: nobody published or measured it."""

    value: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    unit: Unit
    source: Annotated[str, Field(min_length=1)]
    assumed: bool = False


Quantity = Figure | str
"""A figure, or the name of one in the table of devices, such as ``xr2-gen2.encoder-fp``."""


@dataclass(frozen=True, config=STRICT)
class Model:
    """A latency and an energy from the accelerator model.

    ``preset``: configuration by name, or a YAML file; the rest as for ``avatar_workload``.
    """

    preset: str
    avatar: str
    texture: int
    part: Literal["encoder", "decoder", "texture"]
    bits: str


@dataclass(frozen=True, config=STRICT)
class Stage:
    """Work of one frame. ``device``: what does it, one piece of work at a time.

    ``latency`` in ms and ``energy`` in mJ, or both from the accelerator ``model``. Without
    ``energy`` it is not known.
    """

    device: Annotated[str, Field(min_length=1)]
    latency: Quantity | None = None
    energy: Quantity | None = None
    model: Model | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.latency is None) == (self.model is None):
            raise ValueError("expected either latency or model")
        if self.model is not None and self.energy is not None:
            raise ValueError("expected no energy beside model, which has its own")
        return self


@dataclass(frozen=True, config=STRICT)
class Gaze:
    """Gaze tracking and what it lets be coarser; see ``foveation``.

    ``mode``: ``series`` tracks before each frame is rasterized, ``parallel`` all the time; then the
    newest gaze counts. ``field`` and ``sharp``: degrees of the view and of the radius in full
    resolution. ``aside``: cost of decoding an avatar that is not looked at, as a share.
    """

    mode: GazeMode = "none"
    tracker: Stage = Stage("eye tracker", "gaze.tracker")
    rate: Quantity = "gaze.rate"
    tolerated: Quantity = "gaze.tolerated"
    field: Quantity = "gaze.field"
    sharp: Quantity = "gaze.sharp"
    coarse: Quantity = "gaze.coarse"
    fixed: Quantity = "gaze.fixed"
    aside: Quantity = "gaze.aside"


@dataclass(frozen=True, config=STRICT)
class Network:
    """One way from headset to headset: a fixed delay, an exponential one on top, losses.

    ``playout``: codes that come earlier after the fixed delay are held until then.
    """

    delay: Quantity = "network.delay"
    jitter: Quantity = "network.jitter"
    playout: Quantity = "network.playout"
    loss: Quantity = "network.loss"


@dataclass(frozen=True, config=STRICT)
class Budget:
    """A headset that encodes its wearer and shows ``avatars`` others, on headsets like it.

    ``camera`` and ``display`` are delays: from the middle of the exposure to a picture in memory,
    and from the vertical synchronization to the middle of the flash.
    """

    title: Annotated[str, Field(min_length=1)]
    encoder: Stage
    decoder: Stage
    warp: Stage = Stage("gpu", "headset.warp")
    rasterizer: Stage = Stage("gpu", "headset.rasterizer")
    compositor: Stage = Stage("compositor", "headset.compositor")
    capture_rate: Quantity = "headset.capture-rate"
    refresh_rate: Quantity = "headset.refresh-rate"
    camera: Quantity = "headset.camera"
    display: Quantity = "headset.display"
    network: Network = Network()
    gaze: Gaze = Gaze()
    avatars: Annotated[int, Field(ge=1, le=1000)] = 1


@dataclass(frozen=True, config=STRICT)
class Table:
    """Figures by group and name."""

    figures: dict[str, dict[str, Figure]]


_FOLDER = resources.files("esca.telepresence.budget")
_BUDGETS = Settings(Budget, "budget", _FOLDER / "presets")
_TABLES = Settings(Table, "table", _FOLDER / "tables")


def budget_names() -> tuple[str, ...]:
    """Names of the budgets that ship with esca."""
    return _BUDGETS.names()


def load_budget(name_or_path: str | Path) -> Budget:
    """A shipped budget by name, or a YAML file; EscaError names file and field."""
    return _BUDGETS.load(name_or_path, "preset")


@cache
def devices() -> Table:
    """The table of devices that ships with esca."""
    return _TABLES.load("devices", "table")


def figure(quantity: Quantity, unit: Unit, field: str) -> Figure:
    """The figure that a quantity stands for; EscaError for an unknown name or another unit."""
    if isinstance(quantity, str):
        group, _, name = quantity.partition(".")
        known = devices().figures.get(group, {}).get(name)
        if known is None:
            raise EscaError(f"{field}: no figure {quantity!r} in the table of devices")
        quantity = known
    if quantity.unit != unit:
        raise EscaError(f"{field}: expected a figure in {unit}, got {quantity.unit}")
    return quantity
