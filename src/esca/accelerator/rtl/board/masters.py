"""AXI ports of the machine as masters of the board's memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import MOST_BEATS, REQUEST, beat
from esca.accelerator.rtl.board.words import (
    CHUNK_WORDS,
    RUN,
    WORD_BITS,
    WORD_BYTES,
    ReadMaster,
    WriteMaster,
)

AHEAD = 4
"""Runs whose words there is room for."""


class _Runs:
    """A burst, cut into runs: ``payload`` is the next of them, ``last`` the burst's last."""

    def __init__(self, m: Module, requests: wiring.PureInterface, bus_bytes: int) -> None:
        shift = (bus_bytes // WORD_BYTES).bit_length() - 1
        self.busy = Signal()
        address = Signal(RUN["address"].width)
        left = Signal(range(MOST_BEATS * bus_bytes // WORD_BYTES + 1))
        room, words = Signal(range(CHUNK_WORDS + 1)), Signal(range(CHUNK_WORDS + 1))
        self.payload, self.last, self.go = Signal(RUN), Signal(), Signal()
        self.beats = words >> shift
        m.d.comb += [
            room.eq(CHUNK_WORDS - address[: (CHUNK_WORDS - 1).bit_length()]),
            words.eq(Mux(left < room, left, room)),
            self.last.eq(left == words),
            self.payload.address.eq(address),
            self.payload.words_less_1.eq(words - 1),
            requests.ready.eq(~self.busy),
        ]
        with m.If(self.go):
            m.d.sync += [
                address.eq(address + words),
                left.eq(left - words),
                self.busy.eq(~self.last),
            ]
        with m.If(requests.valid & requests.ready):
            m.d.sync += [
                self.busy.eq(1),
                address.eq(requests.payload.address >> 1),
                left.eq((requests.payload.beats_less_1 + 1) << shift),
            ]


class AxiReads(wiring.Component):
    """Channels ``ar`` and ``r`` of a port of ``bus_bytes``, as its slave sees them."""

    def __init__(self, bus_bytes: int) -> None:
        self.bus_bytes = bus_bytes
        super().__init__(
            {
                "ar": In(stream.Signature(REQUEST)),
                "r": Out(stream.Signature(beat(bus_bytes))),
                "memory": Out(ReadMaster()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A run is asked for when there is room for its words, whoever takes them when."""
        m, parts = Module(), self.bus_bytes // WORD_BYTES
        most = CHUNK_WORDS // parts  # beats of a run
        depth = AHEAD * most
        runs = _Runs(m, self.ar, self.bus_bytes)
        size = data.StructLayout({"beats_less_1": range(most + 1), "last": 1})
        m.submodules.asked = asked = fifo.SyncFIFO(width=size.size, depth=AHEAD + 2)
        m.submodules.line = line = fifo.SyncFIFOBuffered(width=8 * self.bus_bytes + 1, depth=depth)
        free = Signal(range(depth + 1), init=depth)
        m.d.comb += [
            self.memory.run.valid.eq(runs.busy & (free >= most) & asked.w_rdy),
            self.memory.run.payload.eq(runs.payload),
            runs.go.eq(self.memory.run.valid & self.memory.run.ready),
            asked.w_en.eq(runs.go),
        ]
        new = Signal(size)
        m.d.comb += [
            new.beats_less_1.eq(runs.beats - 1),
            new.last.eq(runs.last),
            asked.w_data.eq(new.as_value()),
        ]
        taken = self.r.valid & self.r.ready
        m.d.sync += free.eq(free + taken - Mux(runs.go, runs.beats, 0))
        # Words become beats, the first in the low bits.
        now = data.View(size, asked.r_data)
        above = Signal(8 * self.bus_bytes - WORD_BITS)
        part, place = Signal(range(parts)), Signal(range(most))
        whole, done = part == parts - 1, place == now.beats_less_1
        with m.If(self.memory.valid):
            m.d.sync += above.eq(Cat(above, self.memory.data)[WORD_BITS:])
            m.d.sync += part.eq(Mux(whole, 0, part + 1))
            with m.If(whole):
                m.d.comb += [line.w_en.eq(1), asked.r_en.eq(done)]
                m.d.sync += place.eq(Mux(done, 0, place + 1))
        m.d.comb += [
            line.w_data.eq(Cat(above, self.memory.data, now.last & done)),
            self.r.valid.eq(line.r_rdy),
            line.r_en.eq(self.r.ready),
            self.r.payload.eq(line.r_data),
        ]
        return m


class AxiWrites(wiring.Component):
    """Channels ``aw``, ``w`` and ``b`` of a port of ``bus_bytes``, as its slave sees them."""

    def __init__(self, bus_bytes: int) -> None:
        self.bus_bytes = bus_bytes
        super().__init__(
            {
                "aw": In(stream.Signature(REQUEST)),
                "w": In(stream.Signature(beat(bus_bytes))),
                "b": Out(stream.Signature(1)),
                "memory": Out(WriteMaster()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A run is asked for when its words are here; a burst is acknowledged when its last run is
        granted, since whatever is granted later comes behind it.
        """
        m, parts = Module(), self.bus_bytes // WORD_BYTES
        depth = AHEAD * CHUNK_WORDS // parts
        runs = _Runs(m, self.aw, self.bus_bytes)
        m.submodules.line = line = fifo.SyncFIFOBuffered(width=8 * self.bus_bytes, depth=depth)
        # Beats that no run has been asked for; a word needs some cycles to the far end.
        here, put = Signal(range(depth + 1)), Signal(2)
        m.d.sync += put.eq(Cat(self.w.valid & self.w.ready, put))
        m.d.sync += here.eq(here + put[-1] - Mux(runs.go, runs.beats, 0))
        m.d.comb += [
            self.w.ready.eq(line.w_rdy),
            line.w_en.eq(self.w.valid),
            line.w_data.eq(self.w.payload.data),
            self.memory.run.valid.eq(runs.busy & (here >= runs.beats)),
            self.memory.run.payload.eq(runs.payload),
            runs.go.eq(self.memory.run.valid & self.memory.run.ready),
        ]
        part = Signal(range(parts))
        m.d.comb += self.memory.data.eq(line.r_data.word_select(part, WORD_BITS))
        with m.If(self.memory.take):
            m.d.sync += part.eq(part + 1)  # as many as a power of two
            m.d.comb += line.r_en.eq(part == parts - 1)
        written = Signal(4)
        m.d.comb += self.b.valid.eq(written != 0)
        m.d.sync += written.eq(written + (runs.go & runs.last) - (self.b.valid & self.b.ready))
        with m.If(written == 15):  # as when nobody takes acknowledgements
            m.d.comb += self.memory.run.valid.eq(0)
        return m
