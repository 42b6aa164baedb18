import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from esca.captures import Capture
from esca.errors import EscaError
from esca.evaluation import Clips, FloatDecoder, Method, render_videos
from esca.evaluation.metrics import psnr
from esca.evaluation.shift import (
    FACTORS,
    LIGHTS,
    ShiftRow,
    calibration_codes,
    evaluate_shifts,
    make_shifts,
    relit,
    shifts_json,
    shifts_text,
)
from esca.quantization.calibration import decoder_graph, encode_frames
from esca.quantization.quantize import quantize
from esca.quantization.recipe import Recipe
from esca.quantization.statistics import TexelMaps, collect
from esca.runtime.artifact import Artifact
from esca.runtime.integer import IntegerDecoder
from esca.runtime.saturation import SaturationWarning, calibrated_shares


@pytest.fixture(scope="module")
def codes(clips: Clips) -> torch.Tensor:
    spread = torch.randn(6, 16, generator=torch.Generator().manual_seed(1)) * 0.3
    return clips.segments[0].codes.mean(0) + spread


@pytest.fixture(scope="module")
def artifact(clips: Clips, codes: torch.Tensor) -> Artifact:
    graph = decoder_graph(clips.avatar)
    views = clips.segments[0].clips[0].directions.repeat(2, 1)
    statistics = collect(graph, lambda: [{"z": codes, "view": views}], TexelMaps(), hessians=())
    recipe = Recipe("t", range="minmax", weight_range="minmax", headroom=1.1).with_bits("w8a8")
    quantized = quantize(graph, statistics, recipe)
    names = ["E001_Neutral/000001/400012", "E001_Neutral/000002/400017"]
    provenance = {"clamped": calibrated_shares(quantized, statistics), "frames": names}
    return Artifact(quantized, provenance)


def test_light_multiplies_what_was_seen_and_ends_at_white(capture: Capture, clips: Clips) -> None:
    frame = clips.segments[0].frames[0]
    own = capture.texture(frame).astype(float)
    lit = relit(capture, (2.0, 1.0, 0.5)).texture(frame)
    expected = np.minimum(np.rint(own * [2.0, 1.0, 0.5]), 255)
    assert lit.dtype == np.uint8
    assert np.array_equal(lit, expected)
    dark = relit(capture, (0.001, 0.001, 0.001)).texture(frame)
    assert (dark == 1).all()  # 0 would mean that it was not seen
    same = encode_frames(clips.avatar, relit(capture, (1.0, 1.0, 1.0)), [frame])
    assert torch.equal(same, encode_frames(clips.avatar, capture, [frame]))


def test_shifts_hold_what_their_names_say(
    capture: Capture, clips: Clips, codes: torch.Tensor
) -> None:
    shifts = make_shifts(capture, clips, codes, frames=2)
    assert [shift.name for shift in shifts] == [
        *("calibration × 1", "calibration × 1.25", "calibration × 1.5", "calibration × 2"),
        *("held-out", *LIGHTS),
    ]
    mean = codes.mean(0)
    for factor, shift in zip(FACTORS, shifts, strict=False):
        expected = mean + factor * (codes[[0, 5]] - mean)
        torch.testing.assert_close(shift.segment.codes, expected)
    own = clips.segments[0]
    held = shifts[4].segment
    assert held.frames == own.frames[:2]
    assert torch.equal(held.codes, own.codes[:2])
    for shift in shifts:
        (clip,) = shift.segment.clips
        assert clip.reference is None
        assert len(clip.mask) == len(clip.directions) == len(shift.segment.codes) == 2
    lit = shifts[5].segment.codes
    assert not torch.allclose(lit, held.codes)


def test_calibration_codes_are_those_of_the_artifacts_frames(
    capture: Capture, clips: Clips, artifact: Artifact
) -> None:
    found = calibration_codes(capture, clips, artifact)
    frames = [f for f in capture.frames if f.segment == "E001_Neutral"]
    torch.testing.assert_close(found, encode_frames(clips.avatar, capture, frames))


def test_rows_score_the_integer_rendering_against_fp32(
    capture: Capture, clips: Clips, artifact: Artifact, codes: torch.Tensor
) -> None:
    pytest.importorskip("pyfvvdp")
    shifts = make_shifts(capture, clips, codes, frames=2)
    some = (shifts[0], replace(shifts[3], name="far"))
    some[1].segment.codes.mul_(4)
    steps: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", SaturationWarning)
        near, far = evaluate_shifts([artifact], clips, some, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    assert (near.shift, near.method, near.bits) == ("calibration × 1", "t", "w8a8")
    assert near.inputs == 0
    assert not near.warned
    assert 9 < near.vdp_fp32 <= 10
    assert far.inputs > 0.1
    assert far.warned
    assert far.layers > near.layers
    assert far.psnr_fp32 < near.psnr_fp32
    fp32 = Method("fp32", "fp32", 0, FloatDecoder(clips.avatar))
    (ideal,) = render_videos(fp32, some[0].segment, clips)
    own = Method("t", "w8a8", 0, IntegerDecoder(artifact.quantized))
    (video,) = render_videos(own, some[0].segment, clips)
    assert near.psnr_fp32 == pytest.approx(psnr(video, ideal, ideal.max(3) > 0))


def test_tables_and_errors(capture: Capture, clips: Clips) -> None:
    rows = [
        ShiftRow("held-out", "rtn", "w4a4", 8.5, 40.0, 0.0, 0.0123, "up1", False),
        ShiftRow("light × 1.4", "rtn", "w8a8", 10.0, math.inf, 0.25, 0.5, "up0", True),
    ]
    lines = shifts_text(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["held-out", "rtn", "w4a4", "8.500", "40.00", "0.00%", "1.23%", "no"]
    assert lines[3].split()[-4:] == ["-", "25.00%", "50.00%", "yes"]
    data = json.loads(json.dumps(shifts_json(rows), allow_nan=False))
    assert data[1]["psnr_fp32"] is None
    assert data[0]["worst"] == "up1"
    with pytest.raises(EscaError, match=r"shifts: calibration codes of shape \(2, 3\)"):
        make_shifts(capture, clips, torch.zeros(2, 3))
