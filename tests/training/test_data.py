"""What a step sees."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from esca.captures import AVERAGE, Capture, FrameId, open_capture
from esca.errors import EscaError
from esca.training import TrainingData
from esca.training.data import Pick

IDS = {"400002", "400012", "400029"}
TRAINED = tuple(FrameId("E001_Neutral", frame) for frame in ("000002", "000003", "000007"))
HELD_OUT = (FrameId("EXP_ROM07_Faces", "000011"),)


def test_held_out_segments_are_never_picked(capture: Capture) -> None:
    data = TrainingData(capture)
    picked = {pick.frame for step in range(1, 20) for pick in data.picks(0, step, 2)}
    assert picked == set(TRAINED)
    assert not picked & set(HELD_OUT)


def test_picks_go_through_all_frames_before_any_again(capture: Capture) -> None:
    data = TrainingData(capture)
    places = [pick.frame for step in range(1, 7) for pick in data.picks(3, step, 2)]
    for epoch in range(4):
        assert set(places[3 * epoch : 3 * epoch + 3]) == set(TRAINED)
    cameras = {pick.camera for step in range(1, 40) for pick in data.picks(3, step, 2)}
    assert cameras == IDS


def test_picks_depend_on_seed_and_step_alone(capture: Capture) -> None:
    first, again = TrainingData(capture), TrainingData(capture)
    steps = range(1, 9)
    assert [first.picks(1, s, 2) for s in steps] == [again.picks(1, s, 2) for s in steps]
    assert [first.picks(1, s, 2) for s in steps] != [first.picks(2, s, 2) for s in steps]


def test_cameras_can_be_chosen(capture: Capture) -> None:
    data = TrainingData(capture, cameras=("400012",))
    batch = data.batch(data.picks(0, 1, 2))
    assert {pick.camera for pick in data.picks(0, 1, 2)} == {"400012"}
    assert batch.camera.tolist() == [1, 1]


@pytest.mark.parametrize("cache", [False, True])
def test_batch_holds_what_the_capture_says(cache: bool, capture: Capture) -> None:
    data = TrainingData(capture, screen_scale=0.5, cache=cache)
    picks = (Pick(TRAINED[1], "400029"), Pick(TRAINED[0], "400002"))
    for _ in range(2):
        batch = data.batch(picks)
        assert batch.average.is_contiguous(memory_format=torch.channels_last)
        for place, (frame, id) in enumerate(picks):
            camera, transform = capture.camera(id), capture.transform(frame)
            average = batch.average[place].permute(1, 2, 0).numpy()
            texture = batch.texture[place].permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(average, capture.texture(frame, AVERAGE))
            np.testing.assert_array_equal(texture, capture.texture(frame, id))
            np.testing.assert_array_equal(batch.vertices[place], capture.vertices(frame).ravel())
            np.testing.assert_allclose(
                batch.view[place], camera.view_direction(transform), rtol=1e-6
            )
            assert batch.camera[place] == capture.camera_index(id)
            half = np.diag([0.5, 0.5, 1]) @ camera.projection(transform)
            np.testing.assert_allclose(batch.projection[place], half)
            photo = capture.photo(frame, id).astype(float)
            blocks = photo.reshape(24, 2, 16, 2, 3).mean((1, 3))
            shrunk = batch.photo[place].permute(1, 2, 0).numpy()
            assert np.abs(shrunk - blocks).max() <= 0.5


def test_without_screen_loss_no_photo_is_read(capture: Capture, tmp_path: Path) -> None:
    bare = copied(capture, tmp_path)
    shutil.rmtree(bare.layout.photos)
    data = TrainingData(bare)
    assert data.batch(data.picks(0, 1, 2)).photo.numel() == 0
    asking = TrainingData(bare, screen_scale=0.5)
    with pytest.raises(EscaError, match="images"):
        asking.batch(asking.picks(0, 1, 2))


def test_a_capture_of_held_out_segments_alone(capture: Capture, tmp_path: Path) -> None:
    bare = replace(copied(capture, tmp_path), frames=HELD_OUT)
    with pytest.raises(EscaError, match=r"no sample to train on, .* EXP_ROM\*"):
        TrainingData(bare)


def copied(capture: Capture, tmp_path: Path) -> Capture:
    return open_capture(shutil.copytree(capture.root, tmp_path / capture.root.name))
