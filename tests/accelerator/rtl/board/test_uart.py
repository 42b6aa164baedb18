"""Serial bytes against a line in Python, with clocks that differ, noise and bad stop bits."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.board.uart import UartReceiver, UartTransmitter, baud_divisor
from esca.accelerator.rtl.compiled import compiled
from esca.errors import EscaError

DIVISOR = 12


class Uarts(wiring.Component):
    """A receiver and a transmitter, each on a line of its own."""

    def __init__(self) -> None:
        super().__init__(
            {
                "rx": In(1, init=1),
                "byte": Out(8),
                "valid": Out(1),
                "damaged": Out(1),
                "bytes": In(stream.Signature(8)),
                "tx": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(DIVISOR)
        m.submodules.transmitter = transmitter = UartTransmitter(DIVISOR)
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.byte.eq(receiver.byte),
            self.valid.eq(receiver.valid),
            self.damaged.eq(receiver.damaged),
            self.tx.eq(transmitter.line),
        ]
        wiring.connect(m, wiring.flipped(self.bytes), transmitter.bytes)
        return m


@pytest.fixture(scope="module")
def simulation():
    return compiled(Uarts())


def line(data, period, stops):
    """The line at whole cycles while bytes go over it, ``period`` cycles a bit, from an idle one;
    ``stops``: the stop bit of each, behind which a wrong one leaves the line high for two bits.
    """
    bits = []
    for byte, stop in zip(data, stops, strict=True):
        bits += [0, *((byte >> i) & 1 for i in range(8)), stop]
        if not stop:
            bits += [1, 1]
    changes = 5 + np.ceil(np.arange(len(bits) + 1) * period).astype(int)
    made = np.ones(changes[-1] + 3 * DIVISOR, np.int64)
    for bit, start, end in zip(bits, changes[:-1], changes[1:], strict=True):
        made[start:end] = bit
    return made


@pytest.mark.parametrize("off", [-0.04, 0, 0.04])
def test_bytes_come_also_where_clocks_differ(simulation, off) -> None:
    data = np.random.default_rng(1).integers(0, 256, 200).tolist()
    rx = line(data, DIVISOR * (1 + off), [1] * len(data))
    seen = simulation.run(len(rx), rx=rx)
    assert seen["byte"][seen["valid"] == 1].tolist() == data
    assert not seen["damaged"].any()


def test_a_clock_too_far_off_is_seen(simulation) -> None:
    data = [0x00] * 20  # the stop bit is looked for where the last data bit still is
    rx = line(data, DIVISOR * 1.1, [1] * len(data))
    assert simulation.run(len(rx), rx=rx)["damaged"].any()


def test_wrong_stop_bits_and_glitches(simulation) -> None:
    rng = np.random.default_rng(2)
    data = (rng.integers(0, 256, 100) | 0x80).tolist()
    stops = rng.integers(0, 4, 100).astype(bool).astype(int).tolist()
    rx = np.concatenate([line(data, DIVISOR, stops), np.ones(3 * DIVISOR, np.int64)])
    rx[1 : DIVISOR // 3] = 0  # no start bit
    rx[DIVISOR // 3 : 5] = 1
    seen = simulation.run(len(rx), rx=rx)
    right = [byte for byte, stop in zip(data, stops, strict=True) if stop]
    assert seen["byte"][seen["valid"] == 1].tolist() == right
    assert np.count_nonzero(seen["damaged"]) == stops.count(0)


def test_the_transmitters_line(simulation) -> None:
    data = np.random.default_rng(3).integers(0, 256, 50).tolist()
    sent, lines, left = [], [], list(data)
    for _ in range(len(data) * 10 + 20):  # a bit at a time; a byte is offered until it is taken
        given = np.zeros(DIVISOR, np.int64)
        given[:] = left[0] if left else 0
        valid = np.full(DIVISOR, bool(left), np.int64)
        seen = simulation.run(DIVISOR, bytes__payload=given, bytes__valid=valid, rx=valid * 0 + 1)
        taken = np.flatnonzero(seen["bytes__ready"] & valid)
        assert len(taken) <= 1
        if len(taken):
            sent.append(left.pop(0))
        lines.append(seen["tx"])
    tx = np.concatenate(lines)
    assert sent == data
    found, at = [], 0
    while len(low := np.flatnonzero(tx[at:] == 0)):
        at += int(low[0])
        bits = tx[at : at + 10 * DIVISOR].reshape(10, DIVISOR)
        assert (bits == bits[:, :1]).all() and bits[9, 0] == 1
        found.append(int(bits[1:9, 0] @ (1 << np.arange(8))))
        at += 10 * DIVISOR
    assert found == data


def test_divisors() -> None:
    assert baud_divisor(50e6, 1e6) == 50
    for clock, baud in ((50e6, 15e6), (50e6, 9e6)):
        with pytest.raises(EscaError, match="cycles a bit"):
            baud_divisor(clock, baud)
