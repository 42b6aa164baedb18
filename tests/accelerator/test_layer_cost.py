import pytest

from esca.accelerator import avatar_workload, load_config, plan_layer, time_workload
from esca.accelerator.layer_cost import latency_cost
from esca.errors import EscaError

LAST = "dec.texture_decoder.upsample.3.conv2.deconv"


def test_costs_are_those_of_the_layers_own_plans() -> None:
    config = load_config("esca-16x16")
    workload = avatar_workload("base", 512, "texture", "w8a8")
    cost = latency_cost(workload, config)
    for layer in workload.layers:
        alone = plan_layer(layer, config).standalone_cycles(config) / 500e3
        assert cost(layer.name, 8, 8) >= alone
    frame = time_workload(workload, config)
    total = sum(cost(layer.name, 8, 8) for layer in workload.layers)
    assert total == pytest.approx(frame.latency_ms, rel=0.05)


def test_the_array_has_three_modes() -> None:
    workload = avatar_workload("base", 512, "texture", "w8a8")
    cost = latency_cost(workload, load_config("esca-16x16"))
    assert 3 < cost(LAST, 8, 8) / cost(LAST, 4, 4) <= 4.2
    assert cost(LAST, 8, 8) / cost(LAST, 4, 8) == pytest.approx(2, rel=0.02)
    assert cost(LAST, 8, 4) == pytest.approx(cost(LAST, 4, 8), rel=0.01)
    published = latency_cost(workload, load_config("esca-published"))
    assert published(LAST, 4, 8) == published(LAST, 8, 8)
    with pytest.raises(EscaError, match=r"no layer 'dec.nose'"):
        cost("dec.nose", 4, 4)
