"""What the masters of the board's memory ask its controller for: short runs of 16-bit words."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

WORD_BITS = 16
WORD_BYTES = 2
CHUNK_WORDS = 32
"""Most words of a run. No run crosses a multiple of this, so that it lies in one row of memory."""

WORD_ADDRESS_BITS = 31
"""Of an address in words: those of AXI have 32 bits and count bytes."""

RUN = data.StructLayout({"address": WORD_ADDRESS_BITS, "words_less_1": unsigned(5)})


class ReadMaster(wiring.Signature):
    """``run`` is asked for; its words come with ``valid``, at any time, and must be taken."""

    def __init__(self) -> None:
        super().__init__({"run": Out(stream.Signature(RUN)), "valid": In(1), "data": In(WORD_BITS)})


class WriteMaster(wiring.Signature):
    """``run`` is asked for when all its words are there; ``data`` is the first that has not been
    taken with ``take``. What was asked for later sees the words of a run that was granted.
    """

    def __init__(self) -> None:
        super().__init__({"run": Out(stream.Signature(RUN)), "take": In(1), "data": Out(WORD_BITS)})
