"""The finder keeps the worst spot of each method, cut out of the right frame."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from esca.evaluation import Clips, FloatDecoder, Method
from esca.evaluation.failures import TILE
from esca.evaluation.findings import FailureFinder, find_checkerboards
from esca.evaluation.metrics import flicker
from esca.evaluation.windows import Box

FP32 = SimpleNamespace(name="fp32", bits="fp32")
OWN = SimpleNamespace(name="rtn", bits="w4a4")
BOX = Box(60, 100, 10, 60)


def video() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 180, (4, 120, 96, 3)).astype(np.uint8)


def segment(name: str = "EXP") -> SimpleNamespace:
    return SimpleNamespace(name=name, frames=[SimpleNamespace(frame=f"{n:06d}") for n in range(4)])


def clip(view: str = "front", boxes: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        view=view, mask=np.ones((4, 120, 96), bool), boxes={"eyes": BOX} if boxes else {}
    )


def test_the_worst_frame_and_view_is_kept() -> None:
    finder, ideal = FailureFinder(), video()
    for view, amount, frame in (("front", 5, 2), ("left", 9, 1), ("right", 7, 2)):
        own = ideal.copy()
        own[frame, 24:72, :48] += np.uint8(amount)
        finder(FP32, segment(), clip(view, boxes=False), ideal)
        finder(OWN, segment(), clip(view, boxes=False), own)
        if view == "left":
            worst = own
    (finding,) = finder.findings
    assert (finding.failure, finding.method, finding.bits) == ("flicker", "rtn", "w4a4")
    assert finding.where == "EXP 000001, left"
    assert finding.amount == pytest.approx(9)
    assert finding.shown.shape == finding.fp32.shape == (TILE, TILE, 3)
    assert np.array_equal(finding.shown, worst[1, 24:72, :48])
    assert np.array_equal(finding.fp32, ideal[1, 24:72, :48])
    assert (finding.error == 9).all()
    place = (slice(0, 2), slice(24, 72), slice(0, 48))
    assert finding.amount == pytest.approx(flicker(worst[place], ideal[place]))


def test_blur_is_looked_for_in_regions_and_against_its_own_segment() -> None:
    finder, first = FailureFinder(), video()
    second = first[:, ::-1].copy()
    for name, ideal in (("one", first), ("two", second)):
        finder(FP32, segment(name), clip(), ideal)
        own = ideal.copy()
        if name == "two":
            own[3][BOX.slices[1:]] = own[3][BOX.slices[1:]] // 2 + 60
        finder(OWN, segment(name), clip(), own)
    found = {finding.failure: finding for finding in finder.findings}
    assert found["blur"].where == "two 000003, front, eyes"
    assert found["blur"].amount == pytest.approx(0.5, abs=0.02)
    assert found["blur"].shown.shape == (40, 50, 3)
    assert found["blur"].error.shape == (40, 50)


def test_the_same_videos_have_no_findings() -> None:
    finder, ideal = FailureFinder(), video()
    finder(FP32, segment(), clip(), ideal)
    finder(OWN, segment(), clip(), ideal.copy())
    assert finder.findings == ()


class Patterned:
    """The avatar's decoder plus a checkerboard in one quarter of the texture."""

    def __init__(self, clips: Clips, amount: float) -> None:
        self.decoder, self.amount = FloatDecoder(clips.avatar), amount / clips.texture_std

    def decode(self, z: torch.Tensor, view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        texture, mesh = self.decoder.decode(z, view)
        row, column = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
        texture = texture.clone()
        texture[:, :, 128:, :128] += self.amount * (1 - 2.0 * ((row + column) % 2))
        return texture, mesh


def test_checkerboards_of_a_texture_are_found_by_their_amount(clips: Clips) -> None:
    segment = clips.segments[0]
    front = replace(clips, segments=(replace(segment, clips=segment.clips[:1]),))
    methods = [Method(str(a), "w4a4", 0, Patterned(clips, a)) for a in (0.0, 2.0, 8.0)]
    found = find_checkerboards(methods, front)
    assert [finding.method for finding in found] == ["2.0", "8.0"]
    assert [finding.amount for finding in found] == pytest.approx([2, 8], rel=0.05)
    assert all("period 2" in finding.where for finding in found)
    assert found[1].shown.shape == (64, 64, 3)
    assert float(found[1].error.mean()) == pytest.approx(8, rel=0.05)
