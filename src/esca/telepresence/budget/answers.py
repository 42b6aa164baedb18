"""What a budget says: rates, latencies, what binds, energy, avatars in a period."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from esca.telepresence.budget.capacity import (
    Capacity,
    avatars_that_fit,
    capacities,
    paced,
    series_ms,
)
from esca.telepresence.budget.plan import Plan
from esca.telepresence.budget.simulate import simulate
from esca.telepresence.budget.trace import Fate, Trace

PERCENTILES = (50, 95, 99)
SUSTAINED = 0.99
"""Share of a rate from which on it counts as sustained; network losses do not count against it."""


@dataclass(frozen=True)
class Answers:
    """Rates in Hz, latencies in ms as percentiles by name (``p50`` ...), energy in mJ.

    ``faces_hertz``: new pictures of each avatar a second; ``frames_hertz``: rendered frames.
    ``face``, ``head``, ``late``, ``gaze``: see ``Trace``; ``gaze`` is empty without tracking.
    ``tolerated``: whether the oldest percentile of gaze is tolerable; None without tracking.
    ``binds``: the least of ``capacities``. ``utilization``: busy share by resource and stage.
    ``millijoules``: by stage, for each rendered frame; ``unknown``: stages without a figure.
    ``fit``: avatars that arithmetic allows in ``period_ms``; ``sustained``: simulated.
    ``series_ms``: all of a frame's work one after the other.
    """

    plan: Plan
    faces_hertz: float
    frames_hertz: float
    face: Mapping[str, float]
    head: Mapping[str, float]
    late: Mapping[str, float]
    gaze: Mapping[str, float]
    tolerated: bool | None
    capacities: tuple[Capacity, ...]
    utilization: Mapping[str, Mapping[str, float]]
    millijoules: Mapping[str, float]
    unknown: tuple[str, ...]
    fates: Mapping[Fate, int]
    period_ms: float
    fit: int
    sustained: int
    series_ms: float

    @property
    def binds(self) -> Capacity:
        """What limits the rate."""
        return self.capacities[0]


def answer(
    plan: Plan,
    period_ms: float = 10.0,
    seconds: float = 2.0,
    calls: int = 24,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Simulate a plan and answer; EscaError without simpy or for no time to simulate."""
    trace = simulate(plan, seconds, calls, seed, progress)
    headset_ms = 2 * calls * (trace.end - trace.begin)
    gaze = _percentiles(trace.gaze)
    fit = avatars_that_fit(plan, period_ms)
    works = {
        "encoder": plan.encoder,
        "decoder": plan.decoder,
        "warp": plan.warp,
        "rasterizer": plan.rasterizer,
        "compositor": plan.compositor,
    } | ({} if plan.gaze == "none" else {"gaze": plan.tracker})
    return Answers(
        plan=plan,
        faces_hertz=1e3 * trace.shown / (headset_ms * plan.avatars),
        frames_hertz=1e3 * trace.rendered / headset_ms,
        face=_percentiles(trace.face),
        head=_percentiles(trace.head),
        late=_percentiles(trace.late),
        gaze=gaze,
        tolerated=max(gaze.values()) <= plan.tolerated_ms if gaze else None,
        capacities=capacities(plan),
        utilization=_utilization(trace, headset_ms),
        millijoules={
            stage: energy / trace.rendered for stage, energy in sorted(trace.millijoules.items())
        },
        unknown=tuple(name for name, work in works.items() if work.millijoules is None),
        fates=dict(trace.fates),
        period_ms=period_ms,
        fit=fit,
        sustained=_sustained(plan, period_ms, fit, seed),
        series_ms=series_ms(plan),
    )


def _sustained(plan: Plan, period_ms: float, fit: int, seed: int) -> int:
    """Most avatars, ``fit`` or fewer, whose decoders keep up in a short simulation."""
    for avatars in range(fit, 0, -1):
        trace = simulate(paced(plan, period_ms, avatars), 1.0, 2, seed)
        kept = 1 - (trace.fates["skipped"] / trace.fates["captured"])
        arrived = trace.fates["sent"] - trace.fates["lost"] - trace.fates["stale"]
        decoded = 1 - trace.fates["superseded"] / max(arrived, 1)
        rendered = trace.rendered * period_ms / (2 * 2 * (trace.end - trace.begin))
        if min(kept, decoded, rendered) >= SUSTAINED:
            return avatars
    return 0


def _percentiles(samples: Sequence[float]) -> dict[str, float]:
    if not samples:
        return {}
    values = np.percentile(samples, PERCENTILES)
    return {f"p{at}": float(value) for at, value in zip(PERCENTILES, values, strict=True)}


def _utilization(trace: Trace, headset_ms: float) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (resource, stage), busy in sorted(trace.busy.items()):
        found.setdefault(resource, {})[stage] = busy / headset_ms
    return found
