"""Codes on the wire: exact on the decoder's grid, bounded in size, robust to loss."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.quantization.grid import Grid
from esca.telepresence.codec import (
    FARTHEST,
    CodeDecoder,
    CodedFrame,
    CodeEncoder,
    CodeModel,
    coded_frame,
    model_of,
)

GRID = Grid(0.04, 120, 8)
LATENT = 24


def _codes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.02, 1.0, LATENT)
    steps = torch.randn(count, LATENT, generator=generator) * 0.1 * spread
    return torch.cumsum(steps, 0) + spread * torch.randn(LATENT, generator=generator)


@pytest.fixture(scope="module")
def model() -> CodeModel:
    return model_of(_codes(40), GRID)


def test_nothing_is_lost_that_the_decoder_would_see(model: CodeModel) -> None:
    encoder, decoder = CodeEncoder(model, 126), CodeDecoder(model)
    for number, code in enumerate(_codes(60, seed=1)):
        frame = coded_frame(encoder.encode(model.integers(code), number).to_bytes())
        decoded = decoder.decode(frame, number)
        assert decoded is not None
        assert torch.equal(model.reals(decoded), GRID.dequantize(GRID.quantize(code)))
        encoder.acknowledge(number)


@settings(max_examples=30)
@given(st.data())
def test_any_loss_and_order_decodes_exactly_or_says_why_not(data: st.DataObject) -> None:
    """Acknowledged references only, so whatever arrives decodes if its reference did."""
    model = model_of(_codes(40), GRID)
    encoder, decoder = CodeEncoder(model, data.draw(st.integers(16, 126))), CodeDecoder(model)
    sent: dict[int, CodedFrame] = {}
    held: set[int] = set()
    for number, code in enumerate(_codes(40, seed=data.draw(st.integers(0, 50)))):
        sent[number] = encoder.encode(model.integers(code), number)
        arriving = data.draw(st.lists(st.sampled_from(sorted(sent)), max_size=3))
        for which in arriving:
            decoded = decoder.decode(sent[which], which)
            assert decoded is not None
            kept = encoder._sent.get(which)
            assert kept is not None and np.array_equal(decoded, kept)
            held.add(which)
        if held and data.draw(st.booleans()):
            encoder.acknowledge(data.draw(st.sampled_from(sorted(held))))
    assert all(frame.distance == 0 or n - frame.distance in held for n, frame in sent.items())


def test_a_new_receiver_decodes_as_soon_as_nothing_is_held(model: CodeModel) -> None:
    encoder = CodeEncoder(model, 126)
    codes = _codes(20, seed=2)
    encoder.encode(model.integers(codes[0]), 0)
    encoder.acknowledge(0)
    frame = encoder.encode(model.integers(codes[1]), 1)
    assert frame.distance == 1
    assert CodeDecoder(model).decode(frame, 1) is None
    encoder.unheld()
    fresh = encoder.encode(model.integers(codes[2]), 2)
    assert fresh.distance == 0
    decoded = CodeDecoder(model).decode(fresh, 2)
    assert np.array_equal(decoded, model.integers(codes[2]))


def test_prediction_saves_bytes(model: CodeModel) -> None:
    sizes = []
    for acknowledged in (False, True):
        encoder, total = CodeEncoder(model, 126), 0
        for number, code in enumerate(_codes(60, seed=3)):
            total += len(encoder.encode(model.integers(code), number).to_bytes())
            if acknowledged:
                encoder.acknowledge(number)
        sizes.append(total)
    assert sizes[1] < 0.8 * sizes[0]


def test_limit_is_kept_by_coarser_residuals(model: CodeModel) -> None:
    encoder, decoder = CodeEncoder(model, 16), CodeDecoder(model)
    rng = np.random.default_rng(5)
    for number in range(20):
        wild = rng.integers(0, 256, LATENT).astype(np.int32)
        frame = encoder.encode(wild, number)
        assert len(frame.to_bytes()) <= 16
        decoded = decoder.decode(frame, number)
        assert decoded is not None
        assert decoded.min() >= 0 and decoded.max() <= GRID.top
        assert np.abs(decoded - wild).max() <= 1 << frame.coarse


def test_history_ends(model: CodeModel) -> None:
    encoder = CodeEncoder(model, 126)
    integers = model.integers(_codes(1)[0])
    for number in range(FARTHEST + 2):
        frame = encoder.encode(integers, number)
        if number == 0:
            encoder.acknowledge(0)
    assert frame.distance == 0
    encoder.acknowledge(10_000)
    assert encoder.encode(integers, FARTHEST + 2).distance == 0


@given(st.binary(max_size=80))
def test_garbage_is_an_error_never_a_crash(data: bytes) -> None:
    model = model_of(_codes(10), GRID)
    try:
        decoded = CodeDecoder(model).decode(coded_frame(data), 5)
    except EscaError:
        return
    assert decoded is None or (decoded.min() >= 0 and decoded.max() <= GRID.top)


def test_bad_input(model: CodeModel) -> None:
    with pytest.raises(EscaError, match="limit"):
        CodeEncoder(model, 3)
    with pytest.raises(EscaError, match="codes"):
        model_of(torch.zeros(0, 4), GRID)
    with pytest.raises(EscaError, match="coarse"):
        coded_frame(bytes((0, 128, 200, 1, 2)))
    with pytest.raises(EscaError, match="3 bytes"):
        coded_frame(b"abc")
