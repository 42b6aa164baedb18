"""The accelerator's page: one frame on one configuration, and what it is compared with."""

from esca.report.accelerator.gather import FrameStory, tell
from esca.report.accelerator.page import accelerator_sections, build_accelerator_page
from esca.report.accelerator.pareto import build_pareto_page

__all__ = [
    "FrameStory",
    "accelerator_sections",
    "build_accelerator_page",
    "build_pareto_page",
    "tell",
]
