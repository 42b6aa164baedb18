"""Where the page's numbers come from: recipes, seeds, versions and hashes."""

from esca.report.inputs import ReportInputs
from esca.report.section import Section, render


def section(inputs: ReportInputs) -> Section:
    """Facts, hashes and recipes."""
    return Section("Provenance", "provenance", render("provenance.html", inputs=inputs))
