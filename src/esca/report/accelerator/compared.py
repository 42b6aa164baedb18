"""The same frame on the other configurations."""

from esca.report.accelerator.gather import FrameStory, dense_of
from esca.report.section import Section, render


def section(story: FrameStory) -> Section:
    """A line a configuration."""
    html = render(
        "accelerator_compared.html", compared=story.compared, dense=dense_of(story.compared)
    )
    return Section("Configurations", "accelerator-presets", html)
