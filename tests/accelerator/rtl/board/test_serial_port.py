"""A serial port as a stream, at a pseudo-terminal."""

import os

import pytest

from esca.accelerator.rtl.board.serial_port import SerialPort
from esca.errors import EscaError

pytest.importorskip("serial")


def test_bytes_both_ways() -> None:
    here, there = os.openpty()
    port = SerialPort(os.ttyname(there), 115200)
    port.write(b"\xc0\x00\x11\x13\xff")  # bytes that a terminal would take for itself
    assert os.read(here, 100) == b"\xc0\x00\x11\x13\xff"
    os.write(here, bytes(range(256)))
    found = b""
    while len(found) < 256:
        found += port.read()
    assert found == bytes(range(256))
    assert port.read() == b""
    port.close()


def test_no_such_port() -> None:
    with pytest.raises(EscaError, match="board: /dev/no-such-port: "):
        SerialPort("/dev/no-such-port", 115200)
