import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from esca.graph.ops import Conv2d, ConvTranspose2d, Linear
from esca.quantization.phases import (
    Strips,
    accumulate_hessians,
    phase_columns,
    phases,
    set_weight_matrix,
    weight_matrix,
)

seeds = st.integers(0, 2**31 - 1)


def small_integers(generator: torch.Generator, *shape: int) -> Tensor:
    """Values whose products and sums are exact in float32."""
    return torch.randint(-8, 9, shape, generator=generator).float()


def by_phases(op, x: Tensor, shape: tuple[int, ...], rows: int) -> Tensor:
    """The layer's output, put together from the phases' matrix products."""
    output = torch.full((len(x), *shape), torch.nan)
    for phase in phases(op):
        matrix = weight_matrix(op, op.weight, phase)
        part = output[:, :, phase.row :: phase.stride, phase.column :: phase.stride]
        assert matrix.shape == (shape[0], len(phase.taps) * x.shape[1])
        for columns, strip in phase_columns(op, x, phase, shape, Strips(rows)):
            part[:, :, strip] = (matrix @ columns).reshape(part[:, :, strip].shape)
    return output


@st.composite
def transposed(draw: st.DrawFn) -> tuple[ConvTranspose2d, Tensor]:
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    stride = draw(st.integers(1, 4))
    padding = draw(st.integers(0, min(height, width)))
    extra = draw(st.integers(0, stride - 1))
    cin, cout = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    side_y, side_x = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    smallest = min((side_y - 1) * stride + height, (side_x - 1) * stride + width)
    padding = min(padding, (smallest + extra - 1) // 2)
    generator = torch.Generator().manual_seed(draw(seeds))
    weight = small_integers(generator, cin, cout, height, width)
    x = small_integers(generator, 2, cin, side_y, side_x)
    return ConvTranspose2d(weight, None, stride, padding, extra), x


@st.composite
def straight(draw: st.DrawFn) -> tuple[Conv2d, Tensor]:
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    stride, padding = draw(st.integers(1, 4)), draw(st.integers(0, 8))
    cin, cout = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    least = max(1, max(height, width) - 2 * padding)
    generator = torch.Generator().manual_seed(draw(seeds))
    side_y, side_x = draw(st.integers(least, least + 5)), draw(st.integers(least, least + 5))
    weight = small_integers(generator, cout, cin, height, width)
    x = small_integers(generator, 2, cin, side_y, side_x)
    return Conv2d(weight, None, stride, padding), x


@settings(max_examples=80, deadline=None)
@given(transposed(), st.integers(1, 9))
def test_phases_of_a_transposed_convolution_add_up_to_it(layer, rows: int) -> None:
    op, x = layer
    expected = F.conv_transpose2d(x, op.weight, None, op.stride, op.padding, op.output_padding)
    assert torch.equal(by_phases(op, x, tuple(expected.shape[1:]), rows), expected)


@settings(max_examples=80, deadline=None)
@given(straight(), st.integers(1, 9))
def test_the_one_phase_of_a_convolution_is_all_of_it(layer, rows: int) -> None:
    op, x = layer
    expected = F.conv2d(x, op.weight, None, op.stride, op.padding)
    assert torch.equal(by_phases(op, x, tuple(expected.shape[1:]), rows), expected)


@settings(max_examples=40, deadline=None)
@given(transposed())
def test_taps_are_shared_out_among_the_phases_and_written_back(layer) -> None:
    op, _ = layer
    taps = [tap for phase in phases(op) for tap in phase.taps]
    height, width = op.weight.shape[2:]
    assert sorted(taps) == [(y, x) for y in range(height) for x in range(width)]
    assert [phase.index for phase in phases(op)] == list(range(op.stride**2))
    rebuilt = torch.full_like(op.weight, torch.nan)
    for phase in phases(op):
        set_weight_matrix(op, rebuilt, phase, weight_matrix(op, op.weight, phase))
    assert torch.equal(rebuilt, op.weight)


def test_a_linear_layer_is_one_phase() -> None:
    op, x = Linear(torch.randn(3, 5), None), torch.randn(4, 5)
    (phase,) = phases(op)
    ((columns, strip),) = phase_columns(op, x, phase, (3,))
    assert strip == slice(0, 1)
    torch.testing.assert_close((op.weight @ columns)[:, :, 0], F.linear(x, op.weight))


def loss_hessian(op, x: Tensor, texel_weight: Tensor | None) -> Tensor:
    """d^2 / dw^2 of the (weighted) sum of squared outputs, through autograd; over flat weights."""

    def loss(flat: Tensor) -> Tensor:
        weight = flat.reshape(op.weight.shape)
        if isinstance(op, ConvTranspose2d):
            y = F.conv_transpose2d(x, weight, None, op.stride, op.padding, op.output_padding)
        elif isinstance(op, Conv2d):
            y = F.conv2d(x, weight, None, op.stride, op.padding)
        else:
            y = F.linear(x, weight)
        squares = y.square() if texel_weight is None else y.square() * texel_weight
        return squares.sum()

    return torch.autograd.functional.hessian(loss, op.weight.reshape(-1))


def flat_indices(op, phase) -> Tensor:
    """(out, K): place of each entry of a phase's matrix in the flat weight."""
    places = torch.arange(op.weight.numel()).reshape(op.weight.shape)
    return weight_matrix(op, places, phase)


LAYERS = {
    "k4s2p1": (ConvTranspose2d(torch.randn(2, 2, 4, 4), None, 2, 1), (3, 4)),
    "k3s2p1+1": (ConvTranspose2d(torch.randn(2, 1, 3, 3), None, 2, 1, 1), (3, 3)),
    "k2s3": (ConvTranspose2d(torch.randn(2, 2, 2, 2), None, 3, 0), (2, 3)),
    "conv": (Conv2d(torch.randn(2, 2, 3, 3), None, 2, 1), (5, 6)),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_phase_hessians_are_all_of_the_loss_hessian(name: str, weighted: bool) -> None:
    op, sides = LAYERS[name]
    x = torch.randn(3, 2, *sides)
    forward = F.conv_transpose2d if isinstance(op, ConvTranspose2d) else F.conv2d
    more = (op.output_padding,) if isinstance(op, ConvTranspose2d) else ()
    shape = tuple(forward(x, op.weight, None, op.stride, op.padding, *more).shape[1:])
    texel_weight = torch.rand(shape[1:]) * (torch.rand(shape[1:]) > 0.3) if weighted else None
    truth = loss_hessian(op, x, texel_weight)
    parts = phases(op)
    found = [torch.zeros(len(p.taps) * 2, len(p.taps) * 2) for p in parts]
    plain = None if weighted else found
    uv = found if weighted else None
    accumulate_hessians(op, x, shape, plain, uv, texel_weight)

    covered = torch.zeros_like(truth)
    for phase, hessian in zip(parts, found, strict=True):
        for row in flat_indices(op, phase):  # one output channel: the same block each
            torch.testing.assert_close(
                truth[row[:, None], row[None]], hessian, atol=1e-4, rtol=1e-4
            )
            covered[row[:, None], row[None]] = 1
    # Nothing outside the blocks: phases and output channels do not meet in the loss.
    assert float((truth * (1 - covered)).abs().max()) == 0


def test_the_hessian_of_a_linear_layer() -> None:
    op, x = Linear(torch.randn(2, 4), None), torch.randn(6, 4)
    hessian = [torch.zeros(4, 4)]
    accumulate_hessians(op, x, (2,), hessian)
    torch.testing.assert_close(loss_hessian(op, x, None)[:4, :4], hessian[0])


def test_a_forward_unfold_is_another_matrix() -> None:
    """What the published code takes for the Hessian of a transposed convolution."""
    op = ConvTranspose2d(torch.randn(2, 2, 4, 4), None, 2, 1)
    x = torch.randn(3, 2, 4, 4)
    unfolded = F.unfold(x, 4, padding=1, stride=2).transpose(0, 1).flatten(1)
    wrong = (2 * unfolded @ unfolded.t()).reshape(2, 16, 2, 16)
    truth = loss_hessian(op, x, None).reshape(2, 2, 16, 2, 2, 16)[:, 0, :, :, 0]
    assert float((wrong - truth).norm() / truth.norm()) > 0.5


def test_hessians_add_up_over_batches() -> None:
    op, x = LAYERS["k4s2p1"][0], torch.randn(6, 2, 3, 4)
    whole = [torch.zeros(8, 8) for _ in range(4)]
    parts = [torch.zeros(8, 8) for _ in range(4)]
    accumulate_hessians(op, x, (2, 6, 8), whole)
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        accumulate_hessians(op, x[start:stop], (2, 6, 8), parts)
    torch.testing.assert_close(whole, parts)


def test_strips_in_turn_add_up_to_the_whole_hessian() -> None:
    torch.manual_seed(0)
    op = ConvTranspose2d(torch.randn(3, 2, 4, 4), None, 2, 1)
    x, weight = torch.randn(1, 3, 10, 10), torch.rand(20, 20)
    whole = [torch.zeros(12, 12) for _ in range(4)]
    turns = [torch.zeros(12, 12) for _ in range(4)]
    accumulate_hessians(op, x, (2, 20, 20), None, whole, weight)
    for turn in range(3):
        strips = Strips(2, every=3, first=turn)
        accumulate_hessians(op, x, (2, 20, 20), None, turns, weight, strips)
    for expected, found in zip(whole, turns, strict=True):
        torch.testing.assert_close(found, 3 * expected)
