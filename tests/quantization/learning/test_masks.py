import statistics

import pytest
import torch

from esca.quantization.learning.masks import outlier_free, seen


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_outliers_against_brute_force(share: float) -> None:
    maps = torch.randn(3, 6, 5, 4, generator=torch.Generator().manual_seed(1))
    mask = outlier_free(maps, share)
    for sample, kept in zip(maps, mask, strict=True):
        deviations = {
            (y, x): statistics.pstdev(sample[:, y, x].tolist()) for y in range(5) for x in range(4)
        }
        ranked = sorted(deviations, key=deviations.__getitem__)
        wanted = set(ranked[: 20 - round(20 * share)])
        assert {(y, x) for y, x in kept.nonzero().tolist()} == wanted


def test_a_texel_is_seen_if_any_part_of_it_is() -> None:
    visibility = torch.zeros(8, 8)
    visibility[5, 2] = 0.01
    mask = seen(visibility, (4, 4))
    assert mask.nonzero().tolist() == [[2, 1]]
