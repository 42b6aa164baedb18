import re
from pathlib import Path

import pytest

from esca.accelerator import Span, avatar_workload, load_config
from esca.accelerator.explore import explore, load_sweep
from esca.report.accelerator import FrameStory, build_accelerator_page, build_pareto_page, tell
from esca.report.accelerator.pareto import describe
from esca.report.accelerator.timeline import merged

pytest.importorskip("matplotlib")

TOTALS = {"dense": 25_427_968, "compressed": 6_356_992, "phases": 3_211_264, "scatter": 2_949_120}


@pytest.fixture(scope="module")
def story() -> FrameStory:
    return tell(avatar_workload("warp", 256, "decoder", "w4a4"), load_config("esca-16x16"))


def test_the_table_of_mappings_adds_up(story: FrameStory) -> None:
    assert {made.mapping: sum(made.ideal) for made in story.mappings} == TOTALS
    for made in story.mappings:
        lost = made.stalled + made.waited + made.tail
        assert made.rows + lost == made.frame.cycles
        assert min(made.stalled, made.waited, made.tail) >= 0


def test_the_page_is_one_file_and_says_what_the_model_says(
    story: FrameStory, tmp_path: Path
) -> None:
    html = build_accelerator_page(story, tmp_path / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', html)
    assert f"{story.frame.latency_ms:.3f} ms" in html
    assert story.frame.config_sha256 in html and story.energy.technology_sha256 in html
    assert len(re.findall('<svg class="plot"', html)) == 5
    for anchor in ("layers", "timeline", "roofline", "energy", "presets", "published"):
        assert f'id="accelerator-{anchor}"' in html
    assert "12.51" in html and "3.13" in html


def test_pieces_of_a_timeline_merge_across_small_gaps() -> None:
    spans = [Span("array", layer, "x", start, 3) for layer, start in (("a", 0), ("a", 4), ("b", 3))]
    spans.append(Span("array", "a", "x", 20, 5))
    assert merged(spans, 1) == {"a": [(0, 7), (20, 25)], "b": [(3, 6)]}


def test_a_page_of_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "name: tiny\nbase: edge-8x8\n"
        "workload: {avatar: base, texture: 256, part: texture, bits: w4a4}\n"
        "axes:\n  array: [{array.rows: 8, array.columns: 8}, {array.rows: 4, array.columns: 8}]\n"
    )
    sweep = load_sweep(str(path))
    page = build_pareto_page(sweep, explore(sweep, tmp_path / "r.jsonl"), tmp_path / "p.html")
    assert page.read_text().count('<svg class="plot"') == 1
    assert describe(sweep, "array", 1) == "4×8"
