"""A small subject, recorded and given an untrained avatar, shared by the command-line tests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from esca.avatars import AvatarConfig, build_avatar, save_avatar
from esca.captures import open_capture
from esca.cli.main import main


@dataclass(frozen=True)
class Line:
    """Where the shared files are."""

    capture: Path
    avatar: Path


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder = tmp_path_factory.mktemp("line")
    capture = folder / "m--20260101--0000--tiny--GHS"
    _run("capture", "synth", str(capture), "--texture", "256", "--frames", "14", "--cameras", "3",
        "--vertices", "1900", "--workers", "1")  # fmt: skip
    opened = open_capture(capture)
    avatar = build_avatar(AvatarConfig("base", 256, 16, opened.vertex_count, 3), seed=0)
    save_avatar(avatar, folder / "avatar.safetensors")
    return Line(capture, folder / "avatar.safetensors")


@pytest.fixture
def run() -> Callable[..., int]:
    """``run("capture", "check", ...)`` -> exit code."""
    return _run


def _run(*arguments: str) -> int:
    """The exit code of ``esca ARGUMENTS``."""
    before, sys.argv = sys.argv, ["esca", *arguments]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0
