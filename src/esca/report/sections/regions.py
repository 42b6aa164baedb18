"""Eyes, mouth and nose by themselves, and how steady the picture is."""

from esca.evaluation.still import NOISE
from esca.report.inputs import ReportInputs
from esca.report.section import Section, render
from esca.report.sections.scores import region_columns, scores


def section(inputs: ReportInputs) -> Section:
    """Scores of regions and flicker, a line for each method."""
    table = scores(inputs.rows)
    html = render("regions.html", table=table, columns=region_columns(table), noise=NOISE)
    return Section("Regions and time", "regions", html)
