"""Running hardware tools."""

from pathlib import Path

import pytest

from esca.accelerator.rtl.tools import NEXTPNR, run_nextpnr
from esca.errors import EscaError


def _tool(folder: Path, text: str) -> str:
    path = folder / "nextpnr"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_another_nextpnr_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in the folder, with what was asked for and what all runs have."""
    monkeypatch.setenv(NEXTPNR, _tool(tmp_path, 'printf "%s\\n" "$@" > given'))
    run_nextpnr(["--85k", "--seed", "3"], tmp_path)
    given = (tmp_path / "given").read_text().split()
    assert given[:3] == ["--85k", "--seed", "3"]
    assert {"--timing-allow-fail", "--quiet"} < set(given)


def test_its_first_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEXTPNR, _tool(tmp_path, "echo Info: x; echo ERROR: no room; exit 1"))
    with pytest.raises(EscaError, match=r"nextpnr: ERROR: no room$"):
        run_nextpnr([], tmp_path)


def test_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEXTPNR, str(tmp_path / "none"))
    with pytest.raises(EscaError, match="none was not found"):
        run_nextpnr([], tmp_path)
