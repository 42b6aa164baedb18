"""A short clip of several pictures side by side, as one file that browsers play."""

import io
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.report.extra import needed
from esca.report.images import reduced

MEDIA_TYPE = "video/webm"
CODEC = "libvpx-vp9"
"""VP9 plays in every current browser; H.264 is missing from builds without licensed codecs."""

QUALITY = "26"
"""Constant quality, 0 (best) to 63."""

Frames = NDArray[np.uint8]


def side_by_side(panels: Sequence[Frames], most_rows: int) -> Frames:
    """(F, H, W, 3) clips of one shape to (F, H', n W', 3), both sides even.

    Clips higher than ``most_rows`` are averaged down to it. EscaError for other shapes or types.
    """
    shapes = {panel.shape for panel in panels}
    if len(shapes) != 1 or any(
        panel.ndim != 4 or panel.shape[3] != 3 or panel.dtype != np.uint8 or not panel.size
        for panel in panels
    ):
        raise EscaError(
            "report: video: expected clips of one shape (F, H, W, 3) uint8, "
            f"got {sorted(map(str, shapes))}"
        )
    small = [np.stack([reduced(frame, most_rows) for frame in panel]) for panel in panels]
    height, width = small[0].shape[1:3]
    padding = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    return np.concatenate([np.pad(panel, padding, mode="edge") for panel in small], axis=2)


def encode(frames: Frames, fps: int) -> bytes:
    """WebM file of (F, H, W, 3) uint8 display frames (VP9, 4:2:0, BT.709); H and W are even."""
    av = needed("av")
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="webm") as container:
        stream = container.add_stream(CODEC, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 0
        stream.time_base = Fraction(1, fps)
        stream.thread_count = 2
        stream.options = {"crf": QUALITY, "cpu-used": "4", "row-mt": "1"}
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        for index, pixels in enumerate(frames):
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = rgb.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


_BT709 = 1  # AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709 share the number
_LIMITED = 1  # AVCOL_RANGE_MPEG
