import sys
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.budget.plan import Plan, Work
from esca.telepresence.budget.simulate import WARM_UP, simulate
from esca.telepresence.budget.trace import Trace

pytest.importorskip("simpy")

milliseconds = st.integers(0, 45).map(float)


def rates(plan: Plan, trace: Trace, calls: int) -> tuple[float, float]:
    """New pictures of each face and rendered frames, a second."""
    seconds = 2 * calls * (trace.end - trace.begin) / 1e3
    return trace.shown / seconds / plan.avatars, trace.rendered / seconds


def conserved(trace: Trace, avatars: int) -> None:
    fates = trace.fates
    assert fates["sent"] == (fates["captured"] - fates["skipped"]) * avatars
    ends = ("lost", "stale", "superseded", "unseen", "shown")
    assert fates["sent"] == sum(fates[fate] for fate in ends)


@settings(max_examples=8, deadline=None)
@given(encoder=milliseconds, decoder=milliseconds, warp=milliseconds)
def test_a_fixed_pipeline_runs_at_its_slowest_stage(
    still: Plan, encoder: float, decoder: float, warp: float
) -> None:
    plan = replace(
        still,
        encoder=Work("encoder", encoder),
        decoder=Work("decoder", decoder),
        warp=Work("warp", warp),
        refresh_hertz=200.0,
    )
    trace = simulate(plan, seconds=1.5, calls=1)
    slowest = max(10.0, encoder, decoder, warp)
    assert rates(plan, trace, 1)[0] == pytest.approx(1e3 / slowest, rel=0.04)


@pytest.mark.parametrize(("rasterizer", "periods"), [(2.0, 1), (9.0, 1), (9.5, 2), (20.0, 3)])
def test_latency_is_the_sum_and_the_wait_for_the_display(
    still: Plan, rasterizer: float, periods: int
) -> None:
    plan = replace(still, rasterizer=Work("gpu", rasterizer), capture_hertz=100 / periods)
    period = 10.0 * periods
    for seed in range(4):
        trace = simulate(plan, seconds=0.5, calls=1, seed=seed)
        least = 5 + 3 + 20 + 4 + 0.5 + period + 3
        waits = {round(latency - least, 6) for latency in trace.face}
        assert len(waits) <= 2, "one for each end of the call"
        assert all(0 <= wait < period + 1e-6 for wait in waits)
        assert trace.head == pytest.approx([period + 3] * len(trace.head))
        assert trace.late == pytest.approx([period + 3 - rasterizer] * len(trace.late))
        assert rates(plan, trace, 1)[1] == pytest.approx(1e3 / period, rel=0.05)
        conserved(trace, 1)


def test_out_of_step_displays_make_every_wait_equally_likely(still: Plan) -> None:
    plan = replace(still, capture_hertz=50.0, refresh_hertz=1e3 / 9.7)
    face = np.asarray(simulate(plan, seconds=10, calls=1).face) - (5 + 3 + 20 + 4.5 + 9.7 + 3)
    shares = np.quantile(face / 9.7, [0.01, 0.25, 0.5, 0.75, 0.99])
    assert shares == pytest.approx([0.01, 0.25, 0.5, 0.75, 0.99], abs=0.03)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_random_arrivals_wait_as_in_an_md1_queue(still: Plan, load: float) -> None:
    import simpy

    from esca.telepresence.budget.headset import Headset

    env, rng, service, waits = simpy.Environment(), np.random.default_rng(1), 4.0, []
    headset = Headset(env, still, Trace(0, 1e9), rng)

    def customer():
        came = env.now
        yield from headset.serve("decoder", still.decoder)
        waits.append(env.now - came - service)

    def arrivals():
        for _ in range(15_000):
            yield env.timeout(rng.exponential(service / load))
            env.process(customer())

    env.process(arrivals())
    env.run()
    assert np.mean(waits) == pytest.approx(load * service / (2 * (1 - load)), rel=0.08)
    busy = headset.trace.busy["decoder", "decoder"] / env.now
    assert busy == pytest.approx(load, rel=0.03)


@settings(max_examples=12, deadline=None)
@given(
    avatars=st.integers(1, 4),
    decoder=milliseconds,
    rasterizer=milliseconds,
    jitter=st.sampled_from([0.0, 3.0, 40.0]),
    loss=st.sampled_from([0.0, 0.2, 1.0]),
    gaze=st.sampled_from(["none", "series", "parallel"]),
    shared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_frame_meets_one_fate(
    still: Plan, avatars, decoder, rasterizer, jitter, loss, gaze, shared, seed
) -> None:
    plan = replace(
        still,
        avatars=avatars,
        encoder=Work("one", 7.0),
        decoder=Work("one", decoder),
        rasterizer=Work("one" if shared else "gpu", rasterizer),
        jitter_ms=jitter,
        loss=loss,
        gaze=gaze,
    )
    trace = simulate(plan, seconds=0.3, calls=1, seed=seed)
    conserved(trace, avatars)
    assert trace.fates["captured"] == pytest.approx(2 * 80, abs=4)
    assert trace.fates["lost"] == pytest.approx(loss * trace.fates["sent"], abs=60)
    assert all(0 <= busy <= 2 * 300 + 1e-6 for busy in trace.busy.values())
    devices = {device for device, _ in trace.busy}
    for device in devices:
        total = sum(busy for (name, _), busy in trace.busy.items() if name == device)
        assert total <= 2 * 300 + 1e-6
    quickest = min(plan.decoding(avatar).ms for avatar in range(avatars))
    assert min(trace.face, default=99) >= 5 + 7 + 20 + quickest + 0.5 + 3


def test_a_shared_device_divides_its_time_fairly(still: Plan) -> None:
    plan = replace(still, encoder=Work("npu", 4), decoder=Work("npu", 14), avatars=3)
    trace = simulate(plan, seconds=6, calls=2)
    assert rates(plan, trace, 2)[0] == pytest.approx(1e3 / (4 + 3 * 14), rel=0.04)


def test_on_one_busy_device_no_decoded_face_is_wasted(still: Plan) -> None:
    plan = replace(
        still,
        encoder=Work("gpu", 10),
        decoder=Work("gpu", 50),
        warp=Work("gpu", 0.2),
        rasterizer=Work("gpu", 1),
    )
    trace = simulate(plan, seconds=6, calls=1)
    faces, frames = rates(plan, trace, 1)
    # A round: one code sent, one decoded, and at most a picture after each of the two.
    assert faces == pytest.approx(1e3 / (10 + 50 + 0.2 + 2 * 1), rel=0.06)
    assert 1.5 * faces <= frames <= 2.1 * faces


def test_gaze_in_series_adds_its_time_and_in_parallel_its_age(still: Plan) -> None:
    slow = replace(still, rasterizer=Work("gpu", 20.0), tracker=Work("eyes", 5.0), gaze_hertz=97.0)
    heads, ages = {}, {}
    for gaze in ("none", "series", "parallel"):
        trace = simulate(replace(slow, gaze=gaze), seconds=3, calls=2)
        heads[gaze], ages[gaze] = trace.head, trace.gaze
    periods = {"none": ceil((20 + 1) / 10), "series": ceil((5 + 8 + 1) / 10), "parallel": 1}
    for gaze, count in periods.items():
        assert heads[gaze] == pytest.approx([10 * count + 3] * len(heads[gaze]))
    assert ages["none"] == []
    assert ages["series"] == pytest.approx([23] * len(ages["series"]))
    # The newest finished gaze is as old as the tracker's work, and up to one period of it more.
    spread = np.asarray(ages["parallel"]) - (5 + 10 + 3)
    assert spread.min() == pytest.approx(0, abs=0.2)
    assert spread.max() == pytest.approx(1e3 / 97, abs=0.2)


def test_held_codes_come_in_step_again(still: Plan) -> None:
    plan = replace(still, jitter_ms=2.0)
    loose, held = (
        simulate(replace(plan, playout_ms=hold), seconds=2, calls=3) for hold in (0.0, 14.0)
    )
    assert loose.shown < 0.95 * held.shown
    assert held.shown == pytest.approx(2 * 3 * 200, rel=0.01)
    assert np.std(held.face) < np.std(loose.face) + 1


def test_the_same_seed_gives_the_same_calls(still: Plan) -> None:
    plan = replace(still, jitter_ms=3.0, loss=0.1)
    first, again, other = (simulate(plan, 0.2, 1, seed).face for seed in (4, 4, 5))
    assert first == again != other


def test_what_cannot_be_simulated_is_told(still: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EscaError, match="0 calls of 1 s, expected 1 or more"):
        simulate(still, 1, 0)
    with pytest.raises(EscaError, match="3 calls of 0 s"):
        simulate(still, 0, 3)
    steps: list[tuple[int, int]] = []
    simulate(still, 0.1, 2, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    assert WARM_UP > 100
    monkeypatch.setitem(sys.modules, "simpy", None)
    with pytest.raises(EscaError, match=r"'simpy' is not installed; pip install esca\[budget\]"):
        simulate(still)
