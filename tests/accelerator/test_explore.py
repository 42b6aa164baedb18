import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.accelerator import load_config, time_workload
from esca.accelerator.explore import (
    Row,
    Sweep,
    designs,
    explore,
    load_sweep,
    pareto_front,
    read_rows,
)
from esca.errors import EscaError

TINY = """
name: tiny
base: edge-8x8
workload: {avatar: base, texture: 256, part: texture, bits: w4a4}
axes:
  mappings:
    - {mappings: [compressed], array.mux_width: 1}
    - {mappings: [compressed, phases]}
  buffers:
    - {buffers.weight_bytes: 65536}
    - {buffers.weight_bytes: 2048}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Sweep:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return load_sweep(str(path))


def test_rows_are_what_the_model_says(tiny: Sweep, tmp_path: Path) -> None:
    rows = explore(tiny, tmp_path / "rows.jsonl")
    assert [dict(row.choices) for row in rows] == [
        {"mappings": m, "buffers": b} for m in (0, 1) for b in (0, 1)
    ]
    base = load_config("edge-8x8")
    made = replace(base, name="tiny", mappings=("compressed", "phases"))
    frame = time_workload(tiny.workload.build(), made)
    assert (rows[2].latency_ms, rows[2].config_sha256) == (frame.latency_ms, frame.config_sha256)
    assert rows[1].error and "buffers.weight_bytes is 2048" in rows[1].error
    assert rows[1].objectives is None


def test_a_run_goes_on_where_it_stopped(tiny: Sweep, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = explore(tiny, file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]) + lines[2][:20])
    assert len(read_rows(file)) == 2
    ticks: list[int] = []
    assert explore(tiny, file, progress=lambda done, total: ticks.append(done)) == rows
    assert ticks == [3, 4]
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        json.loads(line) for line in lines
    ]


def test_rows_of_other_constants_are_computed_again(tiny: Sweep, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = explore(tiny, file)
    old = [json.loads(line) | {"technology_sha256": "0"} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row | {"energy_uj": 1.0}) + "\n" for row in old))
    assert explore(tiny, file) == rows
    assert len(file.read_text().splitlines()) == 2 * len(rows)


def row(*objectives: float) -> Row:
    return Row("x", "w", {}, *objectives[:2], 0.0, 0.0, objectives[2])


@given(st.lists(st.tuples(*[st.integers(1, 4)] * 3), max_size=12))
def test_the_front_is_what_brute_force_finds(points: list[tuple[int, int, int]]) -> None:
    def beaten(p: tuple[int, ...]) -> bool:
        return any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)

    front = [made.objectives for made in pareto_front([row(*p) for p in points])]
    assert sorted(front) == sorted({p for p in points if not beaten(p)})
    assert pareto_front([Row("x", "w", {}, error="no")]) == ()


def test_the_shipped_sweep_is_valid() -> None:
    made = designs(load_sweep("default"))
    assert len({design.config for design in made}) == len(made) == 144


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("buffers.weight_bytes: 2048", "buffers.wait_bytes: 2", "axes.buffers.1: 'buffers.wait_b"),
        ("buffers.weight_bytes: 2048", "buffers.weight_bytes: 0", "buffers.weight_bytes: .*got 0"),
        ("name: tiny", "nom: tiny", "tiny.yaml: name: Field required"),
        ("avatar: base", "avatar: basse", "avatar: 'basse'"),
        ("axes:", "axes: [", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace(old, new))
    with pytest.raises(EscaError, match=message):
        explore(load_sweep(str(path)), tmp_path / "rows.jsonl")


def test_other_files_are_refused(tiny: Sweep, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(EscaError, match=r"rows.jsonl: line 1 is no row"):
        explore(tiny, tmp_path / "rows.jsonl")
    with pytest.raises(EscaError, match="sweep: 'all', expected default"):
        load_sweep("all")
    with pytest.raises(EscaError, match="workers: 0, expected 1"):
        explore(tiny, tmp_path / "r.jsonl", workers=0)
