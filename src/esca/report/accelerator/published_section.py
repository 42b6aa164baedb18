"""The idealized totals of the four mappings, the full model beside them, and the published ones."""

from esca.report.accelerator.gather import GOLDEN, FrameStory
from esca.report.accelerator.published import PUBLISHED
from esca.report.section import Section, render, short_names

LETTERS = {"dense": "dense", "compressed": "B", "phases": "C", "scatter": "D"}


def section(story: FrameStory) -> Section:
    """Three tables: idealized, full, published."""
    shown = short_names(story.layers)
    html = render(
        "accelerator_published.html",
        totals=story.mappings,
        letters=LETTERS,
        layers=[shown[name] for name in story.layers],
        published=PUBLISHED,
        cases={(case.part, case.bits, case.preset): case.frame for case in story.published},
        golden=GOLDEN,
    )
    return Section("Mappings and published figures", "accelerator-published", html)
