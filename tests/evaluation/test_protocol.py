import pytest

from esca.errors import EscaError
from esca.evaluation import Protocol


def test_the_default_is_the_papers_display_and_views() -> None:
    protocol = Protocol()
    assert protocol.display == "standard_fhd"
    assert protocol.views == {"front": "400029", "left": "400012", "right": "400017"}


def test_it_says_what_is_scored() -> None:
    text = Protocol(scale=0.25, frames=16, reference="tracked", foveated=True).describe()
    for part in (
        "tracked mesh rendered with the capture's own texture",
        "crop of the head at 0.25",
        "standard_fhd",
        "foveated, gaze at the middle",
        "front 400029",
        "up to 16 frames",
        "not sampled",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("views", {}),
        ("scale", 0.0),
        ("scale", 1.5),
        ("supersample", 0),
        ("crop", "hand"),
        ("margin", -0.1),
        ("fps", 0.0),
        ("frames", 0),
        ("reference", "truth"),
    ],
)
def test_a_value_outside_its_range_is_named(field: str, value: object) -> None:
    with pytest.raises(EscaError, match=f"protocol {field}: expected .*, got"):
        Protocol(**{field: value})
