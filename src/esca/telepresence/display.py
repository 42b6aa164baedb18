"""The receiver's running parts: threads that listen, that decode, and that hand decoded frames on
in their order, before a screen that draws in a process of its own."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Queue
from socket import socket as Socket
from threading import Event, Semaphore

import torch
from torch import Tensor

from esca.runtime.backends import Decoder
from esca.telepresence.painting import POLL, Screen
from esca.telepresence.receiver import Play, Playout, ReceivingEnd
from esca.telepresence.session import LARGEST_DATAGRAM
from esca.telepresence.statistics import Samples


@dataclass
class Shown:
    """What a receiver did; times in seconds on its monotonic clock, durations in ms.

    ``latency_ms``: from the captured frame's time stamp to the sink, of frames that really came.
    ``at``: when each picture was shown. ``cpu_seconds``: of all processes of the receiver.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    decode_ms: list[float] = field(default_factory=list)
    render_ms: list[float] = field(default_factory=list)
    delay_ms: float = 0.0
    feedback_bytes: int = 0
    ready_at: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Display:
    """Runs a receiver on a bound UDP socket until ``stop`` is set.

    ``decoders``: take turns, so that as many frames are decoded at once: one core each is used
    better than several for one frame. A decoder that writes to the screen's ring itself has every
    ``len(decoders)``-th of its places.
    """

    def __init__(
        self,
        socket: Socket,
        end: ReceivingEnd,
        playout: Playout,
        decoders: Sequence[Decoder],
        view: Tensor,
        screen: Screen,
        stop: Event,
    ) -> None:
        self._socket = socket
        self._end = end
        self._playout = playout
        self._decoders = decoders
        self._view = view[None]
        self._screen = screen
        self._stop = stop
        self._counts: Counter[str] = Counter()
        self._feedback_bytes = 0
        self._decode_ms = Samples()
        self._free = Semaphore(len(decoders))
        self._decoding: Queue[tuple[int, Play, Future[tuple[Tensor, Tensor]]] | None] = Queue()

    def warm_up(self, latent: int, frames: int) -> None:
        """Decode so many frames with each decoder, so that the first real one finds everything
        loaded.
        """
        for decoder in self._decoders:
            for _ in range(frames):
                self._decoded(decoder, torch.zeros(1, latent))

    def run(self) -> Shown:
        """Receive and decode until the end; then everything that was counted."""
        began, cpu = time.monotonic(), time.process_time()
        try:
            # Decoding ends last, since playing gives it work.
            with (
                ThreadPoolExecutor(len(self._decoders)) as decoding,
                ThreadPoolExecutor(3) as pool,
            ):
                parts = [
                    pool.submit(self._listen),
                    pool.submit(self._play, decoding),
                    pool.submit(self._hand_over),
                ]
                for running in parts:
                    running.add_done_callback(lambda _: self._stop.set())
                self._stop.wait()
            for running in parts:
                running.result()  # raises what stopped it, if anything did
            seconds, cpu = time.monotonic() - began, time.process_time() - cpu
            painted = self._screen.close()
        finally:
            self._screen.hang_up()
        counts = self._end.counts + self._playout.counts + self._counts
        counts["waiting"] = self._playout.waiting
        counts["shown"] = painted.shown
        counts["undrawn"] = painted.undrawn
        counts["displaced"] = painted.displaced
        counts["unsunk"] = painted.unsunk
        return Shown(
            counts=dict(counts),
            rejected=dict(self._end.rejected),
            latency_ms=painted.latency_ms,
            at=painted.at,
            decode_ms=self._decode_ms.values,
            render_ms=painted.render_ms,
            delay_ms=self._playout.delay_ms,
            feedback_bytes=self._feedback_bytes,
            ready_at=began,
            seconds=seconds,
            cpu_seconds=cpu + painted.cpu_seconds,
        )

    def _listen(self) -> None:
        peer = None
        self._socket.settimeout(POLL)
        while not self._stop.is_set():
            try:
                datagram, address = self._socket.recvfrom(LARGEST_DATAGRAM + 1)
            except (TimeoutError, ConnectionRefusedError):
                continue
            answer, arrived = self._end.receive(datagram)
            now = time.monotonic()
            if answer is not None:
                self._put(answer, address)
            if arrived is not None:
                peer = address
                self._playout.arrived(arrived, now)
            told = self._end.feedback(now) if peer is not None else None
            if told is not None:
                self._feedback_bytes += self._put(told, peer)

    def _put(self, packet: bytes, address: object) -> int:
        try:
            return self._socket.sendto(packet, address)  # type: ignore[call-overload]
        except (TimeoutError, ConnectionRefusedError, BlockingIOError):
            return 0  # for the sender it is a lost packet

    def _play(self, pool: ThreadPoolExecutor) -> None:
        try:
            while not self._stop.is_set():
                due = self._playout.due()
                wait = POLL / 4 if due is None else due - time.monotonic()
                if wait > 0:
                    time.sleep(min(wait, POLL))
                elif self._screen.has_room(POLL) and self._free.acquire(timeout=POLL):
                    self._begin(pool)
        finally:
            self._decoding.put(None)

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        play = self._playout.play(time.monotonic())
        if play is None:
            self._free.release()
            return
        place = self._screen.take()
        decoder = self._decoders[place % len(self._decoders)]
        running = pool.submit(self._timed, decoder, torch.from_numpy(play.code)[None])
        self._decoding.put((place, play, running))

    def _timed(self, decoder: Decoder, code: Tensor) -> tuple[Tensor, Tensor]:
        began = time.monotonic()
        made = self._decoded(decoder, code)
        self._decode_ms.add((time.monotonic() - began) * 1e3)
        return made

    def _decoded(self, decoder: Decoder, code: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            texture, mesh = decoder.decode(code, self._view)
        return texture[0], mesh[0]

    def _hand_over(self) -> None:
        while (one := self._decoding.get()) is not None:
            place, play, running = one
            texture, mesh = running.result()
            self._counts["decoded"] += 1
            self._screen.show(place, texture, mesh, play.captured_us)
            self._free.release()
