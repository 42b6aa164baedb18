import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.runtime.packing import pack, unpack


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 16), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 10**6)
)
def test_packing_loses_nothing(bits: int, shape: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
    values = torch.randint(low, high, shape, generator=generator, dtype=torch.int32)
    stored = pack(values, bits)
    count = values.numel()
    expected = (count + 1) // 2 if bits <= 4 else count if bits <= 8 else 2 * count
    assert stored.numel() * stored.element_size() == expected
    assert torch.equal(unpack(stored, bits, tuple(shape), "t"), values)
    if bits <= 8:
        assert torch.equal(pack(values.to(torch.int8), bits), stored)


def test_the_first_value_is_in_the_low_nibble() -> None:
    stored = pack(torch.tensor([1, -1, 7, -8, 5]), 4)
    assert stored.dtype == torch.uint8
    assert stored.tolist() == [0xF1, 0x87, 0x05]


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_a_wrong_count_is_named(bits: int) -> None:
    with pytest.raises(EscaError, match=r"artifact: layer\.a holds .* values, expected"):
        unpack(pack(torch.zeros(10, dtype=torch.int32), bits), bits, (3, 2), "layer.a")
