from dataclasses import replace
from math import floor, inf, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.budget.capacity import (
    MOST_AVATARS,
    avatars_that_fit,
    capacities,
    rendering_ms,
    series_ms,
)
from esca.telepresence.budget.config import load_budget
from esca.telepresence.budget.foveation import pixel_share, raster_share
from esca.telepresence.budget.plan import Plan, Work, plan_of

milliseconds = st.floats(0.05, 30)


@given(milliseconds, milliseconds, milliseconds, milliseconds)
def test_avatars_that_fit_are_the_least_quotient(
    still: Plan, encoder: float, decoder: float, warp: float, rasterizer: float
) -> None:
    plan = replace(
        still,
        encoder=Work("npu", encoder),
        decoder=Work("npu", decoder),
        warp=Work("gpu", warp),
        rasterizer=Work("gpu", rasterizer),
    )
    quotients = [(10 - encoder) / decoder, 10 / (warp + rasterizer), (10 - 1) / rasterizer]
    if min(abs(quotient - round(quotient)) for quotient in quotients) > 1e-6:
        assert avatars_that_fit(plan, 10) == max(0, floor(min(quotients)))


def test_published_latencies_leave_room_for_two_at_4_bits_and_for_none_at_8() -> None:
    four, eight = (plan_of(load_budget(name)) for name in ("esca-w4", "esca-w8"))
    accelerator = {name: c.hertz for c in capacities(four) for name in [c.name]}["accelerator"]
    assert accelerator == pytest.approx(1e3 / (3.05 + 3.13))
    assert avatars_that_fit(four, 10) == floor((10 - 3.05) / 3.13) == 2
    assert avatars_that_fit(eight, 10) == 0
    assert capacities(eight)[0].name == "accelerator"
    assert capacities(eight)[0].stage == "decoder"
    assert capacities(eight)[0].hertz == pytest.approx(1e3 / (3.05 + 12.51))


def test_capacities_name_device_stage_display_and_camera(still: Plan) -> None:
    found = {c.name: (c.stage, c.hertz) for c in capacities(replace(still, avatars=2))}
    assert found == {
        "encoder": ("encoder", pytest.approx(1e3 / 3)),
        "decoder": ("decoder", pytest.approx(1e3 / 8)),
        "warp": ("warp", pytest.approx(1e3)),
        "gpu": ("rasterizer", pytest.approx(250)),
        "compositor": ("compositor", pytest.approx(1e3)),
        "display": ("rendering in whole periods", 100),
        "camera": ("capture", 100),
    }
    free = replace(still, decoder=Work("decoder", 0), warp=Work("warp", 0))
    free = replace(free, rasterizer=Work("gpu", 0))
    assert avatars_that_fit(free, 10) == MOST_AVATARS
    assert {c.name: c.hertz for c in capacities(free)}["warp"] == inf
    assert avatars_that_fit(still, 2.9) == 0


def test_gaze_scales_rasterizing_and_what_is_not_looked_at(still: Plan) -> None:
    plan = replace(still, avatars=4)
    looking = replace(plan, gaze="parallel")
    assert [plan.decoding(a).ms for a in range(4)] == [4.0] * 4
    assert [looking.decoding(a).ms for a in range(4)] == [4.0, 1.0, 1.0, 1.0]
    assert looking.decoding(1).millijoules == 2.5 / 4
    assert (plan.rastering.ms, looking.rastering.ms) == (8.0, pytest.approx(3.2))
    assert rendering_ms(replace(plan, gaze="series")) == pytest.approx(2 + 3.2 + 1)
    assert rendering_ms(looking) == pytest.approx(3.2 + 1)
    assert series_ms(plan) == pytest.approx(3 + 4 * 4.5 + 8 + 1)


def test_pixels_of_a_foveated_picture_by_counting() -> None:
    at = (np.arange(1000) + 0.5) / 1000 * 90 - 45
    inside = np.hypot(*np.meshgrid(at, at)) < 15
    assert pixel_share(90, 15, 3) == pytest.approx(np.where(inside, 1, 1 / 9).mean(), abs=1e-4)
    assert pixel_share(90, 45, 1e9) == pytest.approx(pi / 4)
    assert pixel_share(90, 15, 1) == 1
    assert raster_share(0.25, 0.2) == pytest.approx(0.4)
    with pytest.raises(EscaError, match=r"gaze.sharp: 46 degrees do not fit into a view of 90"):
        pixel_share(90, 46, 2)
    with pytest.raises(EscaError, match=r"gaze.coarse: expected 1 or more, got 0.5"):
        pixel_share(90, 15, 0.5)
