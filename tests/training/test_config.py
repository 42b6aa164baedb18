"""Settings and the learning rate."""

import pytest

from esca.errors import EscaError
from esca.training import TrainConfig


def test_cosine_rises_and_falls() -> None:
    config = TrainConfig(steps=110, warmup=10, rate=1.0)
    rates = [config.rate_at(step) for step in range(1, 111)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == pytest.approx(1.0, rel=1e-2)
    assert rates.index(max(rates)) in (9, 10)
    assert config.rate_at(60) == pytest.approx(0.01 + 0.99 * 0.5)
    assert rates[-1] == pytest.approx(0.01)


def test_constant_stays() -> None:
    config = TrainConfig(steps=100, warmup=0, rate=3e-4, schedule="constant")
    assert {config.rate_at(step) for step in (1, 50, 100)} == {3e-4}


def test_screen_loss_is_off_without_scale_or_weight() -> None:
    assert TrainConfig().screen
    assert not TrainConfig(screen_scale=0).screen
    assert not TrainConfig(screen_weight=0).screen


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"rate": -1e-3}, "rate: expected a number above 0, got -0.001"),
        ({"first_std": float("nan")}, "first_std: expected a number above 0, got nan"),
        ({"kl_weight": -1}, "kl_weight: expected 0 or more, got -1"),
        ({"screen_scale": 2}, "screen_scale: expected a number from 0 to 1, got 2"),
        ({"schedule": "step"}, "schedule: expected cosine or constant, got 'step'"),
        ({"device": "tpu"}, "device: expected auto, cpu or cuda, got 'tpu'"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
    ],
)
def test_bad_settings_name_the_field(values: dict[str, object], message: str) -> None:
    with pytest.raises(EscaError, match=message):
        TrainConfig(**values)
