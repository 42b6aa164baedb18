"""Studies: many recipes on many subjects and seeds, and bits of layers under a budget."""

from esca.study.config import StudyConfig, Subject, load_study
from esca.study.mixed import Mixed, mix
from esca.study.page import write_study
from esca.study.study import run_study
from esca.study.sweeps import SweepName

__all__ = [
    "Mixed",
    "StudyConfig",
    "Subject",
    "SweepName",
    "load_study",
    "mix",
    "run_study",
    "write_study",
]
