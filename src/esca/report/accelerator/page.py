"""The accelerator's page: sections in order, in the report's own template."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

import esca
from esca.files import written_beside
from esca.report.accelerator import (
    compared,
    energy,
    layers,
    origin,
    published_section,
    roofline,
    timeline,
)
from esca.report.accelerator.gather import FrameStory
from esca.report.section import Section, render

BUILDERS = (
    layers.section,
    timeline.section,
    roofline.section,
    energy.section,
    compared.section,
    published_section.section,
    origin.section,
)


def accelerator_sections(story: FrameStory) -> tuple[Section, ...]:
    """All sections; :func:`esca.report.build_report` takes them as ``extra``."""
    return tuple(builder(story) for builder in BUILDERS)


def build_accelerator_page(story: FrameStory, out: Path, date: str = "") -> Path:
    """Write the page to ``out``, beside first and then renamed, and return ``out``."""
    title = f"{story.frame.workload} on {story.frame.config}"
    lead = render("accelerator_lead.html", story=story, frame=story.frame, energy=story.energy)
    return write_page(title, lead, accelerator_sections(story), out, date)


def write_page(
    title: str, lead: Markup, sections: Sequence[Section], out: Path, date: str = ""
) -> Path:
    """Write sections as a page of their own."""
    html = render(
        "page.html",
        title=title,
        lead=lead,
        sections=sections,
        version=esca.__version__,
        date=date,
    )
    with written_beside(out) as beside:
        beside.write_text(html, encoding="utf-8")
    return Path(out)
