import numpy as np
import pytest

from esca.errors import EscaError
from esca.subjects.motions import HELD_OUT, TRAINING
from esca.subjects.rig import rest_transform
from esca.subjects.segments import FRAMES_PER_SECOND, Segment, default_segments


@pytest.mark.parametrize("total", [64, 200, 1000])
def test_totals_and_coverage(total):
    segments = default_segments(total)
    assert sum(len(segment.frames) for segment in segments) == total
    names = {segment.name for segment in segments}
    if total >= 200:
        assert names == {performance.name for performance in TRAINING + HELD_OUT}
    assert "EXP_ROM07_Facial_Expressions" in names
    assert sum(name.startswith("EXP_ROM") for name in names) == 2
    tested = sum(len(segment.frames) for segment in segments if segment.held_out)
    assert tested == pytest.approx(0.2 * total, abs=1)


def test_frame_numbers_rise_and_never_repeat():
    segments = default_segments(300)
    numbers = [number for segment in segments for number in segment.frames]
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= 100
    for segment in segments:
        if segment.held_out:
            assert set(np.diff(segment.frames)) == {1}


def test_dropped_frames():
    whole, lossy = default_segments(400, seed=3), default_segments(400, seed=3, dropped=0.25)
    kept = {number for segment in lossy for number in segment.frames}
    assert kept < {number for segment in whole for number in segment.frames}
    assert len(kept) == pytest.approx(300, abs=40)


def test_weights_stay_in_range_and_move_smoothly():
    for performance in TRAINING + HELD_OUT:
        segment = Segment(performance, (0,), 0, seed=5)
        step = 0.02  # frames
        for start in np.linspace(0, 150, 12):
            times = start + step * np.arange(4)
            poses = [segment.weights(time) for time in times]
            for name in set().union(*poses):
                values = np.array([pose.get(name, 0.0) for pose in poses])
                assert (values >= 0).all() and (values <= 1).all()
                speed = np.diff(values) / step
                assert np.abs(speed).max() < 0.75  # of the full range, a frame
                assert np.abs(np.diff(speed)).max() < 0.03  # no kink


def test_eyes_blink_now_and_then():
    segment = Segment(TRAINING[0], (0,), 0, seed=1)
    lids = np.array([segment.weights(frame).get("eyeBlink_L", 0.0) for frame in range(600)])
    assert lids.max() > 0.7
    assert 4 <= np.sum((lids[1:] > 0.35) & (lids[:-1] <= 0.35)) <= 10
    assert (lids == 0).mean() > 0.7


def test_head_moves_little_and_smoothly():
    rest = rest_transform()
    segment = Segment(HELD_OUT[0], (0,), 0, seed=9)
    poses = np.array([segment.transform(frame) for frame in range(300)])
    turns = np.einsum("fij,ik->fjk", poses[..., :3], rest[:, :3])
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)
    degrees = np.degrees(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2))
    assert 0.5 < degrees.max() < 8
    assert 0.3 < np.abs(poses[..., 3] - rest[:, 3]).max() < 8
    assert np.abs(np.diff(poses[..., 3], axis=0)).max() < 1.0


def test_seed_decides_everything():
    once, again, other = (default_segments(100, seed=seed) for seed in (4, 4, 5))
    assert once == again
    assert [s.weights(s.frames[0]) for s in once] == [s.weights(s.frames[0]) for s in again]
    assert [s.weights(s.frames[0]) for s in once] != [s.weights(s.frames[0]) for s in other]


def test_held_out_poses_are_new_but_within_the_trained_range():
    top: dict[str, float] = {}
    together: set[frozenset[str]] = set()
    for performance in TRAINING:
        for track in performance.tracks:
            for pose in track.poses:
                together.add(frozenset(pose))
                for name, weight in pose.items():
                    top[name] = max(top.get(name, 0.0), weight)
    for performance in HELD_OUT:
        segment = Segment(performance, (0,), 0, seed=2)
        for frame in range(0, int(10 * FRAMES_PER_SECOND), 5):
            weights = segment.weights(frame)
            assert all(weight <= top[name] + 1e-9 for name, weight in weights.items())
        active = [name for name, weight in weights.items() if weight > 0.05]
        assert not any(set(active) <= pose for pose in together)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"frames_total": 3}, "frames"),
        ({"frames_total": 50, "held_out": 1.0}, "held_out"),
        ({"frames_total": 50, "dropped": -0.1}, "dropped"),
    ],
)
def test_bad_settings(settings, field):
    with pytest.raises(EscaError, match=field):
        default_segments(**settings)
