"""Packets under attack: tampering, replays, noise, strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esca.errors import EscaError
from esca.telepresence.handshake import Knocker, Listener, new_secret, read_secret
from esca.telepresence.session import (
    FEEDBACK,
    MEDIA,
    OVERHEAD,
    WINDOW,
    RejectedError,
    ReplayWindow,
    Session,
)


def _pair() -> tuple[Session, Session]:
    media, feedback = b"m" * 32, b"f" * 32
    return Session(7, media, feedback, MEDIA), Session(7, feedback, media, FEEDBACK)


def _reason(session: Session, datagram: bytes) -> str:
    with pytest.raises(RejectedError) as caught:
        session.open(datagram)
    return caught.value.reason


def test_packets_go_both_ways() -> None:
    sender, receiver = _pair()
    for number in range(3):
        body = bytes([number]) * number
        packet = sender.seal(body)
        assert len(packet) == len(body) + OVERHEAD
        assert receiver.open(packet) == (number, body)
        assert sender.open(receiver.seal(body)) == (number, body)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_every_flipped_bit_is_noticed(place: int, bit: int) -> None:
    sender, receiver = _pair()
    packet = bytearray(sender.seal(b"a face"))
    packet[place % len(packet)] ^= 1 << bit
    assert _reason(receiver, bytes(packet)) in ("malformed", "stranger", "forged")
    packet[place % len(packet)] ^= 1 << bit
    assert receiver.open(bytes(packet)) == (0, b"a face")


@given(st.binary(max_size=1300))
def test_noise_is_rejected(noise: bytes) -> None:
    sender, receiver = _pair()
    for session in (sender, receiver):
        _reason(session, noise)
    with pytest.raises(RejectedError):
        Listener(b"k" * 32).open(noise)
    with pytest.raises(RejectedError):
        Listener(b"k" * 32).answer(noise)
    with pytest.raises(RejectedError):
        Knocker(b"k" * 32).answered(noise)


def test_replays_and_reflections_are_rejected() -> None:
    sender, receiver = _pair()
    first, second = sender.seal(b"one"), sender.seal(b"two")
    assert receiver.open(second) == (1, b"two")
    assert receiver.open(first) == (0, b"one")
    assert _reason(receiver, first) == _reason(receiver, second) == "replayed"
    assert _reason(sender, first) == "malformed"


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
def test_replay_window_against_a_set(numbers: list[int]) -> None:
    window, taken, newest = ReplayWindow(), set[int](), -1
    for number in numbers:
        expected = number not in taken and number > newest - WINDOW
        assert window.fresh(number) == expected
        if expected:
            window.take(number)
            taken.add(number)
            newest = max(newest, number)


def test_handshake_makes_equal_keys_and_survives_loss() -> None:
    secret = new_secret()
    knocker, listener = Knocker(secret), Listener(secret)
    listener.answer(knocker.knock())  # its hello is lost
    hello = listener.answer(knocker.knock())
    sender = knocker.answered(hello)
    session, number, body = listener.open(sender.seal(b"hi"))
    assert (number, body) == (0, b"hi")
    assert listener.session is session
    assert sender.open(session.seal(b"yes")) == (0, b"yes")


def test_a_recorded_call_cannot_be_replayed_to_a_new_receiver() -> None:
    secret = new_secret()
    knocker, listener = Knocker(secret), Listener(secret)
    knock = knocker.knock()
    sender = knocker.answered(listener.answer(knock))
    recorded = sender.seal(b"hi")
    fresh = Listener(secret)
    fresh.answer(knock)
    with pytest.raises(RejectedError, match="stranger"):
        fresh.open(recorded)


def test_a_replayed_knock_does_not_end_a_session() -> None:
    secret = new_secret()
    knocker, listener = Knocker(secret), Listener(secret)
    old = Knocker(secret).knock()
    sender = knocker.answered(listener.answer(knocker.knock()))
    listener.open(sender.seal(b"1"))
    listener.answer(old)
    assert listener.open(sender.seal(b"2"))[1:] == (1, b"2")


def test_a_restarted_receiver_takes_a_new_session() -> None:
    secret = new_secret()
    knocker, listener = Knocker(secret), Listener(secret)
    sender = knocker.answered(listener.answer(knocker.knock()))
    listener.open(sender.seal(b"1"))
    fresh = Listener(secret)
    again = knocker.answered(fresh.answer(knocker.knock()))
    assert fresh.open(again.seal(b"2"))[1:] == (0, b"2")
    with pytest.raises(RejectedError):
        fresh.open(sender.seal(b"3"))


def test_hello_answers_one_knock_once() -> None:
    secret = new_secret()
    knocker, listener = Knocker(secret), Listener(secret)
    hello = listener.answer(knocker.knock())
    knocker.answered(hello)
    with pytest.raises(RejectedError, match="replayed"):
        knocker.answered(hello)


def test_another_secret_is_forged() -> None:
    knocker, listener = Knocker(new_secret()), Listener(new_secret())
    with pytest.raises(RejectedError, match="forged"):
        listener.answer(knocker.knock())


def test_secrets_are_read(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = new_secret()
    file = tmp_path / "key"
    file.write_text(secret.hex() + "\n")
    assert read_secret(file) == secret
    monkeypatch.setenv("ESCA_CALL_KEY", secret.hex())
    assert read_secret(None) == secret
    file.write_text("abc")
    with pytest.raises(EscaError, match=r"key: expected 64 hexadecimal digits"):
        read_secret(file)
    with pytest.raises(EscaError, match="no readable key"):
        read_secret(tmp_path / "none")
    monkeypatch.delenv("ESCA_CALL_KEY")
    with pytest.raises(EscaError, match="ESCA_CALL_KEY"):
        read_secret(None)
