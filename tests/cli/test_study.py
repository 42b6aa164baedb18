"""Options of ``esca study`` and ``esca mix`` that cannot be."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected CAPTURE and AVATAR"),
        (("cap",), "expected CAPTURE and AVATAR"),
        (("cap", "a.pth", "--sweep", "q"), "--sweep: 'q'"),
        (("cap", "a.pth", "--points", "1,x"), "--points: '1,x'"),
        (("cap", "a.pth", "--file", "s.yaml"), "--file: expected no other"),
        (("--file", "none.yaml"), "none.yaml: no such study file"),
        (("cap", "a.pth", "--seed", "1", "--seed", "1"), "'1' is there twice"),
    ],
)
def test_study_says_what_was_expected(
    run: Callable[..., int], capsys: pytest.CaptureFixture, tmp_path, arguments, message
):
    assert run("study", *arguments, "--out", str(tmp_path)) == 2
    assert message in capsys.readouterr().err


def test_mix_names_its_costs(run: Callable[..., int], capsys: pytest.CaptureFixture, tmp_path):
    assert run("mix", "cap", "a.pth", "--out", str(tmp_path), "--cost", "q") == 2
    assert "--cost: 'q', expected one of macs, bytes" in capsys.readouterr().err
