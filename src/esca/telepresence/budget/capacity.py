"""Rates by arithmetic: how often a second each resource can do what one frame asks of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, inf

from esca.telepresence.budget.plan import Plan, StageName, Work

MOST_AVATARS = 1000


@dataclass(frozen=True)
class Capacity:
    """``hertz``: frames a second that ``name`` can do; ``stage``: what takes most of its time."""

    name: str
    stage: str
    hertz: float


def frame_work(plan: Plan) -> Iterator[tuple[StageName, Work]]:
    """All work of a headset for one frame of everybody."""
    yield "encoder", plan.encoder
    for avatar in range(plan.avatars):
        yield "decoder", plan.decoding(avatar)
        yield "warp", plan.warp
    if plan.gaze != "none":
        yield "gaze", plan.tracker
    yield "rasterizer", plan.rastering
    yield "compositor", plan.compositor


def capacities(plan: Plan) -> tuple[Capacity, ...]:
    """Every resource, the rendering of one frame between two synchronizations, and the cameras.

    The least of them binds. A resource that works on captured and on shown frames counts as if
    both came at one rate. Rendering takes whole periods of the display.
    """
    loads: dict[str, dict[StageName, float]] = {}
    for stage, work in frame_work(plan):
        stages = loads.setdefault(work.device, {})
        stages[stage] = stages.get(stage, 0) + work.ms
    shown = plan.refresh_hertz / rendering_periods(plan)
    found = [
        Capacity("camera", "capture", plan.capture_hertz),
        Capacity("display", "rendering in whole periods", shown),
    ]
    found += [
        Capacity(name, max(stages, key=lambda stage: stages[stage]), _hertz(sum(stages.values())))
        for name, stages in loads.items()
    ]
    return tuple(sorted(found, key=lambda capacity: capacity.hertz))


def rendering_ms(plan: Plan) -> float:
    """From the pose of a frame to its picture, without waiting for a resource."""
    before = plan.tracker.ms if plan.gaze == "series" else 0
    return before + plan.rastering.ms + plan.compositor.ms


def rendering_periods(plan: Plan) -> int:
    """Periods of the display that rendering a frame takes."""
    return max(1, ceil(rendering_ms(plan) * plan.refresh_hertz / 1e3 - 1e-9))


def series_ms(plan: Plan) -> float:
    """All work of a frame one after the other, as if nothing ran beside anything."""
    return sum(work.ms for _, work in frame_work(plan))


def paced(plan: Plan, period_ms: float, avatars: int) -> Plan:
    """The plan with cameras and display at one frame a period."""
    hertz = 1e3 / period_ms
    return replace(plan, capture_hertz=hertz, refresh_hertz=hertz, avatars=avatars)


def avatars_that_fit(plan: Plan, period_ms: float) -> int:
    """Most avatars of which every resource can do a frame each period; MOST_AVATARS at most.

    The own wearer is encoded too: 0 where that alone, or one avatar beside it, takes too long.
    """
    for avatars in range(1, MOST_AVATARS + 1):
        slowest = capacities(paced(plan, period_ms, avatars))[0]
        if slowest.hertz < 1e3 / period_ms * (1 - 1e-9):
            return avatars - 1
    return MOST_AVATARS


def _hertz(milliseconds: float) -> float:
    return 1e3 / milliseconds if milliseconds else inf
