"""The report: one self-contained HTML page about a quantized avatar."""

from esca.report.inputs import ReportInputs
from esca.report.page import build_report
from esca.report.section import Section

__all__ = ["ReportInputs", "Section", "build_report"]
