"""Calls between two headsets, simulated event by event."""

from collections.abc import Callable

import numpy as np

from esca.errors import EscaError
from esca.telepresence.budget.plan import Plan
from esca.telepresence.budget.trace import Trace

WARM_UP = 500.0
"""Milliseconds of each call that do not count."""


def simulate(
    plan: Plan,
    seconds: float = 2.0,
    calls: int = 24,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Calls of ``seconds`` each, with cameras and displays out of step in a new way each time.

    After the window cameras stop and everything under way comes to its end, so that frames are
    conserved. ``progress`` counts calls. EscaError without simpy, or for a time or count of 0.
    """
    try:
        from simpy import Environment

        from esca.telepresence.budget.headset import Headset
    except ImportError as error:
        raise EscaError(
            "budget: the package 'simpy' is not installed; pip install esca[budget]"
        ) from error
    if not seconds > 0 or calls < 1:
        raise EscaError(f"budget: {calls} calls of {seconds:g} s, expected 1 or more and above 0")
    rng = np.random.default_rng(seed)
    trace = Trace(WARM_UP, WARM_UP + 1e3 * seconds)
    for call in range(calls):
        env = Environment()
        ends = [Headset(env, plan, trace, rng) for _ in range(2)]
        for end, other in zip(ends, reversed(ends), strict=True):
            end.start(other)
        env.run(until=trace.end + _longest_way(plan))
        if progress:
            progress(call + 1, calls)
    return trace


def _longest_way(plan: Plan) -> float:
    """Time in which everything that is under way certainly arrives."""
    works = (plan.encoder, plan.decoder, plan.warp, plan.rasterizer, plan.compositor, plan.tracker)
    queue = (plan.avatars + 1) * sum(work.ms for work in works)
    way = plan.camera_ms + plan.network_ms + plan.playout_ms + 40 * plan.jitter_ms
    return 1e3 + way + 8 * queue
