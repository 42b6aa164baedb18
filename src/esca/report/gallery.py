"""Pictures for a README or a paper: methods side by side, their errors, and a short animation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from esca.avatars import load_avatar
from esca.captures import open_capture
from esca.errors import EscaError
from esca.evaluation import Method, Protocol, method_of, prepare_clips
from esca.evaluation.clips import Clips
from esca.evaluation.metrics import Video
from esca.evaluation.videos import FloatDecoder, render_videos
from esca.files import written_beside
from esca.report.images import ERROR_GAIN, error_map, reduced
from esca.runtime.artifact import load_artifact

Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8]

CAPTION_ROWS = 26
"""Rows of a caption above a picture."""

GAP = 6
"""Pixels between pictures."""

ANIMATION_ROWS = 360
"""Rows of the animation, without its caption: it is looked at in a page's column."""


def gallery(
    capture_folder: Path,
    checkpoint: Path,
    artifacts: Sequence[Path],
    folder: Path,
    protocol: Protocol,
    progress: Progress | None = None,
) -> tuple[Path, Path]:
    """Write ``methods.webp`` and ``talking.webp`` of the first held-out segment; returns both.

    ``methods``: a row a view, the reference first, and under each row the amplified error of each
    method against fp32. ``talking``: fp32 and each artifact in the first view,
    in a loop. ``progress`` counts methods. EscaError without artifacts.
    """
    if not artifacts:
        raise EscaError("gallery: expected one artifact or more")
    capture, avatar = open_capture(capture_folder), load_avatar(checkpoint)
    fp32 = FloatDecoder(avatar)
    methods = [Method("fp32", "", fp32.bytes, fp32)]
    methods += [method_of(load_artifact(path)) for path in artifacts]
    clips = prepare_clips(capture, avatar, protocol)
    videos = []
    for done, method in enumerate(methods):
        videos.append(render_videos(method, clips.segments[0], clips))
        if progress:
            progress(done + 1, len(methods))
    names = [f"{method.name} {method.bits.upper()}".strip() for method in methods]
    still, moving = folder / "methods.webp", folder / "talking.webp"
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(still) as beside:
        Image.fromarray(_compared(clips, names, videos)).save(beside, "WEBP", quality=88, method=6)
    frames = [
        Image.fromarray(_row(names, [reduced(one[0][n], ANIMATION_ROWS) for one in videos]))
        for n in range(len(videos[0][0]))
    ]
    # There and back again, so that the loop has no jump.
    loop = frames + frames[-2:0:-1]
    with written_beside(moving) as beside:
        loop[0].save(
            beside,
            "WEBP",
            save_all=True,
            append_images=loop[1:],
            duration=round(1000 / protocol.fps),
            loop=0,
            quality=70,
            method=4,
        )
    return still, moving


def _compared(clips: Clips, names: Sequence[str], videos: Sequence[Sequence[Video]]) -> Pixels:
    """Every view's middle frame by every method, and the errors of those after the first."""
    rows = []
    for number, clip in enumerate(clips.segments[0].clips):
        shots = [video[number][len(video[number]) // 2] for video in videos]
        titles, pictures = list(names), list(shots)
        if clip.reference is not None:
            titles.insert(0, "reference")
            pictures.insert(0, clip.reference[len(clip.reference) // 2])
        blank = [np.full_like(shots[0], 255)] * (len(pictures) - len(shots) + 1)
        errors = [error_map(shots[0], shot) for shot in shots[1:]]
        labels = [""] * len(blank) + [f"|error| x {ERROR_GAIN}"] * len(errors)
        rows += [_row(titles, pictures), _row(labels, [*blank, *errors])]
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(r, ((0, GAP), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    )


def _row(titles: Sequence[str], pictures: Sequence[Pixels]) -> Pixels:
    """Pictures of one size in a row, each under its title, on white."""
    height, width = pictures[0].shape[:2]
    sheet = Image.new(
        "RGB", (len(pictures) * (width + GAP) - GAP, height + CAPTION_ROWS), (255, 255, 255)
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for place, (title, pixels) in enumerate(zip(titles, pictures, strict=True)):
        left = place * (width + GAP)
        draw.text((left + 2, 4), title, (40, 40, 40), font)
        sheet.paste(Image.fromarray(pixels), (left, CAPTION_ROWS))
    return np.asarray(sheet)
