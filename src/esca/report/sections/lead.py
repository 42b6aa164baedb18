"""The top of the page: what was measured and what came out."""

from markupsafe import Markup

from esca.report.inputs import ReportInputs
from esca.report.section import render
from esca.report.sections.scores import scores


def lead(inputs: ReportInputs) -> Markup:
    """Facts of capture and avatar, and the key figures."""
    return render("lead.html", inputs=inputs, table=scores(inputs.rows))
