"""A call on one machine: sender, receiver and, between them, a bad network, each a process."""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import Any

from esca.errors import EscaError
from esca.telepresence.display import Shown
from esca.telepresence.ends import (
    START_SECONDS,
    Address,
    ReceivingFiles,
    SendingFiles,
    bound_socket,
    connected_socket,
    prepare_display,
    prepare_source,
)
from esca.telepresence.handshake import new_secret
from esca.telepresence.impairment import ImpairmentConfig
from esca.telepresence.relay import Relay
from esca.telepresence.sender import Sent, send

HOST = "127.0.0.1"
DRAIN_SECONDS = 0.4
"""How long the receiver goes on after the last packet was sent."""


@dataclass(frozen=True)
class LoopbackConfig:
    """``restart_at``: seconds after which the receiver is ended and a new one started, or None."""

    sending: SendingFiles
    receiving: ReceivingFiles
    seconds: float
    impairment: ImpairmentConfig = field(default_factory=ImpairmentConfig)
    restart_at: float | None = None

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise EscaError(f"seconds: {self.seconds}, expected above 0")
        if self.restart_at is not None and not 0 < self.restart_at < self.seconds:
            raise EscaError(
                f"restart: at {self.restart_at} s, expected inside the call of {self.seconds} s"
            )


@dataclass(frozen=True)
class Outcome:
    """What both ends and the network did. ``shown``: one entry a life of the receiver.

    ``network``: counts of the relay on the way to the receiver; None without one.
    """

    sent: Sent
    shown: tuple[Shown, ...]
    network: dict[str, int] | None


def loopback(config: LoopbackConfig, started: Callable[[], None] | None = None) -> Outcome:
    """Run a call and wait for its end. ``started`` is called when the first packet is about to go.

    Both ends read CLOCK_MONOTONIC of one machine, so latencies are absolute.
    """
    secret = new_secret()
    children: list[_Child] = []

    def child(target: Callable[..., None], *arguments: Any) -> _Child:
        made = _Child(target, arguments)
        children.append(made)
        return made

    try:
        receiver = child(_receive, config.receiving, secret, (HOST, 0))
        address = receiver.told()
        network = None
        target = address
        if config.impairment.any:
            network = child(_relay, address, config.impairment)
            target = network.told()
        sender = child(_send, config.sending, secret, target, config.seconds)
        sender.told()
        if started is not None:
            started()
        sender.tell("go")
        shown = []
        if config.restart_at is not None:
            time.sleep(config.restart_at)
            shown.append(receiver.ended())
            receiver = child(_receive, config.receiving, secret, address)
            receiver.told()
        sent = sender.told(config.seconds + START_SECONDS)
        time.sleep(DRAIN_SECONDS)
        shown.append(receiver.ended())
        counts = None if network is None else network.ended()
        return Outcome(sent, tuple(shown), counts)
    finally:
        for made in children:
            made.dismiss()


class _Child:
    """A process and the pipe to it. It tells one thing when it is ready and one at its end."""

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # No daemon, since those may not start processes; the pipe's end ends it all the same.
        self._process = context.Process(target=_told_errors, args=(theirs, target, arguments))
        self._process.start()
        theirs.close()

    def told(self, timeout: float = START_SECONDS) -> Any:
        """What the process tells next; its EscaError is raised here."""
        try:
            if not self._pipe.poll(timeout):
                raise EscaError(f"call: a process was silent for {timeout:g} s")
            told = self._pipe.recv()
        except EOFError:
            raise EscaError("call: a process ended early, its message is above") from None
        if isinstance(told, EscaError):
            raise told
        return told

    def tell(self, word: str) -> None:
        self._pipe.send(word)

    def ended(self) -> Any:
        """End the process; returns its last words."""
        self.tell("stop")
        last = self.told()
        self._process.join(START_SECONDS)
        return last

    def dismiss(self) -> None:
        """Make sure that nothing is left running."""
        self._pipe.close()
        if self._process.is_alive():
            self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _told_errors(pipe: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        target(pipe, *arguments)
    except EscaError as error:
        pipe.send(error)


def _stop_when_told(pipe: Connection) -> Event:
    """An event that is set by the next word from the parent, or when the parent is gone."""
    stop = Event()

    def wait() -> None:
        with suppress(EOFError):
            pipe.recv()
        stop.set()

    Thread(target=wait, daemon=True).start()
    return stop


def _receive(pipe: Connection, files: ReceivingFiles, secret: bytes, address: Address) -> None:
    with bound_socket(address) as bound:
        stop = _stop_when_told(pipe)
        display = prepare_display(files, secret, bound, stop)
        pipe.send(bound.getsockname())
        pipe.send(display.run())


def _send(
    pipe: Connection, files: SendingFiles, secret: bytes, address: Address, seconds: float
) -> None:
    source, persona = prepare_source(files)
    pipe.send("ready")
    pipe.recv()
    stop = _stop_when_told(pipe)
    with connected_socket(address) as connected:
        pipe.send(send(source, persona.codes, secret, connected, files.config, seconds, stop))


def _relay(pipe: Connection, receiver: Address, config: ImpairmentConfig) -> None:
    stop = _stop_when_told(pipe)
    relay = Relay(receiver, config)
    pipe.send(relay.address)
    relay.run(stop.is_set)
    pipe.send(relay.counts)
