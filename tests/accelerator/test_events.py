import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerator.test_mappings import built, layers, widths_of_operands

from esca.accelerator import load_config, plan_layer
from esca.accelerator.closed_form import pipeline_cycles, uniform_cycles
from esca.accelerator.events import Job, simulate
from esca.accelerator.mappings import candidate_tilings
from esca.accelerator.plan import plan_tiling
from esca.errors import EscaError


def by_events(units: list[tuple[int, int]], drain: int, latency: int) -> int:
    """The array and the epilogue with two halves of accumulators, as jobs."""
    jobs: list[Job] = []
    for index, (a, e) in enumerate(units):
        reuses = [2 * index - 3] if index > 1 else []
        jobs.append(Job("array", a, drain, reuses=reuses))
        jobs.append(Job("epilogue", e, latency, [2 * index]))
    starts = simulate(jobs, {})
    return max((s + j.cycles + j.latency for s, j in zip(starts, jobs, strict=True)), default=0)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12),
    st.integers(0, 40),
    st.integers(0, 9),
)
def test_formula_and_events_agree(units, drain: int, latency: int) -> None:
    assert pipeline_cycles(units, drain, latency) == by_events(units, drain, latency)


@given(*(st.integers(0, 60) for _ in range(5)))
def test_closed_form_of_equal_units(count, a, e, drain, latency) -> None:
    assert uniform_cycles(count, a, e, drain, latency) == pipeline_cycles(
        [(a, e)] * count, drain, latency
    )


@settings(max_examples=40, deadline=None)
@given(layers, st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), widths_of_operands)
def test_formula_and_events_agree_on_layers(
    small, drawn, cin: int, cout: int, side: int, bits: tuple[int, int]
) -> None:
    kind, _, _, (_, width), *rest = drawn
    layer = built((kind, cin, cout, (side, width), *rest), *bits)
    drain = small.array.rows + small.array.columns - 2
    for tiling in candidate_tilings(layer, small)[:3]:
        try:
            plan = plan_tiling(tiling, small)
        except EscaError as error:
            assert "mapping scatter needs" in str(error)
            continue
        units = [(unit.cycles, unit.epilogue) for unit in plan.units]
        latency = small.engines.epilogue_latency_cycles
        assert plan.standalone_cycles(small) == by_events(units, drain, latency)
        streamed = sum(unit.cycles - unit.stalled for unit in plan.units)
        assert streamed == tiling.ideal_cycles
        assert plan.chunks[-1].output_rows == layer.output.height


def test_servers_take_the_earlier_job_and_background_last() -> None:
    jobs = [
        Job("a", 5),
        Job("mesh", 7, background=True),
        Job("b", 3, after=[0]),
        Job("a", 2),
    ]
    # 'mesh' is ready from the start, but any other ready transfer goes first.
    assert simulate(jobs, {"a": "dram", "b": "dram", "mesh": "dram"}) == [0, 10, 5, 8]


def test_results_come_behind_the_work_and_buffers_free_at_its_end() -> None:
    jobs = [Job("a", 4, 10), Job("b", 1, after=[0]), Job("c", 1, reuses=[0])]
    assert simulate(jobs, {}) == [0, 14, 4]


def test_a_circle_is_an_error() -> None:
    with pytest.raises(EscaError, match="job 0 waits for itself"):
        simulate([Job("a", 1, after=[1]), Job("b", 1, after=[0])], {})


def test_the_fastest_mapping_is_chosen(layer) -> None:
    config = load_config("esca-16x16")
    last = layer("conv_transpose2d", 16, 3, (64, 64), (4, 4), 2, 1)
    chosen = plan_layer(last, config).standalone_cycles(config)
    others = [
        plan_tiling(t, config).standalone_cycles(config) for t in candidate_tilings(last, config)
    ]
    assert chosen == min(others)
    assert len(set(others)) > 2


def test_accumulators_that_are_too_small_for_scatter_are_named(layer) -> None:
    config = load_config("esca-16x16")
    wide = layer("conv_transpose2d", 16, 64, (4, 1024), (4, 4), 2, 1)
    tiling = next(t for t in candidate_tilings(wide, config) if t.mapping == "scatter")
    with pytest.raises(EscaError, match=r"layer 'layer': mapping scatter needs .*buffers.acc"):
        plan_tiling(tiling, config)


def test_results_that_come_later_than_due() -> None:
    asked = []

    def later(job: int, now: int, starts: list[int]) -> int:
        asked.append((job, now, starts[1]))
        return max(now, 17) if job == 0 and now < 15 else 20 if job == 0 else now

    jobs = [Job("a", 5, 7), Job("b", 3), Job("c", 1, after=[0]), Job("a", 1, after=[1])]
    assert simulate(jobs, {}, later) == [0, 0, 20, 5]
    assert [seen for seen in asked if seen[0] == 0] == [(0, 12, 0), (0, 17, 0), (0, 20, 0)]
