import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from esca.accelerator.explore import load_sweep
from esca.accelerator.technology import load_technology
from esca.errors import EscaError
from esca.settings import STRICT, Settings


@dataclass(frozen=True, config=STRICT)
class Inner:
    count: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, config=STRICT)
class Tea:
    name: str
    cups: tuple[Inner, ...] = ()


@pytest.fixture
def teas(tmp_path: Path) -> Settings[Tea]:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in ("assam", "sencha", "mate"):
        (shipped / f"{name}.yaml").write_text(f"name: {name}")
    return Settings(Tea, "tea", shipped, ("sencha", "gone", "sencha"))


def test_shipped_files_by_name_and_own_ones_by_path(teas: Settings[Tea], tmp_path: Path) -> None:
    assert teas.names() == ("sencha", "assam", "mate")
    assert teas.load("mate", "drink") == Tea("mate")
    own = tmp_path / "own.yaml"
    own.write_text("name: own\ncups: [{count: 2}]")
    assert teas.load(own, "drink") == teas.read(own) == Tea("own", (Inner(2),))
    with pytest.raises(EscaError, match=r"^drink: 'milk' is none of sencha, assam, mate and not"):
        teas.load("milk", "drink")


def test_what_extends_a_shipped_file_says_only_what_differs(teas: Settings[Tea]) -> None:
    assert teas.parse("extends: mate", "x") == Tea("mate")
    assert teas.parse("{extends: mate, cups: [{count: 3}]}", "x") == Tea("mate", (Inner(3),))
    assert teas.parse("{extends: mate, name: own}", "x") == Tea("own")
    with pytest.raises(EscaError, match=r"^x: extends: 'milk' is none of sencha, assam, mate$"):
        teas.parse("extends: milk", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "expected a mapping of tea fields"),
        ("", "expected a mapping of tea fields"),
        ("a: [", "not valid YAML"),
        ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("cups: []", "name: Field required$"),
        ("name: a\ncup: 3", "cup: Unexpected keyword argument, got 3"),
        ("name: a\ncups: [{count: 0}]", "cups.0.count: .*equal to 1, got 0"),
        ("name: a\ncups: [{count: }]", "cups.0.count: .*got None"),
        ("name: [a]", "name: Input should be a valid string$"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(teas: Settings[Tea], text: str, message: str) -> None:
    with pytest.raises(EscaError, match=f"^mine: {message}") as error:
        teas.parse(text, "mine")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["tea", "technology", "sweep"])
def test_files_that_hold_no_text(what: str, teas: Settings[Tea], tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(b"name: \xff\xfe\x00")
    load = {"technology": load_technology, "sweep": load_sweep}.get(
        what, lambda name: teas.load(name, "drink")
    )
    with pytest.raises(EscaError, match=r"own\.yaml: not a YAML file, expected UTF-8"):
        load(str(path))
    with pytest.raises(EscaError, match=r"none\.yaml: no such .* file"):
        load(str(tmp_path / "none.yaml"))


def test_data_and_digest_stand_for_all_fields(teas: Settings[Tea]) -> None:
    tea = Tea("own", (Inner(2),))
    assert teas.validated(teas.data(tea), "again") == tea
    text = json.dumps({"cups": [{"count": 2}], "name": "own"}, separators=(",", ":"))
    assert teas.digest(tea) == hashlib.sha256(text.encode()).hexdigest()
    assert teas.digest(replace(tea, cups=())) != teas.digest(tea)
