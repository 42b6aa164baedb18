from pathlib import Path

import pytest
import torch

from esca.avatars import AvatarConfig
from esca.errors import EscaError
from esca.runtime.backends.bench import Candidate, Measured, example, measure
from esca.runtime.backends.prepare import Subject, candidates, random_subject
from esca.runtime.backends.table import bench_data, bench_text

CONFIG = AvatarConfig("base", 256, 4, 20, 2)


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    return random_subject(CONFIG, tmp_path_factory.mktemp("bench"))


def test_candidates_cover_engines_and_bits(subject, tmp_path) -> None:
    found = candidates(subject, tmp_path, 1)
    names = {(one.engine, one.bits) for one in found}
    assert names >= {
        ("torch", "fp32"),
        *((engine, bits) for engine in ("onnxruntime", "openvino") for bits in ("fp32", "W4A4")),
        ("integer", "W8A8"),
    }
    frame = example(4)
    float_texture = found[0].open().decode(*frame)[0]
    for one in found:
        texture, mesh = one.open().decode(*frame)
        assert texture.shape == (1, 3, 256, 256)
        assert mesh.shape == (1, 60)
        if one.bits == "fp32":
            torch.testing.assert_close(texture, float_texture, rtol=1e-3, atol=1e-4)


def test_a_checkpoint_of_another_size_is_refused(subject, tmp_path) -> None:
    other = random_subject(AvatarConfig("base", 256, 5, 20, 2), tmp_path)
    with pytest.raises(EscaError, match=r"w8a8.esca: latent is 4, the checkpoint's is 5"):
        candidates(Subject(other.checkpoint, subject.artifacts), tmp_path, 1)


class _Slow:
    """Counts its turns; its clock is the test's."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def decode(self, z, view):
        self.log.append(self.name)
        return z, view


def test_turns_are_taken_and_the_reference_joins_few(monkeypatch) -> None:
    log: list[str] = []
    monkeypatch.setattr(Candidate, "open", lambda self: _Slow(log, self.engine))
    line = [Candidate(e, "fp32", "", Path("x"), 1) for e in ("torch", "integer", "openvino")]
    rows = measure(line, 4, rounds=5, memory=False, slow_rounds=3)
    assert [row.runs for row in rows] == [5, 3, 5]
    assert log[:6] == ["torch", "torch", "integer", "integer", "openvino", "openvino"]
    assert log[-4:] == ["torch", "torch", "openvino", "openvino"]
    assert all(row.low <= row.median <= row.high for row in rows)
    with pytest.raises(EscaError, match="rounds: 2, expected 3 or more"):
        measure(line, 4, rounds=2)


def test_memory_grows_with_the_decoder(subject) -> None:
    pytest.importorskip("resource")
    small = Candidate("torch", "fp32", "", subject.checkpoint, 1)
    (row,) = measure([small], 4, rounds=3)
    assert row.memory is not None
    assert 0 < row.memory < 500e6


def test_the_table_compares_with_torch() -> None:
    line = [
        Measured(Candidate("torch", "fp32", "a", Path("x"), 2), 50.0, 49.0, 52.0, 9, 30_000_000),
        Measured(Candidate("openvino", "W8A8", "cpu", Path("x"), 2), 10.0, 9.5, 11.0, 9, None),
    ]
    about = {"name": "base", "texture": 1024}
    data = bench_data(line, about)
    assert [row["speedup"] for row in data["rows"]] == [1.0, 5.0]
    text = bench_text(line, about)
    assert "| OpenVINO | W8A8 | cpu | 10.0 | 9.5 to 11.0 |  | 5.00x |" in text
    assert "2 threads" in text
    assert data["machine"]["processor"]
