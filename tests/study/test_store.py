from dataclasses import replace
from pathlib import Path

import pytest

from esca.captures import open_capture
from esca.errors import EscaError
from esca.evaluation import Protocol
from esca.runtime.memory import peak_bytes, reset_peak
from esca.study.store import Store, capture_digest, code_digest, number, run_key


def test_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"a": 1, "path": Path("x"), "protocol": Protocol()}
    assert run_key(facts) == run_key(dict(reversed(facts.items())))
    keys = {run_key(facts | {"a": 2}), run_key(facts), run_key(facts | {"path": Path("y")})}
    assert len(keys | {run_key(facts | {"protocol": replace(Protocol(), frames=3)})}) == 4


def test_rows_come_back(tmp_path):
    store = Store(tmp_path / "rows")
    assert not store.has("k")
    store.save("k", {"psnr": float("inf"), "vdp": 8.5})
    assert store.has("k")
    known = store.load("k")
    assert (number(known["psnr"]), number(known["vdp"])) == (float("inf"), 8.5)
    assert [path.name for path in store.folder.iterdir()] == ["k.json"]


def test_damaged_rows_are_named(tmp_path):
    store = Store(tmp_path)
    store.path("a").write_text("{")
    store.path("b").write_text("[]")
    for key in "abc":
        with pytest.raises(EscaError, match=f"{key}.json"):
            store.load(key)


def test_digest_of_a_capture_sees_its_masks(subject, tmp_path):
    capture = open_capture(subject.capture)
    assert capture_digest(capture) == capture_digest(capture)
    assert capture_digest(capture, tmp_path) != capture_digest(capture)


def test_code_digest_is_stable():
    assert code_digest() == code_digest()


def test_peak_memory_sees_an_allocation():
    reset_peak()
    before = peak_bytes()
    block = bytearray(60_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_bytes() >= before
    assert 10_000_000 < peak_bytes() < 50_000_000_000
