"""Maps as they lie in DRAM."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator import TensorShape
from esca.accelerator.hardware.dram_maps import packed_rows, row_pitch, unpacked_rows


@settings(max_examples=50)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.integers(1, 16),
    st.sampled_from([8, 16, 32]),
    st.integers(0, 2**31),
)
def test_rows_of_maps(shape, bits, bus, seed) -> None:
    tensor = TensorShape("t", shape, bits)
    values = np.random.default_rng(seed).integers(0, 1 << bits, shape)
    stored = packed_rows(tensor, values, bus)
    assert stored.shape == (shape[1], row_pitch(tensor, bus))
    assert stored.shape[1] % bus == 0 <= stored.shape[1] - tensor.row_bytes < bus
    np.testing.assert_array_equal(unpacked_rows(tensor, stored), values)


def test_ten_bits_are_a_word_a_texel() -> None:
    tensor = TensorShape("t", (3, 1, 2), 10)
    stored = packed_rows(tensor, np.array([1, 2, 3, 4, 5, 6]).reshape(3, 1, 2), 8)
    assert stored.view("<u4").tolist() == [[1 | 3 << 10 | 5 << 20, 2 | 4 << 10 | 6 << 20]]
