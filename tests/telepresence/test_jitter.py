"""Order and timing of playing, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.jitter import JitterBuffer
from esca.telepresence.playout import PlayoutClock, PlayoutConfig

actions = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 40)),
        st.tuples(st.just("pop"), st.integers(0, 4)),
    ),
    max_size=80,
)


@given(actions, st.integers(1, 8))
def test_buffer_against_a_sorted_list(steps: list[tuple[str, int]], capacity: int) -> None:
    buffer: JitterBuffer[int] = JitterBuffer(capacity)
    kept: list[int] = []
    played = -1
    begun = False
    for name, value in steps:
        if name == "push":
            verdict = buffer.push(value, value)
            if begun and value <= played:
                expected = "late"
            elif begun and value > played + capacity:
                expected = "early"
            elif value in kept:
                expected = "twice"
            elif len(kept) == capacity and value < min(kept):
                expected = "late"
            else:
                expected = "kept"
                if len(kept) == capacity:
                    kept.remove(min(kept))
                kept.append(value)
            assert verdict == expected
        else:
            slot = played + 1 + value
            item, stale = buffer.pop(slot)
            assert item == (slot if slot in kept else None)
            assert stale == sum(old < slot for old in kept)
            kept = [one for one in kept if one > slot]
            played, begun = slot, True
        assert len(buffer) == len(kept) <= capacity


def test_buffer_bad_input() -> None:
    with pytest.raises(EscaError, match="capacity"):
        JitterBuffer(0)
    buffer: JitterBuffer[int] = JitterBuffer(3)
    buffer.pop(4)
    with pytest.raises(EscaError, match="slot 2 was played"):
        buffer.pop(2)


def _run(config: PlayoutConfig, delays_s: np.ndarray, skew_s: float = 123.0) -> tuple[float, float]:
    """Delay at the end and share of the later half that arrived after its time."""
    period, late = 0.01, []
    clock = PlayoutClock(period, config)
    arrivals = np.arange(len(delays_s)) * period + delays_s
    for number in np.argsort(arrivals, kind="stable"):
        captured = 5.0 + number * period
        arrived = skew_s + captured + delays_s[number]
        slot = clock.observe(captured, arrived)
        late.append(arrived > clock.due(slot))
        clock.advance()
    return clock.delay_s, float(np.mean(late[len(late) // 2 :]))


def test_adaptive_delay_covers_the_jitter() -> None:
    rng = np.random.default_rng(0)
    delay, late = _run(PlayoutConfig(), 0.02 + rng.random(2000) * 0.05)
    assert 0.045 < delay < 0.06
    assert late < 0.04


def test_quiet_network_gets_the_least_delay() -> None:
    delay, late = _run(PlayoutConfig(least_ms=8), np.full(1000, 0.02))
    assert delay == pytest.approx(0.008, abs=1e-6)
    assert late == 0


@pytest.mark.parametrize("wanted", [0.0, 12.5, 80.0])
def test_fixed_delay(wanted: float) -> None:
    rng = np.random.default_rng(1)
    delay, _ = _run(PlayoutConfig(delay_ms=wanted), rng.random(2000) * 0.03)
    assert delay == pytest.approx(wanted / 1e3, abs=1e-3)


def test_slots_follow_the_stamps_in_any_order() -> None:
    clock = PlayoutClock(0.01, PlayoutConfig())
    assert not clock.started
    assert [clock.observe(t, 9.0) for t in (1.0, 1.03, 1.01, 0.99)] == [0, 3, 1, -1]
    assert clock.slot_at(clock.due(7) + 1e-6) == 7
    assert clock.slot_at(clock.due(7) - 1e-6) == 6


def test_bad_config() -> None:
    for wrong in ({"delay_ms": -1}, {"covered": 0}, {"least_ms": 200}, {"slew": 1}):
        with pytest.raises(EscaError, match=next(iter(wrong))):
            PlayoutConfig(**wrong)
    with pytest.raises(EscaError, match="period"):
        PlayoutClock(0, PlayoutConfig())
