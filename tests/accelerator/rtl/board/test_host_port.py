"""The protocol, bit by bit over a simulated line: memory, runs, and frames that are damaged."""

import zlib

import numpy as np
import pytest
from tests.accelerator.rtl.board.stub_machine import COLUMNS, CONFIG, RESULTS, SETTINGS, StubMachine

from esca.accelerator.rtl.board.crc import START, crc_step
from esca.accelerator.rtl.board.host import Board
from esca.accelerator.rtl.board.protocol import (
    END,
    ESCAPE,
    Answer,
    DamagedError,
    Op,
    Request,
    Status,
    framed,
    unframed,
)
from esca.accelerator.rtl.board.simulated import JoinedBoard, line_bits
from esca.errors import EscaError

PATIENCE = 8192


@pytest.fixture(scope="module")
def simulated():
    return JoinedBoard(StubMachine(), SETTINGS, PATIENCE)


def asked(simulated, request):
    """The answer to one request, sent once."""
    simulated.write(request.frame())
    return answers(simulated)


def answers(simulated):
    came = bytearray()
    while piece := simulated.read():
        came += piece
    return [Answer.parse(bytes(body)) for body in came.split(bytes([END])) if body]


def random_bytes(rng, size):
    """Half of them are those that frames treat in a special way."""
    special = rng.choice([END, ESCAPE, 0xDC, 0xDD], size)
    return np.where(rng.integers(0, 2, size), special, rng.integers(0, 256, size)).astype("u1")


def test_messages() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 100):
        message = random_bytes(rng, size).tobytes()
        crc = START
        for byte in message:
            crc = crc_step(crc, byte)
        assert crc ^ START == zlib.crc32(message)
        frame = framed(message)
        assert frame.count(END) == 2 and unframed(frame[1:-1]) == message
        with pytest.raises(DamagedError):
            unframed(bytes([frame[1] ^ 1]) + frame[2:-1])


def test_memory_and_identity(simulated) -> None:
    board = Board(simulated)
    assert board.identity.config == CONFIG and board.identity.memory_bytes == 1 << 25
    assert board.identity.clock_hertz == 50_000_000 and board.identity.constants == COLUMNS
    rng = np.random.default_rng(1)
    wanted = np.zeros(1 << 13, np.uint8)
    for _ in range(4):
        first, size = 2 * rng.integers(0, 2000), int(2 * rng.integers(0, 900))
        values = random_bytes(rng, size)
        wanted[first : first + size] = values
        board.write(int(first), values.tobytes())
    np.testing.assert_array_equal(simulated.image[: 1 << 13], wanted)
    assert board.read(1002, 3000) == wanted[1002:4002].tobytes()
    last = (1 << 25) - 6
    board.write(last, b"\xc0\xdb\x00\xff\x01\x02")
    assert board.read(last, 6) == b"\xc0\xdb\x00\xff\x01\x02"
    for address, size in ((1 << 25, 2), ((1 << 25) - 2, 4), (1, 2), ((1 << 32) - 2, 4)):
        with pytest.raises(EscaError, match=r"read of . at .*: range"):
            board.read(address, size)
    status = board.status()
    assert status.memory and not status.busy and not status.frame_errors
    assert not simulated.wrongs and not board.repeated


def test_runs_and_constants(simulated) -> None:
    board, rng = Board(simulated), np.random.default_rng(2)
    before = board.status().runs
    for number in range(2):
        words, columns = rng.integers(0, 1 << 32, 16, "<u4"), rng.integers(0, 256, (5, 6), "u1")
        columns[:, 0] &= 0xFE
        columns[-1, 0] |= number  # the stand-in's alarm
        board.write(4096, words.tobytes())
        board.write_constants([bytes(one) for one in columns], 7)
        board.run(4096, RESULTS)
        status = board.status()
        assert (status.busy, status.alarm) == (False, bool(number))
        assert status.runs == before + number + 1
        assert 30 < status.cycles < 100
        found = np.frombuffer(board.read(4096 + 64, 16), "<u4")
        low, high = np.frombuffer(bytes(columns[-1]) + bytes(2), "<u4")
        assert found.tolist() == [words.sum(dtype=np.uint32), low, high & 0xFF, 7 + 4]


def test_what_a_board_refuses() -> None:
    simulated = JoinedBoard(StubMachine(), SETTINGS, PATIENCE)
    endless = (RESULTS + 1).to_bytes(4, "little")
    assert asked(simulated, Request(Op.RUN, 9, 0, 4096, endless)) == [
        Answer(Op.RUN, 9, Status.OK, b"")
    ]
    for op, size, address, payload, status in (
        (Op.RUN, 0, 4096, endless, Status.BUSY),
        (Op.CONSTANTS, 6, 0, bytes(6), Status.BUSY),
        (Op.WRITE, 4, 0, bytes(6), Status.DAMAGED),
        (Op.WRITE, 2000, 0, bytes(1000), Status.RANGE),
        (Op.READ, 3, 0, b"", Status.RANGE),
        (77, 0, 0, b"", Status.UNKNOWN),
    ):
        (answer,) = asked(simulated, Request(op, 5, size, address, payload))
        assert (answer.status, answer.tag, answer.payload) == (status, 5, b"")
    board = Board(simulated)
    assert board.status().busy and board.status().runs == 1
    with pytest.raises(EscaError, match="a program runs"):
        board.run(4096, RESULTS)


def test_a_frame_that_comes_too_early_is_dropped_alone(simulated) -> None:
    status = Request(Op.STATUS, 1)
    simulated.write(status.frame() * 2)  # the second is over before the answer to the first
    assert len(answers(simulated)) == 1
    assert len(asked(simulated, status)) == 1


def test_damaged_frames_change_nothing(simulated) -> None:
    board, rng = Board(simulated), np.random.default_rng(3)
    board.write(0, bytes(range(200)))
    before, bad = simulated.image[:4096].copy(), 0
    errors = board.status()
    request = Request(Op.WRITE, 1, 64, 8, random_bytes(rng, 64).tobytes()).frame()
    for _ in range(8):
        frame = bytearray(request)
        place = int(rng.integers(1, len(frame) - 1))
        frame[place] ^= 1 << int(rng.integers(0, 8))
        simulated.write(bytes(frame))
        found = answers(simulated)
        assert found and all(one.status == Status.DAMAGED for one in found)
        bad += len(found)
    simulated.write(request[: len(request) // 2])  # cut off; the next frame's END ends it
    found = answers(simulated)
    simulated.write(bytes([END]))
    found += answers(simulated)
    assert [one.status for one in found] == [Status.DAMAGED]
    bits = line_bits(request, SETTINGS.divisor)
    stop = (20 * 10 + 9) * SETTINGS.divisor
    bits[stop : stop + SETTINGS.divisor] = 0  # a stop bit that is none
    simulated.write_bits(bits)
    found = answers(simulated)
    assert found and all(one.status == Status.DAMAGED for one in found)
    np.testing.assert_array_equal(simulated.image[:4096], before)
    status = board.status()
    assert status.frame_errors - errors.frame_errors >= bad + 2
    assert status.line_errors > errors.line_errors
    board.write(8, bytes(64))  # and all goes on
    assert not simulated.image[8:72].any()


class BadLine:
    """A stream that damages or loses some bytes, by chance ``rate``, either way."""

    def __init__(self, stream, rate, seed) -> None:
        self.stream, self.rate, self.rng = stream, rate, np.random.default_rng(seed)

    def _spoil(self, data):
        found = bytearray()
        for byte in data:
            chance = self.rng.random() / self.rate
            if chance >= 1:
                found.append(byte)
            elif chance < 0.5:
                found.append(byte ^ 1 << int(self.rng.integers(0, 8)))
        return bytes(found)

    def write(self, data):
        self.stream.write(self._spoil(data))

    def read(self):
        while came := self.stream.read():
            if spoilt := self._spoil(came):
                return spoilt
        return b""


def test_a_host_gets_through_a_bad_line(simulated) -> None:
    line = BadLine(simulated, 0.004, 4)
    board, rng = Board(line, tries=30), np.random.default_rng(5)
    before = board.status().runs
    for number in range(2):
        values = random_bytes(rng, 200).tobytes()
        board.write(512, values)
        assert board.read(512, 200) == values
        board.write(4096, bytes(64))
        board.run(4096, RESULTS)
        assert board.status().runs == before + number + 1
    assert board.repeated > 3 and not simulated.wrongs


class LostOnce:
    """A stream that loses what comes behind the first frame of RUN."""

    def __init__(self, stream) -> None:
        self.stream, self.lose = stream, None

    def write(self, data):
        self.lose = self.lose is None if data[1] == Op.RUN else False if self.lose else self.lose
        self.stream.write(data)

    def read(self):
        came = self.stream.read()
        return b"" if self.lose else came


def test_a_lost_answer_begins_no_second_run(simulated) -> None:
    board = Board(LostOnce(simulated))
    board.write(4096, bytes(64))
    before = board.status().runs
    board.run(4096, RESULTS)
    assert board.status().runs == before + 1 and board.repeated == 1


def test_a_silent_line() -> None:
    class Silent:
        def write(self, data):
            pass

        def read(self):
            return b""

    with pytest.raises(EscaError, match="no answer to identify in 5 tries"):
        Board(Silent())
