"""Where the page's figures come from."""

import yaml

from esca.accelerator import config_data
from esca.report.accelerator.gather import FrameStory
from esca.report.section import Section, render


def section(story: FrameStory) -> Section:
    """Hashes and the configuration itself."""
    html = render(
        "accelerator_origin.html",
        frame=story.frame,
        energy=story.energy,
        configuration=yaml.safe_dump(config_data(story.frame.setup), sort_keys=False),
    )
    return Section("Provenance", "accelerator-provenance", html)
