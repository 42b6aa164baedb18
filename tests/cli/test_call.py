"""``esca call``: a whole call of three processes, and what is said about wrong options."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from esca.avatars import AvatarConfig, build_avatar, load_avatar, save_avatar
from esca.errors import EscaError
from esca.telepresence.ends import SendingFiles, prepare_source

from .conftest import Line, _run


@pytest.fixture(scope="module")
def artifact(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("call") / "tiny.esca"
    assert _run("quantize", str(line.capture), str(line.avatar), str(path), "--recipe", "rtn",
               "--bits", "w8a8", "--frames", "4") == 0  # fmt: skip
    return path


def test_loopback_on_a_bad_network_with_a_restart(
    line: Line, artifact: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    code = run(
        "call", "--loopback", "--artifact", str(artifact), "--capture", str(line.capture),
        "--avatar", str(line.avatar), "--seconds", "3", "--rate", "10", "--rows", "48",
        "--loss", "0.1", "--garbage", "0.3", "--jitter-ms", "10", "--backend", "integer",
        "--restart-receiver-at", "1", "--json",
    )  # fmt: skip
    assert code == 0
    data = json.loads(capfd.readouterr().out)
    for key in [
        "rate_hz",
        "latency_ms",
        "bitrate_kbps",
        "sent",
        "received",
        "concealed",
        "rejected",
        "frame_time_ms",
        "drops",
    ]:
        assert key in data, key
    assert set(data["latency_ms"]) == {"p50", "p95", "p99"}
    _check_accounts(data)
    assert data["sent"] + data["sender"]["unsent"] + data["sender"]["skipped"] >= 30
    assert data["network"]["taken"] >= data["sent"]
    assert 0 < data["bitrate_kbps"] <= 150
    assert "restart" in data


def _check_accounts(data: dict[str, Any]) -> None:
    counts = data["counts"]
    assert counts["datagrams"] == counts["knocks"] + counts["media"] + data["rejected"]
    arrived = ("kept", "late", "early", "twice", "unreferenced", "undecodable")
    assert counts["media"] == sum(counts[name] for name in arrived)
    assert counts["kept"] == sum(counts[n] for n in ("played", "stale", "discarded", "waiting"))
    assert counts["decoded"] == counts["played"] + counts["concealed"] + counts["trailing"]
    assert counts["decoded"] == counts["shown"] + counts["displaced"] + counts["undrawn"]
    assert data["received"] == counts["media"] <= data["sent"]


def test_key_and_persona_are_written(
    line: Line, artifact: Path, run: Callable[..., int], tmp_path: Path
) -> None:
    key, persona = tmp_path / "key", tmp_path / "persona"
    assert run("call", "key", str(key)) == 0
    assert len(bytes.fromhex(key.read_text().strip())) == 32
    assert key.stat().st_mode & 0o077 == 0
    files = ("--capture", line.capture, "--avatar", line.avatar, "--artifact", artifact)
    assert run("call", "persona", *map(str, files), str(persona)) == 0
    assert persona.stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seconds", "1"), "give --loopback"),
        (("--loopback",), "needs --artifact and --capture"),
        (("--loopback", "--loss", "2"), "loss: 2.0, expected a share"),
        (("--loopback", "--rate", "0"), "rate: 0.0 Hz"),
        (("--loopback", "--kbps", "40"), "bandwidth: 40 kbit/s"),
        (("--loopback", "--backend", "abacus"), "abacus"),
        (("--loopback", "--conceal", "guess"), "guess"),
        (("--loopback", "--encode", "never"), "never"),
        (("--loopback", "--restart-receiver-at", "99"), "restart: at 99.0 s"),
        (("--loopback", "--camera", "nobody"), "nobody"),
    ],
)
def test_bad_options(
    options: tuple[str, ...],
    message: str,
    line: Line,
    artifact: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = (
        "--artifact",
        str(artifact),
        "--capture",
        str(line.capture),
        "--avatar",
        str(line.avatar),
    )
    given = files if len(options) > 1 and options[0] == "--loopback" else ()
    assert run("call", *options, *given) == 2
    assert message in capsys.readouterr().err


def test_bad_ends(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    run("call", "key", str(key))
    files = ("--artifact", "none", "--persona", "none", "--key", str(key))
    assert run("call", "receive", "here", *files) == 2
    assert "expected HOST:PORT" in capsys.readouterr().err
    assert run("call", "receive", "127.0.0.1:0", *files) == 2
    assert "none: no such persona" in capsys.readouterr().err


def test_live_and_ahead_agree_at_recorded_frames(
    line: Line, artifact: Path, run: Callable[..., int], tmp_path: Path
) -> None:
    persona = tmp_path / "persona"
    files = ("--capture", line.capture, "--avatar", line.avatar, "--artifact", artifact)
    assert run("call", "persona", *map(str, files), str(persona)) == 0
    (live, known), (ahead, _) = (
        prepare_source(SendingFiles(line.capture, line.avatar, persona, encode, ("EXP_ROM07",)))
        for encode in ("live", "ahead")
    )
    for time in (0.0, 1 / 30, 7.0):
        assert torch.allclose(live.code(time), ahead.code(time), atol=1e-4)
    between = ahead.code(0.5 / 30)
    assert torch.allclose(between, (ahead.code(0.0) + ahead.code(1 / 30)) / 2, atol=1e-5)
    assert len(known.codes.centre) == len(between)


def test_files_of_another_subject_are_refused(
    line: Line, artifact: Path, run: Callable[..., int], tmp_path: Path
) -> None:
    persona = tmp_path / "persona"
    files = ("--capture", line.capture, "--avatar", line.avatar, "--artifact", artifact)
    run("call", "persona", *map(str, files), str(persona))
    other = tmp_path / "other.safetensors"
    vertices = load_avatar(line.avatar).config.vertices
    save_avatar(build_avatar(AvatarConfig("base", 256, 8, vertices, 3), seed=0), other)
    with pytest.raises(EscaError, match="codes of 16, the avatar of 8"):
        prepare_source(SendingFiles(line.capture, other, persona))
    with pytest.raises(EscaError, match=r"no frames of segments XYZ\*"):
        prepare_source(SendingFiles(line.capture, line.avatar, persona, segments=("XYZ",)))
