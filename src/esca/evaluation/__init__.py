"""How good a decoder's pictures are, as people see them and as numbers."""

from esca.evaluation.clips import Clip, Clips, Segment
from esca.evaluation.evaluate import evaluate
from esca.evaluation.methods import method_of
from esca.evaluation.prepare import prepare_clips
from esca.evaluation.protocol import Protocol
from esca.evaluation.rows import RegionScore, Row
from esca.evaluation.table import as_json, as_text, mean_rows
from esca.evaluation.videos import FloatDecoder, Method, render_videos
from esca.runtime.backends.interface import Decoder

__all__ = [
    "Clip",
    "Clips",
    "Decoder",
    "FloatDecoder",
    "Method",
    "Protocol",
    "RegionScore",
    "Row",
    "Segment",
    "as_json",
    "as_text",
    "evaluate",
    "mean_rows",
    "method_of",
    "prepare_clips",
    "render_videos",
]
