"""The seeded bugs fit the sources: each right line stands there once."""

import importlib.util
import sys
from importlib import resources
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "seeded_bugs.py"


def test_each_right_line_stands_in_its_module_once(monkeypatch):
    spec = importlib.util.spec_from_file_location("seeded_bugs", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    sources = resources.files("esca.accelerator.rtl")
    assert len(module.BUGS) >= 10
    for bug in module.BUGS:
        text = (sources / f"{bug.module}.py").read_text()
        assert text.count(bug.right) == 1 and bug.right != bug.wrong, bug.name
