from pathlib import Path
from xml.etree import ElementTree

from esca.study.config import StudyConfig, Subject
from esca.study.document import Figure, Part, Table, html_of, markdown_of, standalone
from esca.study.page import write_study
from esca.study.plots import Mark, front


def study(*names: str) -> StudyConfig:
    return StudyConfig(
        subjects=tuple(Subject(name, Path(name), Path("a.pth")) for name in names), seeds=(0, 1)
    )


def test_a_page_has_tables_plots_and_protocol(tmp_path, result):
    results = [
        result(name, loss=loss + 0.02 * seed, seed=seed, subject=subject)
        for name, loss in (("rtn", 0.6), ("ffas<uv>", 0.2))
        for subject in ("one", "two")
        for seed in (0, 1)
    ]
    results += [
        result(f"{k:g}", k, abs(k - 75) / 100, seed, "one", "k")
        for k in (30.0, 75.0, 95.0)
        for seed in (0, 1)
    ]
    page = write_study(study("one", "two"), results, tmp_path, "2026-01-01")
    html, text = page.read_text(), (tmp_path / "study.md").read_text()
    assert "ffas&lt;uv&gt;" in html and "ffas<uv>" not in html
    for title in ("All subjects", "Subject one", "Subject two", "Exempt channels", "Published"):
        assert title in html and title in text
    assert "8.190 ± 0.010" not in text  # the spread is over both subjects, not one of them
    assert "| **8.390 ± 0.014** |" in text  # front, mean of 9 - 0.2 - 0.4 and 0.02 less
    assert "the best is 75 " in text
    assert "Against the photo." in html
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert figures == ["k-one.svg", "k-shape.svg", "rivals-losses.svg"]
    for name in figures:
        root = ElementTree.parse(tmp_path / "figures" / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert f"figures/{name}" in text


def test_rows_of_other_code_are_told(tmp_path, result):
    results = [result("a"), result("b")]
    results[1].data["code"] = "other"
    write_study(study("one"), results, tmp_path, "")
    assert "2 different versions" in (tmp_path / "study.md").read_text()


def test_blocks_are_escaped_and_marked():
    table = Table("T<", ("m", "x|y"), (("a<", "1"), ("b", "2")), 1, frozenset({(1, 1)}))
    part = Part("P", "p", ("text <b>", table))
    html = str(html_of(part))
    assert "text &lt;b&gt;" in html and '<td class="best">2</td>' in html
    text = markdown_of("Title", "Lead.", [part])
    assert "| m | x\\|y |" in text and "| b | **2** |" in text


def test_a_drawing_stands_alone():
    drawing = front("f", [(1.0, 30.0), (2.0, 40.0)], [Mark("a & b", 1.5, 35.0)], 1.5, "x", "y")
    text = standalone(drawing)
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and "--series-0" in text and "prefers-color-scheme" in text
    assert Figure("f", drawing, "c").svg is drawing
