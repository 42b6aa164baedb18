"""What was recorded: MultiFace-format captures, read lazily and written exactly."""

from esca.captures.check import CaptureReport, check_capture
from esca.captures.geometry import Camera, Topology
from esca.captures.layout import AVERAGE, FrameId, SampleId, capture_name
from esca.captures.problems import Problem
from esca.captures.reader import Capture, open_capture
from esca.captures.splits import CameraSplit, read_camera_split, split_segments, write_camera_split
from esca.captures.writer import CaptureWriter, write_capture

__all__ = [
    "AVERAGE",
    "Camera",
    "CameraSplit",
    "Capture",
    "CaptureReport",
    "CaptureWriter",
    "FrameId",
    "Problem",
    "SampleId",
    "Topology",
    "capture_name",
    "check_capture",
    "open_capture",
    "read_camera_split",
    "split_segments",
    "write_camera_split",
    "write_capture",
]
