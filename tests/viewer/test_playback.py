import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.viewer.playback import FRAME_RATE, LONGEST_GAP, Playback, frame_times

TIMES = (0.0, 0.5, 0.6)


def test_recorded_numbers_become_seconds_and_long_gaps_are_shortened():
    assert frame_times([7, 8, 10, 100]) == pytest.approx(
        (0, 1 / FRAME_RATE, 3 / FRAME_RATE, (3 + LONGEST_GAP) / FRAME_RATE)
    )
    assert frame_times([7]) == (0.0,)


def test_plays_pauses_seeks_and_changes_speed_without_a_jump():
    playback = Playback(TIMES)
    assert not playback.playing
    assert playback.place(99) == 0
    playback = playback.toggled(10.0)
    assert playback.playing
    assert playback.place(10.25) == pytest.approx(0.25)
    playback = playback.at_speed(0.5, 10.25)
    assert playback.place(10.25) == pytest.approx(0.25)
    assert playback.place(10.75) == pytest.approx(0.5)
    playback = playback.toggled(10.75)
    assert playback.place(99) == pytest.approx(0.5)
    assert playback.sought(2).place(0) == 0.6
    assert not playback.toggled(5).sought(1).playing


def test_begins_again_after_the_last_frame_was_seen():
    playback = Playback(TIMES, since=0.0)
    assert playback.length == pytest.approx(0.6 + 1 / FRAME_RATE)
    assert playback.frame(0.6 + 0.5 / FRAME_RATE) == 2
    assert playback.frame(playback.length + 0.01) == 0


@given(st.floats(0, 100), st.floats(0.05, 4))
def test_frame_is_the_last_one_at_or_before_the_place(now, speed):
    playback = Playback(TIMES, since=0.0, speed=speed)
    place = playback.place(now)
    assert 0 <= place < playback.length
    assert TIMES[playback.frame(now)] <= place
    assert all(place < time for time in TIMES[playback.frame(now) + 1 :])


def test_codes_between_frames_are_interpolated():
    codes = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 9.0]])
    still = Playback(TIMES)
    torch.testing.assert_close(still.sought(1).code(codes, 0.0), codes[1])
    torch.testing.assert_close(
        Playback(TIMES, start=0.125).code(codes, 0.0), torch.tensor([0.5, 1.0])
    )
    torch.testing.assert_close(still.sought(2).code(codes, 0.0), codes[2])
    torch.testing.assert_close(Playback((0.0,), since=0.0).code(codes[:1], 3.0), codes[0])


def test_bad_input():
    with pytest.raises(EscaError, match="times must rise"):
        Playback((0.0, 0.0))
    with pytest.raises(EscaError, match="times must rise"):
        Playback(())
    with pytest.raises(EscaError, match="speed: 0"):
        Playback(TIMES, speed=0)
    with pytest.raises(EscaError, match="frame: 3, expected 0 to 2"):
        Playback(TIMES).sought(3)
