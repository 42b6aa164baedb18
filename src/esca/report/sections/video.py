"""The clip: fp32 beside methods, and the error of the last one, moving together."""

from esca.report.images import ERROR_GAIN, data_uri, error_map
from esca.report.inputs import ReportInputs
from esca.report.section import Section, render
from esca.report.video import MEDIA_TYPE, encode, side_by_side

MOST_ROWS = 480


def section(inputs: ReportInputs) -> Section | None:
    """A looping clip with a caption under each of its panels."""
    clip = inputs.clip
    if clip is None or not clip.methods:
        return None
    labels = list(clip.methods)
    last = labels[-1]
    panels = [clip.fp32, *clip.methods.values(), error_map(clip.methods[last], clip.fp32)]
    captions = ["fp32", *(label.text for label in labels), f"error of {last.text}, × {ERROR_GAIN}"]
    frames = side_by_side(panels, MOST_ROWS)
    count, height, width = frames.shape[:3]
    html = render(
        "video.html",
        uri=data_uri(encode(frames, clip.fps), MEDIA_TYPE),
        captions=captions,
        width=width,
        height=height,
        panel_width=width // len(panels),
        frames=count,
        fps=clip.fps,
        view=clip.view,
    )
    return Section("Video", "video", html)
