import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from esca.graph.ops import ConvTranspose2d
from esca.runtime.export.phases import (
    Row,
    can_split,
    offsets,
    split_pads,
    split_texels,
    split_weight,
    spread,
)


def test_kernel_four_becomes_three_by_three() -> None:
    op = ConvTranspose2d(torch.randn(2, 3, 4, 4), None, 2, 1)
    split = split_weight(op, op.weight)
    assert split.shape == (12, 2, 3, 3)
    assert offsets(op) == range(-1, 2)
    # Each of the four phases uses 2 x 2 of its 3 x 3 taps.
    assert (split.reshape(3, 4, 2, 9) != 0).sum(-1).eq(4).all()


def test_a_row_of_kernel_four_reads_two_rows() -> None:
    op = ConvTranspose2d(torch.randn(2, 3, 4, 4), None, 2, 1)
    for number, pads in ((0, [1, 1, 0, 1]), (1, [0, 1, 1, 1])):
        row = Row(2, number)
        assert row.weight(op, op.weight).shape == (6, 2, 2, 3)
        assert row.pads(op) == pads


@given(
    kernel=st.integers(1, 6),
    stride=st.integers(2, 3),
    padding=st.integers(0, 2),
    seed=st.integers(0, 100),
)
def test_any_split_equals_the_transposed_convolution(kernel, stride, padding, seed) -> None:
    extra = stride + 2 * padding - kernel  # makes the output stride times as large as the input
    if padding >= kernel or not 0 <= extra < stride:
        return
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-8, 8, (3, 2, kernel, kernel), generator=generator).float()
    x = torch.randint(-8, 8, (2, 3, 4, 5), generator=generator).float()
    op = ConvTranspose2d(weight, None, stride, padding, extra)
    expected = F.conv_transpose2d(x, weight, None, stride, padding, extra)
    assert can_split(op, (3, 4, 5), tuple(expected.shape[1:]))
    top, left, bottom, right = split_pads(op)
    found = F.conv2d(F.pad(x, (left, right, top, bottom)), split_weight(op, weight))
    assert torch.equal(F.pixel_shuffle(found, stride), expected)
    # The same row by row of phases: one below the other, each as long as the output is wide.
    lines = []
    for row in (Row(stride, number) for number in range(stride)):
        top, left, bottom, right = row.pads(op)
        part = F.conv2d(F.pad(x, (left, right, top, bottom)), row.weight(op, weight))
        lines.append(part.permute(0, 2, 3, 1).reshape(2, 4, 1, 5 * stride, 2))
    whole = torch.cat(lines, 2).reshape(2, 4 * stride, 5 * stride, 2)
    assert torch.equal(whole.permute(0, 3, 1, 2), expected)


def test_what_is_not_stride_times_as_large_is_not_split() -> None:
    op = ConvTranspose2d(torch.randn(2, 3, 4, 4), None, 2, 0)
    assert not can_split(op, (2, 4, 4), (3, 10, 10))
    one = ConvTranspose2d(torch.randn(2, 3, 3, 3), None, 1, 1)
    assert not can_split(one, (2, 4, 4), (3, 4, 4))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_texels_and_channels_follow_the_shuffle(stride: int) -> None:
    texels = torch.randn(2, 6, 6)
    assert torch.equal(F.pixel_shuffle(split_texels(texels, stride), stride), texels)
    assert (
        spread(torch.tensor([1.0, 2.0]), stride).tolist() == [1.0] * stride**2 + [2.0] * stride**2
    )
