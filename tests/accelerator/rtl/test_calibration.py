"""Hardware beside the models: shares of parts by hand."""

import pytest

from esca.accelerator import load_config
from esca.accelerator.area import area
from esca.accelerator.rtl.calibration import (
    compared_area,
    compared_data,
    compared_energy,
    compared_text,
    with_constants,
)
from esca.accelerator.rtl.gates import TOP, GateCount
from esca.accelerator.rtl.switching import ModuleEnergy
from esca.accelerator.technology import NOTHING, Estimate, figure, load_technology

COUNTS = {
    TOP: GateCount(10, 2, 0, 40 + 32, {"path": 1, "lane": 2}),
    "path": GateCount(0, 0, 0, 0, {"array": 1}),
    "array": GateCount(5, 1, 64, 20 + 16, {"pe": 4}),
    "pe": GateCount(3, 0, 0, 12, {}),
    "lane": GateCount(7, 3, 0, 28 + 48, {}),
}
"""A gate has four transistors here, a flip-flop 16."""


def test_area_by_hand() -> None:
    config = load_config("ecp5-8x8")
    table = load_technology("default").area
    gate, held = (figure(table, name, 28).value for name in ("nand2", "flip_flop"))
    rows = {row.part: row for row in compared_area(config, COUNTS)}
    assert rows["array"].hardware == pytest.approx(1e-6 * ((5 + 4 * 3) * gate + held))
    assert rows["epilogue"].hardware == pytest.approx(1e-6 * 2 * (7 * gate + 3 * held))
    assert rows["linear"].hardware == 0
    assert rows["control"].hardware == pytest.approx(1e-6 * (10 * gate + 2 * held))
    assert rows["array"].counted == pytest.approx(area(config).array.value)
    after = area(with_constants(config, "calibrated"))
    assert rows["control"].counted == 0
    assert rows["control"].calibrated == pytest.approx(after.blocks["control"].value)
    assert after.blocks["control"].value > 0


def test_energy_by_hand() -> None:
    pj = {TOP: 1.0, "array": 2.0, "pe": 3.0, "lane": 4.0}
    modules = [ModuleEnergy(kind, 1, 0, 0.0, Estimate(e, e, e)) for kind, e in pj.items()]
    spent = {name: Estimate(8e-6, 0, 0) for name in ("adders", "mux", "registers")}
    nothing = dict.fromkeys((*spent, "multipliers", "epilogue", "linear", "control"), NOTHING)

    def model(name: str) -> dict[str, Estimate]:
        return nothing | spent if name == "default" else nothing

    rows = compared_energy(COUNTS, modules, 1000, model)
    found = {row["part"]: row for row in compared_data(rows)}
    assert [found[part]["hardware"] for part in ("array", "epilogue", "linear", "control")] == [
        5e-3, 4e-3, 0.0, 1e-3,
    ]  # fmt: skip
    assert found["array"]["counted"] == 24e-6
    assert found["array"]["calibrated"] == 0
    lines = compared_text(rows, "uJ").splitlines()
    assert lines[1].split() == ["array", "0.005", "2.4e-05", "-100%", "0", "-100%"]
    assert lines[3].split() == ["linear", "0", "0", "-", "0", "-"]
    assert lines[-1].split()[:2] == ["all", "0.01"]
