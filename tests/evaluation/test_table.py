import json
import math

import pytest

from esca.evaluation import Protocol, RegionScore, Row, as_json, as_text, mean_rows
from esca.evaluation.table import combined


def row(method: str = "rtn", bits: str = "W4A4", view: str = "front", vdp: float = 8.0) -> Row:
    return Row(
        method=method,
        bits=bits,
        view=view,
        bytes=2_500_000,
        vdp=vdp,
        vdp_fp32=vdp + 1,
        psnr=30.0 + vdp,
        psnr_fp32=math.inf if method == "fp32" else 40.0,
        ssim=0.9,
        flicker=0.5,
        flicker_fp32=0.0 if method == "fp32" else 0.7,
        flicker_still=0.0 if method == "fp32" else 0.3,
        regions={"eyes": RegionScore(20.0, 0.8, vdp - 1)},
    )


ROWS = (
    row("fp32", "fp32", "front", 9.0),
    row("fp32", "fp32", "left", 8.0),
    row("rtn", "W4A4", "front", 7.0),
    row("rtn", "W4A4", "left", 6.0),
    row("rtn", "W8A8", "front", 8.5),
    row("rtn", "W8A8", "left", 8.0),
)


def test_means_are_taken_over_the_views_of_a_method_and_bits() -> None:
    means = mean_rows(ROWS)
    assert [(m.method, m.bits, m.view, m.vdp) for m in means] == [
        ("fp32", "fp32", "mean", 8.5),
        ("rtn", "W4A4", "mean", 6.5),
        ("rtn", "W8A8", "mean", 8.25),
    ]
    assert means[1].regions["eyes"].vdp == 5.5
    assert means[1].bytes == 2_500_000


def test_clips_count_by_their_frames() -> None:
    both = combined([(10, row(vdp=6.0)), (30, row(vdp=8.0))])
    assert both.vdp == pytest.approx(7.5)
    assert both.regions["eyes"].vdp == pytest.approx(6.5)


def test_json_has_the_documented_keys_and_no_infinity() -> None:
    data = json.loads(json.dumps(as_json(ROWS, Protocol(reference="tracked")), allow_nan=False))
    assert set(data) == {"protocol", "rows"}
    assert "tracked mesh" in data["protocol"]["description"]
    assert data["protocol"]["views"]["front"] == "400029"
    assert len(data["rows"]) == 6 + 3
    first = data["rows"][0]
    assert set(first) == {
        *("method", "bits", "view", "bytes", "vdp", "vdp_fp32"),
        *("psnr", "psnr_fp32", "ssim", "flicker", "flicker_fp32", "flicker_still", "regions"),
    }
    assert first["psnr_fp32"] is None
    assert first["regions"] == {"eyes": {"psnr": 20.0, "ssim": 0.8, "vdp": 8.0}}
    assert data["rows"][-1]["view"] == "mean"


def test_the_text_is_aligned_and_says_the_protocol() -> None:
    text = as_text(ROWS, Protocol(reference="photo"))
    lines = text.splitlines()
    table = lines[:5]
    assert len({len(line) for line in table}) == 1
    assert table[0].split()[:4] == ["method", "bits", "vdp", "front"]
    assert table[3].split() == [
        *("rtn", "W4A4", "7.000", "6.000", "6.500", "7.500", "36.50", "40.00"),
        *("0.9000", "0.50", "2.50"),
    ]
    second = lines[6:11]
    assert len({len(line) for line in second}) == 1
    assert second[0].split()[2:6] == ["vdp", "eyes", "psnr", "eyes"]
    assert second[0].endswith("flicker to fp32: moving  still")
    assert second[3].split() == ["rtn", "W4A4", "5.500", "20.00", "0.70", "0.30"]
    assert " - " in table[2]
    assert "Reference: the photo" in text
