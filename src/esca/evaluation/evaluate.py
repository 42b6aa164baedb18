"""Decoders against the reference: render what each decodes and score it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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


def evaluate(
    methods: Sequence[Method],
    clips: Clips,
    progress: Callable[[int, int], None] | None = None,
    on_video: Callable[[Method, Segment, Clip, Video], None] | None = None,
) -> tuple[Row, ...]:
    """Scores of the fp32 avatar (first) and of every method, one row for each view.

    ``progress``: steps of one method in one segment. ``on_video`` gets every rendered video
    (F, H, W, 3) before it is dropped, the fp32 ones first. Memory: the videos of one segment of the
    fp32 avatar and of two methods. EscaError if a decoder's output has another shape or is not
    finite, or without pyfvvdp.
    """
    check_display(clips.protocol.display)
    own = FloatDecoder(clips.avatar)
    everything = [Method(FP32, FP32, own.bytes, own), *methods]
    parts: list[list[tuple[float, list[Row]]]] = [[] for _ in everything]
    total = len(everything) * len(clips.segments)

    def finish(number: int, scores: Sequence[_Scores], frames: int) -> None:
        parts[number].append((frames, [view.result() for view in scores]))
        if progress:
            progress(sum(len(part) for part in parts), total)

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for segment in clips.segments:
            still = still_segment(segment)
            fp32: list[tuple[Video, Video]] = []
            scores: list[_Scores] = []
            for number, method in enumerate(everything):
                videos = render_videos(method, segment, clips)
                pairs = list(zip(videos, render_videos(method, still, clips), strict=True))
                fp32 = fp32 or pairs
                # The method before was being scored while this one was rendered.
                if scores:
                    finish(number - 1, scores, len(segment.frames))
                scores = [
                    _Scores(pool, method, clip, clips.protocol, pair, ideal)
                    for clip, pair, ideal in zip(segment.clips, pairs, fp32, strict=True)
                ]
                if on_video:
                    for clip, video in zip(segment.clips, videos, strict=True):
                        on_video(method, segment, clip, video)
            finish(len(everything) - 1, scores, len(segment.frames))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    return tuple(
        combined([(frames, rows[view]) for frames, rows in part])
        for part in parts
        for view in range(len(clips.protocol.views))
    )


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
