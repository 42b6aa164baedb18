from dataclasses import replace

import numpy as np
import pytest

from esca.evaluation.findings import Finding
from esca.evaluation.layers import LayerError
from esca.evaluation.rows import RegionScore, Row
from esca.evaluation.shift import ShiftRow
from esca.report.inputs import (
    AvatarFacts,
    CaptureFacts,
    ClipPictures,
    Details,
    Label,
    ReportInputs,
    SmoothedLayers,
    TexelMaps,
    ViewPictures,
)

VIEWS = {"front": 0.0, "left": -0.3, "right": -0.4}
LABELS = (Label("rtn", "w8a8"), Label("ffas-uv", "w8a8"), Label("rtn", "w4a4"), Label("uv", "w4a4"))
LOSSES = {LABELS[0]: 0.04, LABELS[1]: 0.01, LABELS[2]: 0.9, LABELS[3]: 0.5}
SIZE = (40, 30)


def row(label: Label, view: str, loss: float) -> Row:
    score = RegionScore(30 - loss, 0.9, 8.0 - loss)
    return Row(
        method=label.method,
        bits=label.bits,
        view=view,
        bytes=70_000_000 if label.method == "fp32" else 18_000_000,
        vdp=9.0 + VIEWS[view] - loss,
        vdp_fp32=10 - loss,
        psnr=38 - loss,
        psnr_fp32=float("inf") if label.method == "fp32" else 45 - loss,
        ssim=0.97 - loss / 100,
        flicker=0.4 + loss,
        flicker_fp32=loss,
        flicker_still=loss / 2,
        regions={"eyes": score} if view == "left" else {"eyes": score, "mouth": score},
    )


def layer(name: str, sqnr_db: float) -> LayerError:
    return LayerError(name, "ConvTranspose2d", 4, 8, -1.5, 2.5, -2.0, 3.0, 0.0123, sqnr_db)


def finding(failure: str, label: Label, amount: float) -> Finding:
    crop = np.full((8, 6, 3), 90, np.uint8)
    error = np.full((8, 6), 4.0)
    return Finding(failure, label.method, label.bits, "EXP 000001, left", amount, crop, crop, error)


FINDINGS = (
    finding("flicker", LABELS[2], 0.62),
    finding("flicker", LABELS[3], 1.75),
    finding("blur", LABELS[2], 0.051),
)

SHIFTS = tuple(
    ShiftRow(name, label.method, label.bits, 9.0, 40.0, share, 0.02, "up1", share > 0)
    for name, share in (("held-out", 0.0), ("light × 1.4", 0.25))
    for label in LABELS
)


@pytest.fixture(scope="session")
def inputs() -> ReportInputs:
    generator = np.random.default_rng(0)

    def frames(count: int) -> np.ndarray:
        return generator.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)

    rows = [row(Label("fp32", "fp32"), view, 0.0) for view in VIEWS]
    rows += [row(label, view, loss) for label, loss in LOSSES.items() for view in VIEWS]
    names = [f"dec.texture_decoder.upsample.{i // 2}.conv{i % 2 + 1}.deconv" for i in range(4)]
    scales = np.geomspace(0.1, 10, 12)
    smoothed = tuple(
        SmoothedLayers((name,), np.where(np.arange(12) < 3, 1, scales), np.arange(12) < 3)
        for name in names
    )
    details = tuple(
        Details(
            label,
            recipe=f"name: {label.method}",
            sha256="0" * 64,
            parts={"convolutions": 700_000, "texel_biases": 9_000_000},
            layers=[layer(name, 30.0 - i) for i, name in enumerate(names)],
            smoothed=smoothed if label.method == "ffas-uv" else (),
        )
        for label in LABELS
    )
    return ReportInputs(
        title="A demo",
        capture=CaptureFacts("m--20250101--0000--demo--GHS", ("400029", "400012"), 16, 64, 2400),
        avatar=AvatarFacts("base", 64, 64, 17_445_123, "ab" * 32),
        protocol="Against the photo, at half size.",
        rows=rows,
        views=tuple(
            ViewPictures(
                view, "frame 1 of 3", frames(1)[0], {label: frames(1)[0] for label in LABELS}
            )
            for view in VIEWS
        ),
        findings=FINDINGS,
        shifts=SHIFTS,
        clip=ClipPictures("front", 30, frames(3), {LABELS[2]: frames(3), LABELS[3]: frames(3)}),
        maps=TexelMaps(
            generator.integers(0, 256, (64, 64, 3), dtype=np.uint8),
            generator.random((64, 64)),
            (generator.random((64, 64)) > 0.5).astype(np.float32),
            generator.random((64, 64)) + 1,
        ),
        details=details,
        fp32_parts={"convolutions": 5_800_000, "texel_biases": 36_000_000},
        provenance={"Seed": "0"},
        date="2026-01-15",
    )


@pytest.fixture(scope="session")
def bare(inputs: ReportInputs) -> ReportInputs:
    """Scores alone."""
    return replace(inputs, views=(), clip=None, findings=None, shifts=(), maps=None, details=())
