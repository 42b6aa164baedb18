from dataclasses import replace

import numpy as np
import pytest
import torch

from esca.evaluation import Clips, FloatDecoder, Method, render_videos
from esca.evaluation.metrics import flicker
from esca.evaluation.still import MOST_FRAMES, NOISE, still_mask, still_segment


def test_only_the_code_moves_and_by_the_stated_noise(clips: Clips) -> None:
    segment = clips.segments[0]
    longer = replace(
        segment,
        frames=segment.frames * 9,
        codes=torch.randn(27, 4096, generator=torch.Generator().manual_seed(1)) * 3,
        transforms=np.repeat(segment.transforms, 9, axis=0),
        clips=tuple(
            replace(c, mask=np.repeat(c.mask, 9, 0), directions=c.directions.repeat(9, 1))
            for c in segment.clips
        ),
    )
    still = still_segment(longer, seed=5)
    assert len(still.frames) == len(still.codes) == len(still.transforms) == MOST_FRAMES
    assert len(set(still.frames)) == 1
    noise = still.codes - longer.codes[13]
    assert float(noise.std()) == pytest.approx(NOISE * 3, rel=0.02)
    assert (still.transforms == still.transforms[0]).all()
    for clip, own in zip(still.clips, longer.clips, strict=True):
        assert clip.reference is None
        assert (clip.directions == own.directions[13]).all()
        assert clip.mask.shape == (MOST_FRAMES, *own.mask.shape[1:])
        assert (clip.mask == own.mask[13]).all()
    again = still_segment(longer, seed=5)
    assert torch.equal(still.codes, again.codes)
    assert not torch.equal(still.codes, still_segment(longer, seed=6).codes)


def test_without_noise_nothing_flickers_and_more_noise_flickers_more(one_view: Clips) -> None:
    method = Method("fp32", "fp32", 0, FloatDecoder(one_view.avatar))
    (segment,) = one_view.segments
    values = []
    for noise in (0.0, 5.0, 20.0):
        still = still_segment(segment, noise)
        (video,) = render_videos(method, still, one_view)
        frozen = np.repeat(video[:1], len(video), axis=0)
        values.append(flicker(video, frozen, still_mask(segment.clips[0], len(video))))
    assert values[0] == 0
    assert values[0] < values[1] < values[2]
