import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.evaluation import Clips, FloatDecoder, Method, evaluate
from esca.evaluation.evaluate import ideal_of
from esca.evaluation.metrics import flicker, psnr
from esca.evaluation.vdp import jod

pytest.importorskip("pyfvvdp")


def test_rows_hold_the_metrics_of_the_videos(clips: Clips, shifted: Any) -> None:
    kept: dict[tuple[str, str], NDArray[np.uint8]] = {}
    steps: list[tuple[int, int]] = []
    rows = evaluate(
        [Method("shifted", "W8A8", 1234, shifted)],
        clips,
        progress=lambda done, total: steps.append((done, total)),
        on_video=lambda method, segment, clip, video: kept.update(
            {(method.name, clip.view): video}
        ),
    )
    assert steps == [(1, 2), (2, 2)]
    assert [(row.method, row.bits, row.view) for row in rows] == [
        ("fp32", "fp32", "front"),
        ("fp32", "fp32", "right"),
        ("shifted", "W8A8", "front"),
        ("shifted", "W8A8", "right"),
    ]
    for row in rows[:2]:
        assert row.vdp_fp32 == 10
        assert row.psnr_fp32 == math.inf
        assert row.flicker_fp32 == row.flicker_still == 0
        assert row.bytes == FloatDecoder(clips.avatar).bytes > 4 * 100_000
    for row, clip in zip(rows[2:], clips.segments[0].clips, strict=True):
        assert clip.reference is not None
        video, ideal = kept["shifted", row.view], kept["fp32", row.view]
        assert row.vdp == pytest.approx(jod(video, clip.reference), abs=1e-5)
        assert row.vdp_fp32 == pytest.approx(jod(video, ideal), abs=1e-5)
        assert row.psnr == pytest.approx(psnr(video, clip.reference, clip.mask))
        assert row.psnr_fp32 == pytest.approx(psnr(video, ideal, clip.mask))
        assert 0 < row.flicker < 3
        assert row.flicker_fp32 == pytest.approx(flicker(video, ideal, clip.mask))
        assert row.flicker_fp32 > 0
        # The replayed frames do not know the noise of a still face, the avatar answers to it.
        assert row.flicker_still > 0
        assert 0.9 < row.ssim < 1
        assert row.bytes == 1234
        assert set(row.regions) == {"nose", "mouth"}
        box = clip.boxes["nose"].slices
        nose = row.regions["nose"]
        assert nose.psnr == pytest.approx(psnr(video[box], clip.reference[box], clip.mask[box]))
        assert nose.vdp == pytest.approx(jod(video[box], clip.reference[box]), abs=1e-5)


def test_scores_are_the_same_beside_an_ideal_rendered_before(
    clips: Clips, shifted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = Method("shifted", "W8A8", 1234, shifted)
    rows, ideal = evaluate([method], clips), ideal_of(clips)
    assert rows[:2] == ideal.rows

    def never(*_: object) -> None:
        raise AssertionError("the fp32 avatar was rendered again")

    monkeypatch.setattr(FloatDecoder, "decode", never)
    seen: list[str] = []
    again = evaluate([method], clips, None, lambda m, *_: seen.append(m.name), ideal)
    assert again == rows
    assert seen == ["shifted", "shifted"]
    assert evaluate([], clips, ideal=ideal) == ideal.rows


def test_an_unknown_display_is_named_before_any_work(one_view: Clips, replay: Any) -> None:
    cinema = replace(one_view, protocol=replace(one_view.protocol, display="cinema"))
    with pytest.raises(EscaError, match="display: expected one of"):
        evaluate([Method("replay", "W4A4", 1, replay)], cinema)
    assert replay.calls == 0


def test_a_failure_in_a_method_leaves_torchs_threads_alone(one_view: Clips) -> None:
    class Failing:
        def decode(self, z: object, view: object) -> Any:
            raise EscaError("decoder failing: out of order")

    before = torch.get_num_threads()
    with pytest.raises(EscaError, match="out of order"):
        evaluate([Method("failing", "W4A4", 1, Failing())], one_view)
    assert torch.get_num_threads() == before


def test_against_its_own_rendering_the_avatar_is_perfect(one_view: Clips) -> None:
    segment = one_view.segments[0]
    unseen = replace(
        one_view,
        segments=(replace(segment, clips=(replace(segment.clips[0], reference=None),)),),
    )
    (row,) = evaluate([], unseen)
    assert (row.vdp, row.psnr, row.ssim, row.flicker) == (10, math.inf, pytest.approx(1), 0)
