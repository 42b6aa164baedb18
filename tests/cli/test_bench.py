import json

import pytest

BAD = [
    ([], "expected artifacts and their --avatar, or --variant"),
    (["--variant", "base", "--avatar", "a.pth"], "expected artifacts and their --avatar"),
    (["--variant", "cube"], "variant: expected one of"),
    (["--variant", "base", "--texture", "300"], "texture_size: expected 256, 512 or 1024"),
    (["--variant", "base", "--threads", "0"], "threads: 0, expected 1 or more"),
]


def test_a_table_is_written(tmp_path, run, capsys) -> None:
    out = tmp_path / "table"
    options = ["--texture", "256", "--threads", "1", "--rounds", "3", "--no-memory"]
    assert run("bench", "--variant", "non", *options, "--out", str(out)) == 0
    assert "| OpenVINO | W4A4 | cpu |" in capsys.readouterr().out
    data = json.loads((tmp_path / "table.json").read_text())
    assert {row["bits"] for row in data["rows"]} == {"fp32", "W8A8", "W4A4"}
    assert (tmp_path / "table.md").read_text().count("\n| ") == len(data["rows"]) + 1


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_one_line(run, capsys, options, message) -> None:
    assert run("bench", *options) == 2
    assert message in " ".join(capsys.readouterr().err.split())
