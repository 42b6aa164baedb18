import json

import pytest

from esca.avatars import AvatarConfig, build_avatar, save_avatar

BAD = [
    (["--to", "tflite"], "form: 'tflite', expected one of qdq, cpu"),
    (["--colours"], "need --avatar"),
    (["--encoder", "--avatar", "AVATAR"], "need --capture"),
    (["--check", "1", "--avatar", "OTHER", "--capture", "CAPTURE"], "not the checkpoint"),
]


@pytest.fixture(scope="module")
def artifact(line, tmp_path_factory):
    import sys

    from esca.cli.main import main

    out = tmp_path_factory.mktemp("export") / "a.esca"
    arguments = ["quantize", str(line.capture), str(line.avatar), str(out), "--frames", "2"]
    before, sys.argv = sys.argv, ["esca", *arguments, "--recipe", "rtn", "--bits", "w8a8"]
    try:
        main()
    except SystemExit as end:
        assert not end.code
    finally:
        sys.argv = before
    return out


def test_decoder_and_encoder_are_near_the_integers(line, artifact, tmp_path, run, capsys) -> None:
    out = tmp_path / "a.onnx"
    options = ["--avatar", line.avatar, "--capture", line.capture, "--encoder", "--frames", "2"]
    code = run(
        "export", str(artifact), "--to", "cpu", "--out", str(out), "--check", "1", "--json",
        *map(str, options),
    )  # fmt: skip
    assert code == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [entry["path"] for entry in files] == [str(out), str(tmp_path / "a.encoder.onnx")]
    for entry, label in zip(files, ("texture", "mean"), strict=True):
        found = entry["differences"]["ONNX Runtime"][label]
        assert found["mean"] / 2 ** found["bits"] < 1e-3
    assert (tmp_path / "a.encoder.esca").is_file()


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_one_line(line, artifact, tmp_path, run, capsys, options, message) -> None:
    other = tmp_path / "other.safetensors"
    save_avatar(build_avatar(AvatarConfig("base", 256, 8, 50, 3), seed=9), other)
    known = {"AVATAR": str(line.avatar), "OTHER": str(other), "CAPTURE": str(line.capture)}
    given = [known.get(option, option) for option in options]
    assert run("export", str(artifact), "--out", str(tmp_path / "x.onnx"), *given) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.onnx").exists()
