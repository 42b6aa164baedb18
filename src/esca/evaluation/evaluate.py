"""Decoders against the reference: render what each decodes and score it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from esca.evaluation.clips import Clip, Clips, Segment
from esca.evaluation.metrics import Video, flicker, psnr, ssim
from esca.evaluation.protocol import Protocol
from esca.evaluation.rows import RegionScore, Row
from esca.evaluation.still import still_mask, still_segment
from esca.evaluation.table import combined
from esca.evaluation.vdp import check_display, jod
from esca.evaluation.videos import FloatDecoder, Method, render_videos

FP32 = "fp32"
"""Name and bits of the avatar itself in tables."""

Pairs = Sequence[tuple[Video, Video]]
"""The videos of one segment, clip by clip: of the segment and of its still face."""


@dataclass(frozen=True, eq=False)
class Ideal:
    """The fp32 avatar, rendered once for many evaluations.

    ``videos``: of each segment. ``rows``: its scores, one a view, or none yet.
    """

    videos: tuple[Pairs, ...]
    rows: tuple[Row, ...] = ()


def ideal_of(clips: Clips) -> Ideal:
    """Render and score the fp32 avatar; its videos are held for all segments."""
    method = _fp32(clips)
    rendered = Ideal(tuple(_rendered(method, segment, clips) for segment in clips.segments))
    return replace(rendered, rows=evaluate([], clips, ideal=rendered))


def evaluate(
    methods: Sequence[Method],
    clips: Clips,
    progress: Callable[[int, int], None] | None = None,
    on_video: Callable[[Method, Segment, Clip, Video], None] | None = None,
    ideal: Ideal | None = None,
) -> tuple[Row, ...]:
    """Scores of the fp32 avatar (first) and of every method, one row for each view.

    ``progress``: steps of one method in one segment. ``on_video`` gets every rendered video
    (F, H, W, 3) before it is dropped, the fp32 ones first. Memory: the videos of one segment of the
    fp32 avatar and of two methods. ``ideal``: of these clips; then the fp32 avatar is not rendered,
    and not scored or given to ``on_video`` either where ``ideal`` has its rows. EscaError if a
    decoder's output has another shape or is not finite, or without pyfvvdp.
    """
    check_display(clips.protocol.display)
    known = ideal.rows if ideal else ()
    fp32 = _fp32(clips)
    everything = list(methods) if known else [fp32, *methods]
    parts: list[list[tuple[float, list[Row]]]] = [[] for _ in everything]
    total = len(everything) * len(clips.segments)

    def finish(number: int, scores: Sequence[_Scores], frames: int) -> None:
        parts[number].append((frames, [view.result() for view in scores]))
        if progress:
            progress(sum(len(part) for part in parts), total)

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for place, segment in enumerate(clips.segments):
            goal = ideal.videos[place] if ideal else _rendered(fp32, segment, clips)
            scores: list[_Scores] = []
            for number, method in enumerate(everything):
                pairs = goal if method is fp32 else _rendered(method, segment, clips)
                # The method before was being scored while this one was rendered.
                if scores:
                    finish(number - 1, scores, len(segment.frames))
                scores = [
                    _Scores(pool, method, clip, clips.protocol, pair, best)
                    for clip, pair, best in zip(segment.clips, pairs, goal, strict=True)
                ]
                if on_video:
                    for clip, (video, _) in zip(segment.clips, pairs, strict=True):
                        on_video(method, segment, clip, video)
            if scores:
                finish(len(everything) - 1, scores, len(segment.frames))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    own = (
        combined([(frames, rows[view]) for frames, rows in part])
        for part in parts
        for view in range(len(clips.protocol.views))
    )
    return (*known, *own)


def _fp32(clips: Clips) -> Method:
    decoder = FloatDecoder(clips.avatar)
    return Method(FP32, FP32, decoder.bytes, decoder)


def _rendered(method: Method, segment: Segment, clips: Clips) -> Pairs:
    videos = render_videos(method, segment, clips)
    return list(zip(videos, render_videos(method, still_segment(segment), clips), strict=True))


class _Scores:
    """The scores of one view, being computed: of its video and of the still face's."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        method: Method,
        clip: Clip,
        protocol: Protocol,
        videos: tuple[Video, Video],
        ideals: tuple[Video, Video],
    ) -> None:
        (video, still), (ideal, still_ideal) = videos, ideals
        display = (protocol.display, protocol.fps, protocol.foveated)
        truth = ideal if clip.reference is None else clip.reference
        self.method, self.clip = method, clip
        self.vdp_fp32 = pool.submit(jod, video, ideal, *display)
        self.vdp = self.vdp_fp32 if truth is ideal else pool.submit(jod, video, truth, *display)
        self.psnr = pool.submit(psnr, video, truth, clip.mask)
        self.psnr_fp32 = pool.submit(psnr, video, ideal, clip.mask)
        self.ssim = pool.submit(ssim, video, truth, clip.mask)
        self.flicker = pool.submit(flicker, video, truth, clip.mask)
        self.flicker_fp32 = pool.submit(flicker, video, ideal, clip.mask)
        self.flicker_still = pool.submit(flicker, still, still_ideal, still_mask(clip, len(still)))
        self.regions: dict[str, tuple[Future[float], Future[float], Future[float]]] = {}
        for name, box in clip.boxes.items():
            crop, right, mask = video[box.slices], truth[box.slices], clip.mask[box.slices]
            self.regions[name] = (
                pool.submit(psnr, crop, right, mask),
                pool.submit(ssim, crop, right, mask),
                pool.submit(jod, crop, right, *display),
            )

    def result(self) -> Row:
        """Wait for all scores."""
        return Row(
            method=self.method.name,
            bits=self.method.bits,
            view=self.clip.view,
            bytes=self.method.bytes,
            vdp=self.vdp.result(),
            vdp_fp32=self.vdp_fp32.result(),
            psnr=self.psnr.result(),
            psnr_fp32=self.psnr_fp32.result(),
            ssim=self.ssim.result(),
            flicker=self.flicker.result(),
            flicker_fp32=self.flicker_fp32.result(),
            flicker_still=self.flicker_still.result(),
            regions={
                name: RegionScore(*(score.result() for score in scores))
                for name, scores in self.regions.items()
            },
        )
