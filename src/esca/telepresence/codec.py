"""Codes as bytes: integers of the decoder's own input grid, predicted and entropy-coded.

The integer decoder sees a code only through the grid of its input ``z``, so sending that grid's
integers loses nothing that it would have used. A code is predicted either from the mean of the
calibration codes or from one earlier code *that the receiver said it holds*, and the packet names
it. So a lost packet harms no other one, and a receiver that starts anew gets what it can decode as
soon as it stops acknowledging.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.errors import EscaError
from esca.quantization.grid import Grid
from esca.telepresence import entropy

Integers = NDArray[np.int32]

FARTHEST = 255
"""How many packets back a reference may lie; both ends keep that many codes."""

_SHIFTS = tuple(range(-12, 13))
_COARSEST = 7
HEADER_BYTES = 3


@dataclass(frozen=True, eq=False)
class CodeModel:
    """What both ends know of one avatar's codes.

    ``grid``: of the decoder's input ``z``. ``centre``: (L,) int32 median integers of the
    calibration codes. ``widths``: (L,) the entropy class of each dimension around it.
    """

    grid: Grid
    centre: Integers
    widths: NDArray[np.int64]

    def integers(self, code: Tensor) -> Integers:
        """(L,) integers of a real code (L,)."""
        return self.grid.quantize(code).numpy()

    def reals(self, integers: Integers) -> Tensor:
        """(L,) float32 code of integers (L,)."""
        return self.grid.dequantize(torch.from_numpy(integers))


def model_of(codes: Tensor, grid: Grid) -> CodeModel:
    """The model that codes the calibration ``codes`` (N, L) in the fewest bits."""
    if codes.ndim != 2 or not len(codes):
        raise EscaError(f"codes: shape {tuple(codes.shape)}, expected (N, L) with N above 0")
    integers = grid.quantize(codes).numpy()
    centre = np.median(integers, axis=0).astype(np.int32)
    residuals = integers - centre
    classes = np.arange(entropy.CLASSES)[:, None]
    bits = [entropy.costs_of(column, classes) for column in residuals.T]
    return CodeModel(grid, centre, np.argmin(bits, axis=1))


@dataclass(frozen=True)
class CodedFrame:
    """One code on the wire.

    ``distance``: how many packets back the reference lies, 0 for none. ``shift``: added to every
    dimension's entropy class. ``coarse``: the residual was halved this many times.
    """

    distance: int
    shift: int
    coarse: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """``distance``, ``shift`` + 128, ``coarse``, payload."""
        return bytes((self.distance, self.shift + 128, self.coarse)) + self.payload


def coded_frame(data: bytes) -> CodedFrame:
    """What :meth:`CodedFrame.to_bytes` wrote, or EscaError."""
    if len(data) <= HEADER_BYTES:
        raise EscaError(f"code: {len(data)} bytes, expected more than {HEADER_BYTES}")
    distance, shift, coarse = data[0], data[1] - 128, data[2]
    if coarse > _COARSEST:
        raise EscaError(f"code: coarse is {coarse}, expected at most {_COARSEST}")
    return CodedFrame(distance, shift, coarse, data[HEADER_BYTES:])


class _History:
    """The last codes by packet number."""

    def __init__(self) -> None:
        self._codes: OrderedDict[int, Integers] = OrderedDict()

    def keep(self, number: int, integers: Integers) -> None:
        self._codes[number] = integers
        while len(self._codes) > FARTHEST:
            self._codes.popitem(last=False)

    def get(self, number: int) -> Integers | None:
        return self._codes.get(number)


class CodeEncoder:
    """The sender's half. ``limit``: most bytes of a coded frame, header included."""

    def __init__(self, model: CodeModel, limit: int) -> None:
        if limit < 16:
            raise EscaError(f"limit: {limit} bytes a code, expected 16 or more")
        self._model = model
        self._limit = limit
        self._widths = np.stack([shifted(model, shift) for shift in _SHIFTS])
        self._sent = _History()
        self._held: int | None = None

    def acknowledge(self, number: int) -> None:
        """The receiver holds the code of packet ``number``; older news than known is ignored."""
        if self._sent.get(number) is not None and (self._held is None or number > self._held):
            self._held = number

    def unheld(self) -> None:
        """The receiver has fallen silent: predict from the mean until it acknowledges again."""
        self._held = None

    def forget(self) -> None:
        """A new session: packet numbers begin anew."""
        self._held = None
        self._sent = _History()

    def encode(self, integers: Integers, number: int) -> CodedFrame:
        """The code of packet ``number``; numbers rise by one.

        Halves the residual until the frame keeps to the limit, so that bandwidth is bounded.
        """
        distance, reference = self._reference(number)
        for coarse in range(_COARSEST + 1):
            frame = self._coded(integers, distance, reference, coarse)
            if len(frame.payload) + HEADER_BYTES <= self._limit or coarse == _COARSEST:
                break
        base = self._model.centre if frame.distance == 0 else reference
        assert base is not None
        decoded = restored(self._model, base, _residual(integers, base, coarse), coarse)
        self._sent.keep(number, decoded)
        return frame

    def _reference(self, number: int) -> tuple[int, Integers | None]:
        held = self._held
        if held is None or not 0 < number - held <= FARTHEST:
            return 0, None
        return number - held, self._sent.get(held)

    def _coded(
        self, integers: Integers, distance: int, reference: Integers | None, coarse: int
    ) -> CodedFrame:
        bases = [(0, self._model.centre)]
        if reference is not None:
            bases.append((distance, reference))
        options = []
        for away, base in bases:
            residual = _residual(integers, base, coarse)
            bits = entropy.costs_of(residual, self._widths)
            best = int(bits.argmin())
            options.append((float(bits[best]), away, best, residual))
        _, away, best, residual = min(options, key=lambda option: option[0])
        payload = entropy.encode(residual.tolist(), self._widths[best].tolist())
        return CodedFrame(away, _SHIFTS[best], coarse, payload)


class CodeDecoder:
    """The receiver's half."""

    def __init__(self, model: CodeModel) -> None:
        self._model = model
        self._decoded = _History()

    def decode(self, frame: CodedFrame, number: int) -> Integers | None:
        """(L,) integers of packet ``number``; None if its reference is not held (any more).

        EscaError if the frame is damaged.
        """
        base: Integers | None = self._model.centre
        if frame.distance:
            base = self._decoded.get(number - frame.distance)
        if base is None:
            return None
        widths = shifted(self._model, frame.shift).tolist()
        residual = np.array(entropy.decode(frame.payload, widths), np.int32)
        integers = restored(self._model, base, residual, frame.coarse)
        self._decoded.keep(number, integers)
        return integers


def shifted(model: CodeModel, shift: int) -> NDArray[np.int64]:
    """(L,) entropy classes, ``shift`` wider than those around the mean."""
    return np.clip(model.widths + shift, 0, entropy.CLASSES - 1)


def restored(model: CodeModel, base: Integers, residual: Integers, coarse: int) -> Integers:
    """(L,) integers on the grid of a prediction and a residual that was halved ``coarse`` times."""
    return np.clip(base + (residual << coarse), 0, model.grid.top).astype(np.int32)


def _residual(integers: Integers, base: Integers, coarse: int) -> Integers:
    """(L,) nearest multiple of ``2**coarse``, in units of it."""
    half = (1 << coarse) >> 1
    return (integers - base + half) >> coarse
