import base64
import importlib
import io
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from esca.errors import EscaError
from esca.report import ReportInputs, Section, build_report
from esca.report.inputs import Label

VOID = {"meta", "link", "img", "input", "br", "hr", "path", "use", "rect"}
LOADING = {"src", "href", "xlink:href", "poster", "data", "action", "srcset"}


@dataclass
class Page(HTMLParser):
    """What the tests want to know of a page; unbalanced tags fail at once."""

    tags: Counter = field(default_factory=Counter)
    attributes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    cells: dict[str, list[str]] = field(default_factory=dict)
    regions: dict[str, list[str]] = field(default_factory=dict)
    text: str = ""
    row: list[str] | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "tr" and "data-method" in dict(attrs):
            self.row = []
            key = " ".join(dict(attrs)[f"data-{k}"] for k in ("method", "bits"))
            tables = [f["id"] for kind, f in self.attributes if kind == "table" and "id" in f]
            (self.cells if tables == ["methods-table"] else self.regions)[key] = self.row
        if tag in ("td", "th") and self.row is not None:
            self.row.append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag
        if tag == "tr":
            self.row = None

    def handle_data(self, data):
        self.text += data
        if self.row:
            self.row[-1] += data.strip()

    def values(self, tag: str, name: str) -> list[str]:
        return [found[name] for kind, found in self.attributes if kind == tag and name in found]


def parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.stack == []
    return page


@pytest.fixture(scope="module")
def page(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return parsed(build_report(inputs, tmp_path_factory.mktemp("page") / "report.html"))


def test_page_is_whole_and_alone(page: Page) -> None:
    loaded = [
        value for _, found in page.attributes for name, value in found.items() if name in LOADING
    ]
    assert loaded
    assert all(value.startswith(("data:", "#")) for value in loaded)
    assert "http:" not in page.text.replace("data:", "")
    assert not re.search(r"@import|https?://|url\((?!#)", page.text)
    ids = [found["id"] for _, found in page.attributes if "id" in found]
    assert len(ids) == len(set(ids))
    targets = {v[1:] for v in page.values("a", "href")}
    assert targets == set(page.values("section", "id"))
    assert targets == {
        *("methods", "pictures", "video", "regions", "failures", "shifts"),
        *("layers", "smoothing", "maps", "sizes", "provenance"),
    }
    uses = [found["xlink:href"][1:] for _, found in page.attributes if "xlink:href" in found]
    assert uses
    assert set(uses) <= set(ids)


def test_every_method_and_view_has_its_numbers(page: Page) -> None:
    fp32 = ["fp32", "9.000", "8.700", "8.600", "8.767", "–", "38.00", "0.9700", "0.400"]
    assert page.cells["fp32 fp32"] == [*fp32, "30.00", "30.00", "70.00"]
    coarse = ["uv", "8.500", "8.200", "8.100", "8.267", "−0.500", "37.50", "0.9650", "0.900"]
    assert page.cells["uv w4a4"] == [*coarse, "29.50", "29.50", "18.00"]
    assert set(page.cells) == {"fp32 fp32", "rtn w8a8", "ffas-uv w8a8", "rtn w4a4", "uv w4a4"}
    best = [
        found for tag, found in page.attributes if tag == "td" and "best" in found.get("class", "")
    ]
    assert len(best) == 2 * (9 + 6)
    assert "Against the photo, at half size." in page.text
    assert "six views" not in page.text


def test_regions_and_flicker_have_their_numbers(page: Page) -> None:
    assert page.regions["fp32 fp32"] == [
        *("fp32", "8.000", "30.00", "8.000", "30.00", "0.000", "0.000")
    ]
    assert page.regions["uv w4a4"] == [
        *("uv", "7.500", "29.50", "7.500", "29.50", "0.500", "0.250")
    ]
    assert set(page.regions) == set(page.cells)


def test_the_gallery_says_what_is_above_the_limit_and_what_is_not(page: Page) -> None:
    spots = [
        f for kind, f in page.attributes if kind == "div" and f.get("class", "").startswith("spot")
    ]
    assert [f["class"] for f in spots if f["class"] != "spots"] == ["spot over", "spot", "spot"]
    text = " ".join(page.text.split())
    assert "Above the limit: uv W4A4." in text
    assert text.count("No method is above the limit.") == 2
    assert "1.75 levels" in text
    assert "5.1 % lost" in text
    assert "Nothing at all was found in rtn W8A8, ffas-uv W8A8." in text
    assert "Nothing at all was found in rtn W8A8, ffas-uv W8A8, rtn W4A4, uv W4A4." in text


def test_every_shift_and_method_has_a_line(page: Page) -> None:
    text = " ".join(page.text.split())
    line = "uv W4A4 9.000 40.00 {} 2.00 % up1 {}"
    assert line.format("0", "no").replace(" ", "") in text.replace(" ", "")
    assert line.format("25.00 %", "yes").replace(" ", "") in text.replace(" ", "")


def test_pictures_decode_to_their_size(page: Page) -> None:
    pictures = [found for tag, found in page.attributes if tag == "img"]
    assert len(pictures) == 3 * (1 + 2 * 4) + 4 + 3 * 3
    for found in pictures:
        kind, content = found["src"].split(";base64,")
        assert kind == "data:image/webp"
        image = Image.open(io.BytesIO(base64.b64decode(content)))
        assert image.size == (int(found["width"]), int(found["height"]))
        assert image.size in {(30, 40), (64, 64), (6, 8)}
        assert found["alt"]


def test_video_decodes_to_its_frames(page: Page) -> None:
    (source,) = page.values("video", "src")
    content = base64.b64decode(source.removeprefix("data:video/webm;base64,"))
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3
    assert (frames[0].width, frames[0].height, frames[0].format.name) == (120, 40, "yuv420p")


def test_choosers_start_with_one_choice_each(page: Page) -> None:
    radios = [found for tag, found in page.attributes if tag == "input"]
    names = Counter(found["name"] for found in radios)
    assert names == {"pic": 4, "layer": 4, "smooth": 1}
    assert [f["id"] for f in radios if "checked" in f] == ["pic-3", "layer-3", "smooth-0"]
    assert set(page.values("label", "for")) == {found["id"] for found in radios}


def test_hostile_text_stays_text(inputs: ReportInputs, tmp_path: Path) -> None:
    evil = '<script>alert("$x$")</script>"\'&'
    rows = [replace(row, method=evil) if row.method == "uv" else row for row in inputs.rows]
    label = Label(evil, "w4a4")
    details = [replace(inputs.details[3], label=label, recipe=evil)]
    details[0] = replace(details[0], layers=[replace(details[0].layers[0], name=evil)])
    views = [replace(view, view=evil, methods={label: view.fp32}) for view in inputs.views[:1]]
    hostile = replace(
        inputs,
        clip=None,
        title=evil,
        rows=rows,
        details=details,
        views=views,
        provenance={evil: evil},
    )
    page = parsed(build_report(hostile, tmp_path / "report.html"))
    assert page.tags["script"] == 1
    assert evil in page.text
    assert f"{evil} w4a4" in page.cells


def test_scores_alone_make_a_page(bare: ReportInputs, tmp_path: Path) -> None:
    page = parsed(build_report(bare, tmp_path / "report.html"))
    assert page.values("section", "id") == ["methods", "regions", "provenance"]
    assert page.tags["img"] == 0


def test_more_sections_come_before_the_last(bare: ReportInputs, tmp_path: Path) -> None:
    more = Section("Accelerator <1>", "accelerator", Markup("<p>cycles</p>"))
    page = parsed(build_report(bare, tmp_path / "report.html", [more]))
    assert page.values("section", "id") == ["methods", "regions", "accelerator", "provenance"]
    assert "Accelerator <1>" in page.text


def test_same_inputs_make_the_same_page(bare: ReportInputs, tmp_path: Path) -> None:
    first, second = (build_report(bare, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_progress_counts_sections(bare: ReportInputs, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    build_report(bare, tmp_path / "report.html", progress=lambda *step: seen.append(step))
    assert seen == [(index + 1, 11) for index in range(11)]


def small(pictures: np.ndarray) -> np.ndarray:
    return pictures[:-1]


def _faulty(inputs: ReportInputs) -> dict[str, tuple[ReportInputs, str]]:
    view, details, maps = inputs.views[0], inputs.details[1], inputs.maps
    label = next(iter(view.methods))
    bent = replace(view, methods={**view.methods, label: small(view.fp32)})
    layers = [replace(details.smoothed[0], exempt=np.zeros(3, bool))]
    return {
        "no rows": (replace(inputs, rows=[]), "rows of the method 'fp32'"),
        "shape": (replace(inputs, views=[bent]), "expected one shape"),
        "type": (replace(inputs, views=[replace(view, fp32=view.fp32 / 255)]), "uint8"),
        "absent": (
            replace(inputs, views=[view, replace(inputs.views[1], methods={})]),
            "view 'left' has no picture of rtn W8A8",
        ),
        "clip": (replace(inputs, clip=replace(inputs.clip, fp32=view.fp32[None])), "one shape"),
        "map": (replace(inputs, maps=replace(maps, face=np.zeros((4, 5)))), "map 'face'"),
        "smoothing": (
            replace(inputs, details=[replace(details, smoothed=layers)]),
            "smoothing of ffas-uv W8A8",
        ),
    }


@pytest.mark.parametrize("case", ["no rows", "shape", "type", "absent", "clip", "map", "smoothing"])
def test_failures_name_the_fault_and_leave_nothing(
    inputs: ReportInputs, tmp_path: Path, case: str
) -> None:
    faulty, message = _faulty(inputs)[case]
    with pytest.raises(EscaError, match=re.escape(message)):
        build_report(faulty, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_failure_while_writing_leaves_the_old_page(
    bare: ReportInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", broken)
    with pytest.raises(OSError, match="disk full"):
        build_report(bare, target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_anchors_are_unique(bare: ReportInputs, tmp_path: Path) -> None:
    with pytest.raises(EscaError, match="anchor 'methods'"):
        build_report(bare, tmp_path / "r.html", [Section("Again", "methods", Markup())])


def test_missing_package_names_the_extra(
    bare: ReportInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(EscaError, match=r"'matplotlib'.*pip install esca\[report\]"):
        build_report(bare, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
