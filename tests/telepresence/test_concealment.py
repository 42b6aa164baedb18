"""Made-up codes: held, or going on and slowing down."""

import numpy as np
import pytest

from esca.errors import EscaError
from esca.telepresence.concealment import Concealer, ConcealmentConfig

RAMP = np.arange(4, dtype=np.float32)


def test_nothing_to_conceal_with_at_first() -> None:
    assert Concealer(ConcealmentConfig()).missing(3) is None


def test_hold_repeats_the_last() -> None:
    concealer = Concealer(ConcealmentConfig("hold"))
    concealer.came(0, RAMP)
    concealer.came(1, RAMP * 2)
    assert np.array_equal(concealer.missing(2), RAMP * 2)
    assert np.array_equal(concealer.missing(9), RAMP * 2)


def test_extrapolation_sums_a_decaying_motion() -> None:
    concealer = Concealer(ConcealmentConfig("extrapolate", 0.7))
    concealer.came(4, RAMP)
    assert np.array_equal(concealer.missing(5), RAMP)  # no motion is known yet
    concealer.came(6, RAMP * 3)  # a ramp a frame
    reached = RAMP * 3
    for missing in range(1, 30):
        reached = reached + RAMP * np.float32(0.7**missing)
        assert np.allclose(concealer.missing(6 + missing), reached, rtol=1e-4)


def test_steady_motion_is_better_extrapolated_than_held() -> None:
    errors = {}
    for mode in ("hold", "extrapolate"):
        concealer = Concealer(ConcealmentConfig(mode))
        for slot in range(2):
            concealer.came(slot, np.float32(slot) * RAMP)
        errors[mode] = sum(float(np.abs(concealer.missing(s) - s * RAMP).sum()) for s in (2, 3))
    assert errors["extrapolate"] < 0.5 * errors["hold"]


def test_bad_config() -> None:
    with pytest.raises(EscaError, match="conceal: 'guess', expected hold or extrapolate"):
        ConcealmentConfig("guess")  # type: ignore[arg-type]
    with pytest.raises(EscaError, match="decay"):
        ConcealmentConfig(decay=1.0)
