"""Both protocols against each other over a bad network, without sockets, in simulated time."""

import heapq
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.codec import CodeModel
from esca.telepresence.concealment import ConcealmentConfig
from esca.telepresence.ends import address_of
from esca.telepresence.impairment import Impairment, ImpairmentConfig
from esca.telepresence.packets import BUDGET_KBPS, IP_UDP_BYTES, code_limit
from esca.telepresence.persona import Persona
from esca.telepresence.playout import PlayoutConfig
from esca.telepresence.receiver import Playout, ReceivingEnd
from esca.telepresence.sender import SILENCE, SendingEnd

from .conftest import LATENT

SECRET = b"s" * 32
RATE = 100
SKEW_US = 77_000_000


def _code(time: float) -> torch.Tensor:
    return torch.sin(torch.arange(LATENT) + 6 * time)


class Call:
    """A call of ``seconds`` in simulated time; the receiver is replaced at ``restart``."""

    def __init__(
        self, model: CodeModel, config: ImpairmentConfig, seconds: float, restart: float = 1e9
    ) -> None:
        self.sender = SendingEnd(SECRET, model, code_limit(RATE))
        self.forth, self.back = Impairment(config, 0), Impairment(config, 1)
        self.model, self.sent, self.wire, self.largest = model, 0, 0, 0
        self.lives: list[tuple[ReceivingEnd, Playout]] = []
        self.errors: list[float] = []
        self.wrong = 0
        self._new_receiver()
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._order = 0
        for tick in range(int(seconds * 1000)):
            now = tick / 1000
            if restart <= now:
                restart = 1e9
                self._new_receiver()
            self._deliver(now)
            if tick % (1000 // RATE) == 0:
                self._send(now)
            self._play(now)

    def _new_receiver(self) -> None:
        self.lives.append(
            (
                ReceivingEnd(SECRET, self.model),
                Playout(self.model, 1 / RATE, PlayoutConfig(), ConcealmentConfig()),
            )
        )

    def _launch(self, path: Impairment, side: int, packet: bytes | None, now: float) -> None:
        if packet is not None:
            for delay, datagram in path.passed(packet):
                self._order += 1
                heapq.heappush(self._under_way, (now + 0.01 + delay, self._order, side, datagram))

    def _send(self, now: float) -> None:
        self._launch(self.forth, 0, self.sender.knock(now), now)
        integers = self.model.integers(_code(now))
        packet = self.sender.media(integers, int(now * 1e6) + SKEW_US)
        if packet is not None:
            self.sent += 1
            self.wire += len(packet) + IP_UDP_BYTES
            self.largest = max(self.largest, len(packet) + IP_UDP_BYTES)
        self._launch(self.forth, 0, packet, now)

    def _deliver(self, now: float) -> None:
        end, playout = self.lives[-1]
        while self._under_way and self._under_way[0][0] <= now:
            _, _, side, datagram = heapq.heappop(self._under_way)
            if side:
                self.sender.receive(datagram, now)
                continue
            answer, arrived = end.receive(datagram)
            self._launch(self.back, 1, answer, now)
            if arrived is not None:
                truth = self.model.integers(_code((arrived.captured_us - SKEW_US) / 1e6))
                self.wrong += not np.array_equal(arrived.integers, truth)
                playout.arrived(arrived, now)
        self._launch(self.back, 1, end.feedback(now), now)

    def _play(self, now: float) -> None:
        _, playout = self.lives[-1]
        play = playout.play(now)
        if play is not None and play.captured_us is None:
            assert np.isfinite(play.code).all()

    def total(self) -> tuple[Counter[str], Counter[str]]:
        counts, rejected = Counter[str](), Counter[str]()
        for end, playout in self.lives:
            counts += end.counts + playout.counts + Counter(waiting=playout.waiting)
            rejected += end.rejected
        return counts, rejected


def _check(call: Call) -> None:
    """What always holds, whatever the network did."""
    counts, rejected = call.total()
    assert counts["datagrams"] == counts["knocks"] + counts["media"] + sum(rejected.values())
    taken = ("kept", "late", "early", "twice", "unreferenced", "undecodable")
    assert counts["media"] == sum(counts[name] for name in taken)
    left = ("played", "stale", "discarded", "waiting")
    assert counts["kept"] == sum(counts[name] for name in left)
    assert counts["media"] <= call.sent
    assert call.wrong == 0
    assert counts["unreferenced"] == counts["undecodable"] == 0


def test_clean_call_plays_everything(persona: Persona) -> None:
    call = Call(persona.codes, ImpairmentConfig(), 3)
    _check(call)
    counts, rejected = call.total()
    assert not rejected
    assert counts["concealed"] == counts["late"] == counts["missed"] == 0
    assert counts["played"] >= call.sent - 5
    assert call.largest * 8 * RATE <= BUDGET_KBPS * 1000


def test_ten_percent_loss_is_concealed(persona: Persona) -> None:
    call = Call(persona.codes, ImpairmentConfig(loss=0.1, seed=1), 6)
    _check(call)
    counts, _ = call.total()
    under_way = 3  # when the call ends, and knocks that are lost too
    assert abs(counts["media"] + call.forth.counts["lost"] - call.sent) <= under_way
    lost = call.sent - counts["media"]
    assert 0.06 * call.sent < lost < 0.14 * call.sent
    assert counts["played"] + counts["concealed"] >= call.sent - 10
    assert abs(counts["concealed"] - lost) <= 8


def test_jitter_and_reordering_are_played_in_order(persona: Persona) -> None:
    call = Call(persona.codes, ImpairmentConfig(jitter_ms=50, reorder=0.05, seed=2), 8)
    _check(call)
    counts, _ = call.total()
    assert counts["played"] > 0.85 * call.sent
    assert counts["late"] < 0.1 * call.sent


def test_garbage_and_replays_are_rejected(persona: Persona) -> None:
    call = Call(persona.codes, ImpairmentConfig(garbage=0.5, duplicate=0.2, seed=3), 4)
    _check(call)
    counts, rejected = call.total()
    assert set(rejected) == {"malformed", "stranger", "forged", "replayed"}
    assert counts["played"] >= call.sent - 5
    assert sum(rejected.values()) >= 0.3 * call.sent


def test_a_restarted_receiver_finds_back(persona: Persona) -> None:
    call = Call(persona.codes, ImpairmentConfig(loss=0.1, garbage=0.1, seed=4), 6, restart=3)
    _check(call)
    (_, first), (end, second) = call.lives
    assert first.counts["played"] > 0.8 * 3 * RATE * 0.9
    assert end.rejected["stranger"] > 0
    back = (SILENCE + 0.5) * RATE
    assert second.counts["played"] > (3 * RATE - back) * 0.8
    assert call.sender.sessions == 2


@settings(max_examples=25)
@given(
    st.builds(
        ImpairmentConfig,
        loss=st.floats(0, 0.6),
        jitter_ms=st.floats(0, 120),
        reorder=st.floats(0, 0.5),
        duplicate=st.floats(0, 0.5),
        garbage=st.floats(0, 1),
        seed=st.integers(0, 1000),
    ),
    st.sampled_from([0.5, 1e9]),
)
def test_accounts_hold_on_any_network(config: ImpairmentConfig, restart: float) -> None:
    _check(Call(_MODEL[0], config, 1.0, restart))


_MODEL: list[CodeModel] = []


@pytest.fixture(autouse=True)
def _model(persona: Persona) -> None:
    _MODEL[:] = [persona.codes]


def test_time_stamps_that_jump_begin_anew(persona: Persona) -> None:
    sender, receiver = SendingEnd(SECRET, persona.codes, 126), ReceivingEnd(SECRET, persona.codes)
    playout = Playout(persona.codes, 0.01, PlayoutConfig(), ConcealmentConfig())
    knock = sender.knock(0.0)
    assert knock is not None
    answer, _ = receiver.receive(knock)
    assert answer is not None
    sender.receive(answer, 0.0)
    for number, stamp in enumerate((0, 10_000, 9_000_000_000, 9_000_010_000)):
        packet = sender.media(persona.codes.integers(_code(0)), stamp)
        assert packet is not None
        _, arrived = receiver.receive(packet)
        assert arrived is not None
        playout.arrived(arrived, number * 0.01)
    assert playout.counts["discarded"] == 2
    assert playout.waiting == 2


def test_budget_arithmetic() -> None:
    # 150 kbit/s at 100 Hz: 187 bytes less 28 (IP, UDP), 9 (header), 16 (tag), 6 (time stamp).
    assert code_limit(100, 150) == 128
    with pytest.raises(EscaError, match="bandwidth"):
        code_limit(100, 50)


def test_addresses() -> None:
    assert address_of("example.org:5004") == ("example.org", 5004)
    for wrong in ("5004", ":5004", "a:b", "a:70000"):
        with pytest.raises(EscaError, match="expected HOST:PORT"):
            address_of(wrong)


def test_bad_impairment() -> None:
    with pytest.raises(EscaError, match="loss"):
        ImpairmentConfig(loss=1.5)
    with pytest.raises(EscaError, match="jitter_ms"):
        ImpairmentConfig(jitter_ms=-1)
