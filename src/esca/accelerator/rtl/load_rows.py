"""Rows of a map from the memory port: where in the banks of activations their words belong."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import LOAD_ROWS_LATENCY
from esca.accelerator.layout import SUB_BANKS, Layout
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.bursts import ROW_BITS
from esca.accelerator.rtl.hash_axis import HashAxis
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.records import LOAD_ROWS
from esca.accelerator.rtl.streams import COORDINATE_BITS
from esca.errors import EscaError


def placed_shape(words: int, bus_bytes: int) -> data.StructLayout:
    """A bus word and its place: word ``address`` of sub-bank ``sub``. Atoms are of ``two`` bytes or
    of one; ``low`` is the bit that says which byte of each bank, or which half of the banks, where
    not both are meant. ``last`` of its job; ``none``: it is not for the banks.
    """
    return data.StructLayout(
        {
            "address": range(words),
            "sub": range(SUB_BANKS),
            "two": 1,
            "low": 1,
            "last": 1,
            "none": 1,
            "data": data.ArrayLayout(8, bus_bytes),
        }
    )


def check_loaded(layout: Layout, bus_bytes: int) -> None:
    """EscaError where words of memory are not whole atoms of one pixel in neighbouring banks: all
    of them or, where a word is a pixel and fills two bytes of each, one half; and where values have
    other bits there than in the banks.
    """
    tensor = layout.tensor
    stored = 4 if tensor.bits <= 4 else 8
    if layout.value_bits != stored:
        raise EscaError(
            f"rtl: tensor {tensor.name!r}: values of {stored} bits are loaded, the array takes "
            f"{layout.value_bits}"
        )
    size, rows = layout.atoms * layout.atom_bytes, layout.array_rows
    half = layout.rows * 2 == rows == bus_bytes == size and layout.atom_bytes == 2
    if tensor.channels % layout.atom or size % bus_bytes or not (half or layout.rows == rows):
        raise EscaError(
            f"rtl: tensor {tensor.name!r}: {layout.atoms} atoms of {layout.atom_bytes} "
            f"bytes a pixel are loaded, expected whole {bus_bytes} bytes on {rows} rows"
        )


class LoadRows(wiring.Component):
    """``valid``: a word of a load comes, ``word`` of its ``row``, the ``last`` one or not;
    ``payload`` of its job. ``LOAD_ROWS_LATENCY`` cycles later it is ``placed``, if ``placing``.

    A bus word has two bytes for each row of the array, or one; a pixel takes whole bus words; see
    :func:`check_loaded`.
    """

    def __init__(self, p: Parameters, words: int, bus_bytes: int) -> None:
        if bus_bytes not in (p.rows, 2 * p.rows):
            raise EscaError(
                f"rtl: DMA moves {bus_bytes} bytes a cycle, expected one or two for each of "
                f"{p.rows} rows of the array"
            )
        self.p, self.words, self.bus_bytes = p, words, bus_bytes
        super().__init__(
            {
                "valid": In(1),
                "payload": In(LOAD_ROWS),
                "row": In(12),
                "word": In(ROW_BITS),
                "last": In(1),
                "data": In(data.ArrayLayout(8, bus_bytes)),
                "placing": Out(1),
                "placed": Out(placed_shape(words, bus_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """What has come; counters; then hashes and an address, sum after sum."""
        m = Module()
        came = delayed(m, self.payload, LOAD_ROWS, 1)
        y, x, part = self._counters(m, came)
        counted = delayed(m, came, LOAD_ROWS, 1)
        layout = counted.layout
        m.submodules.hash_y, m.submodules.hash_x = hash_y, hash_x = HashAxis(), HashAxis()
        m.d.comb += [
            hash_y.v.eq(delayed(m, y, COORDINATE_BITS, 1)),
            hash_x.v.eq(delayed(m, x, COORDINATE_BITS, 1)),
            hash_y.hash.eq(layout.hash_y),
            hash_x.hash.eq(layout.hash_x),
        ]
        atom = part << 1 if self.bus_bytes == 2 * self.p.rows else part  # in bytes of a bank
        depth = delayed(m, atom, 12, 1)
        place = Signal(COORDINATE_BITS + 5)
        above, byte = Signal(5), Signal(COORDINATE_BITS + 6)
        row, column = (delayed(m, one.address, COORDINATE_BITS, 1) for one in (hash_y, hash_x))
        colours = [delayed(m, one.colour, 3, 1) for one in (hash_y, hash_x)]
        depth = delayed(m, depth, 12, 2)
        counted = delayed(m, counted, LOAD_ROWS, 1)
        layout = counted.layout
        m.d.sync += [
            place.eq((row << layout.row_pitch) | column),
            above.eq(layout.groups + layout.two_bytes),
            byte.eq((place << above) + depth),
        ]
        colour = delayed(m, (colours[0] << layout.hash_x.bits) | colours[1], 3, 2)
        # A pixel of two bytes a bank that is one word takes one half of the banks.
        half = delayed(m, (counted.pixel_words == 1) & layout.two_bytes, 1, 2)
        m.d.sync += [
            self.placed.address.eq(delayed(m, layout.base, layout.base.shape(), 2) + (byte >> 1)),
            self.placed.low.eq(Mux(half, colour[2], byte[0])),
            self.placed.two.eq(delayed(m, layout.two_bytes, 1, 2)),
            self.placed.sub.eq(colour),
        ]
        m.d.comb += [
            self.placing.eq(delayed(m, self.valid, 1, LOAD_ROWS_LATENCY)),
            self.placed.last.eq(delayed(m, self.last, 1, LOAD_ROWS_LATENCY)),
            self.placed.none.eq(delayed(m, self.payload.engine != 0, 1, LOAD_ROWS_LATENCY)),
            self.placed.data.eq(delayed(m, self.data, self.data.shape(), LOAD_ROWS_LATENCY)),
        ]
        return m

    def _counters(self, m: Module, payload: data.View) -> tuple[Signal, Signal, Signal]:
        """Row in the ring, column, and bus word of the pixel."""
        bits = COORDINATE_BITS
        valid, first_row = (delayed(m, one, 1, 1) for one in (self.valid, self.row == 0))
        row_begins = delayed(m, self.word == 0, 1, 1)
        last_row = delayed(m, self.payload.layout.ring_rows - 1, bits, 1)
        before_part = delayed(m, self.payload.pixel_words - 2, 10, 1)
        single = delayed(m, self.payload.pixel_words == 1, 1, 1)
        y, x, part = Signal(bits), Signal(bits), Signal(10)
        next_y, next_x, next_part = Signal(bits), Signal(bits), Signal(10)
        last, pixel_ends, next_ends = Signal(bits), Signal(), Signal()
        m.d.comb += [
            pixel_ends.eq(Mux(row_begins, single, next_ends)),
            y.eq(Mux(row_begins, Mux(first_row, payload.first_row, next_y), last)),
            x.eq(Mux(row_begins, 0, next_x)),
            part.eq(Mux(row_begins, 0, next_part)),
        ]
        with m.If(valid):
            m.d.sync += [
                last.eq(y),
                next_y.eq(Mux(y == last_row, 0, y + 1)),
                next_x.eq(x + pixel_ends),
                next_part.eq(Mux(pixel_ends, 0, part + 1)),
                next_ends.eq(Mux(pixel_ends, single, part == before_part)),
            ]
        return y, x, part
