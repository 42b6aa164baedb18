"""The two published rigs, told apart by their camera ids."""

from collections.abc import Iterable
from typing import Literal

Rig = Literal["v1", "v2", "other"]

_RANGES: dict[Rig, range] = {"v1": range(400002, 400071), "v2": range(400262, 400504)}

_HELD_OUT: dict[Rig, tuple[str, ...]] = {
    "v1": ("EXP_ROM",),
    "v2": ("EXP_free_face",),
    "other": ("EXP_ROM", "EXP_free_face"),
}


def rig_of(cameras: Iterable[str]) -> Rig:
    """Rig that the camera ids belong to; "other" when they fit neither."""
    ids = [int(camera) if camera.isdecimal() else -1 for camera in cameras]
    for rig, known in _RANGES.items():
        if ids and all(number in known for number in ids):
            return rig
    return "other"


def held_out_prefixes(rig: Rig) -> tuple[str, ...]:
    """Prefixes of the segments that are kept for testing."""
    return _HELD_OUT[rig]
