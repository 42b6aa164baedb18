"""A budget's numbers, with every name looked up and every model run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from esca.accelerator import avatar_workload, load_config, time_workload
from esca.accelerator.config import config_hash
from esca.accelerator.energy import frame_energy
from esca.errors import EscaError
from esca.telepresence.budget.config import Budget, Figure, Gaze, GazeMode, Model, Stage, figure
from esca.telepresence.budget.foveation import pixel_share, raster_share

StageName = Literal["encoder", "decoder", "warp", "gaze", "rasterizer", "compositor"]


@dataclass(frozen=True)
class Work:
    """One stage's work for one frame (of one avatar): milliseconds on a resource, millijoules.

    ``millijoules`` is None where it is not known.
    """

    device: str
    ms: float
    millijoules: float | None = None

    def scaled(self, share: float) -> "Work":
        """A part of the work."""
        energy = None if self.millijoules is None else self.millijoules * share
        return replace(self, ms=self.ms * share, millijoules=energy)


@dataclass(frozen=True)
class Plan:
    """What is simulated; times in ms, rates in Hz.

    ``jitter_ms``: mean of an exponential delay; ``playout_ms``: least that is waited for it;
    ``loss``: share of packets. ``raster_share`` and ``aside``: cost of rasterizing, and of decoding
    all avatars but the first, where gaze is known.
    ``sources``: field -> the figure that was taken.
    """

    encoder: Work
    decoder: Work
    warp: Work
    rasterizer: Work
    compositor: Work
    capture_hertz: float
    refresh_hertz: float
    camera_ms: float
    display_ms: float
    network_ms: float
    jitter_ms: float
    playout_ms: float
    loss: float
    avatars: int
    gaze: GazeMode
    tracker: Work
    gaze_hertz: float
    tolerated_ms: float
    raster_share: float
    aside: float
    sources: Mapping[str, Figure]

    def decoding(self, avatar: int) -> Work:
        """Decoding one frame of an avatar; the first is the one looked at."""
        looked_at = avatar == 0 or self.gaze == "none"
        return self.decoder if looked_at else self.decoder.scaled(self.aside)

    @property
    def rastering(self) -> Work:
        """Rasterizing all avatars for both eyes."""
        share = 1.0 if self.gaze == "none" else self.raster_share
        return self.rasterizer.scaled(self.avatars * share)


def plan_of(budget: Budget, avatars: int | None = None, gaze: GazeMode | None = None) -> Plan:
    """The numbers of a budget; ``avatars`` and ``gaze`` in the place of its own.

    EscaError names the field of a figure that is missing, of another unit or out of range.
    """
    found: dict[str, Figure] = {}

    def work(field: str, stage: Stage) -> Work:
        if stage.model is not None:
            time, energy = _modelled(stage.model)
            found[field], found[f"{field}.energy"] = time, energy
            return Work(stage.device, time.value, energy.value)
        assert stage.latency is not None
        found[field] = figure(stage.latency, "ms", field)
        if stage.energy is None:
            return Work(stage.device, found[field].value)
        found[f"{field}.energy"] = figure(stage.energy, "mJ", f"{field}.energy")
        return Work(stage.device, found[field].value, found[f"{field}.energy"].value)

    def take(field: str, quantity: Figure | str, unit: Literal["ms", "Hz", "share"]) -> float:
        found[field] = figure(quantity, unit, field)
        value = found[field].value
        if (unit == "Hz" and not value > 0) or (unit == "share" and value > 1):
            expected = "above 0" if unit == "Hz" else "at most 1"
            raise EscaError(f"{field}: expected {expected}, got {value:g}")
        return value

    look, network = budget.gaze, budget.network
    return Plan(
        encoder=work("encoder", budget.encoder),
        decoder=work("decoder", budget.decoder),
        warp=work("warp", budget.warp),
        rasterizer=work("rasterizer", budget.rasterizer),
        compositor=work("compositor", budget.compositor),
        capture_hertz=take("capture_rate", budget.capture_rate, "Hz"),
        refresh_hertz=take("refresh_rate", budget.refresh_rate, "Hz"),
        camera_ms=take("camera", budget.camera, "ms"),
        display_ms=take("display", budget.display, "ms"),
        network_ms=take("network.delay", network.delay, "ms"),
        jitter_ms=take("network.jitter", network.jitter, "ms"),
        playout_ms=take("network.playout", network.playout, "ms"),
        loss=take("network.loss", network.loss, "share"),
        avatars=budget.avatars if avatars is None else avatars,
        gaze=look.mode if gaze is None else gaze,
        tracker=work("gaze.tracker", look.tracker),
        gaze_hertz=take("gaze.rate", look.rate, "Hz"),
        tolerated_ms=take("gaze.tolerated", look.tolerated, "ms"),
        raster_share=raster_share(_pixels(look, found), take("gaze.fixed", look.fixed, "share")),
        aside=take("gaze.aside", look.aside, "share"),
        sources=found,
    )


def _pixels(gaze: Gaze, found: dict[str, Figure]) -> float:
    found["gaze.field"] = figure(gaze.field, "degrees", "gaze.field")
    found["gaze.sharp"] = figure(gaze.sharp, "degrees", "gaze.sharp")
    found["gaze.coarse"] = figure(gaze.coarse, "ratio", "gaze.coarse")
    return pixel_share(*(found[f"gaze.{name}"].value for name in ("field", "sharp", "coarse")))


@cache
def _modelled(model: Model) -> tuple[Figure, Figure]:
    config = load_config(model.preset)
    workload = avatar_workload(model.avatar, model.texture, model.part, model.bits)
    frame = time_workload(workload, config)
    source = f"accelerator model: {workload.name} on {config.name} ({config_hash(config)[:8]})"
    energy = frame_energy(frame).total.value / 1e3
    return Figure(frame.latency_ms, "ms", source), Figure(energy, "mJ", source)
