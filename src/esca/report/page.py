"""The page: sections in order, one template, one file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import esca
from esca.errors import EscaError
from esca.files import written_beside
from esca.report.inputs import ReportInputs
from esca.report.section import Section, render
from esca.report.sections import (
    failures,
    layers,
    lead,
    maps,
    methods,
    pictures,
    provenance,
    regions,
    shifts,
    sizes,
    smoothing,
    video,
)

BUILDERS: tuple[Callable[[ReportInputs], Section | None], ...] = (
    methods.section,
    pictures.section,
    video.section,
    regions.section,
    failures.section,
    shifts.section,
    layers.section,
    smoothing.section,
    maps.section,
    sizes.section,
    provenance.section,
)
"""What makes each section, in the order of the page; None where the inputs hold nothing for it."""


def build_report(
    inputs: ReportInputs,
    out: Path,
    extra: Sequence[Section] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page to ``out``, beside first and then renamed, and return ``out``.

    ``extra``: more sections, put before the last one (provenance). EscaError if a package of the
    extra ``report`` is missing, if there are no rows, or if arrays do not fit each other.
    """
    sections: list[Section] = []
    for index, builder in enumerate(BUILDERS):
        if builder is provenance.section:
            sections += extra
        section = builder(inputs)
        if section is not None:
            sections.append(section)
        if progress:
            progress(index + 1, len(BUILDERS))
    html = page_html(inputs, sections)
    with written_beside(out) as beside:
        beside.write_text(html, encoding="utf-8")
    return Path(out)


def page_html(inputs: ReportInputs, sections: Sequence[Section]) -> str:
    """The whole page. EscaError if two sections share an anchor."""
    anchors = [section.anchor for section in sections]
    twice = next((anchor for anchor in anchors if anchors.count(anchor) > 1), None)
    if twice:
        raise EscaError(f"report: two sections have the anchor {twice!r}")
    return render(
        "page.html",
        title=inputs.title,
        lead=lead.lead(inputs),
        sections=sections,
        version=esca.__version__,
        date=inputs.date,
    )
