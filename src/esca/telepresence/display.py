"""The receiver's running parts: a thread that listens, one that decodes, one that looks for
occlusions, and the caller's own that draws. Between them stand queues that drop the oldest."""

import queue
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from socket import socket as Socket
from threading import Event
from typing import Generic, TypeVar

import torch
from torch import Tensor

from esca.runtime.backends import Decoder
from esca.telepresence.picture import Renderer
from esca.telepresence.receiver import Play, Playout, ReceivingEnd
from esca.telepresence.session import LARGEST_DATAGRAM
from esca.telepresence.sink import Sink
from esca.telepresence.statistics import Samples

T = TypeVar("T")

REST = 4
"""How many times as long as it looked for occlusions the thread that does so then rests."""

WAITING = 2
"""Decoded frames that wait to be drawn at most."""

FRAMES = WAITING + 2
"""Textures that are in use at once: those that wait, one being decoded and one being drawn."""

POLL = 0.02
"""Seconds after which a waiting thread looks whether the call is over."""


class DroppingQueue(Generic[T]):
    """A queue of at most ``size`` items, in which a new one displaces the oldest."""

    def __init__(self, size: int) -> None:
        self._items: queue.Queue[T] = queue.Queue(size)
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item; there is one producer."""
        while True:
            try:
                self._items.put_nowait(item)
                return
            except queue.Full:
                try:
                    self._items.get_nowait()
                    self.dropped += 1
                except queue.Empty:
                    continue

    def get(self, timeout: float) -> T | None:
        """The oldest item; None if none came within ``timeout`` seconds."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            return None

    def __len__(self) -> int:
        return self._items.qsize()


@dataclass(frozen=True, eq=False)
class Decoded:
    """One decoded frame on its way to the renderer. ``began``: when its slot was played."""

    play: Play
    texture: Tensor
    mesh: Tensor


@dataclass
class Shown:
    """What a receiver did; times in seconds on its monotonic clock, durations in ms.

    ``latency_ms``: from the captured frame's time stamp to the sink, of frames that really came.
    ``at``: when each picture was shown.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    decode_ms: list[float] = field(default_factory=list)
    render_ms: list[float] = field(default_factory=list)
    visibility_ms: list[float] = field(default_factory=list)
    delay_ms: float = 0.0
    feedback_bytes: int = 0
    ready_at: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Display:
    """Runs a receiver on a bound UDP socket until ``stop`` is set."""

    def __init__(
        self,
        socket: Socket,
        end: ReceivingEnd,
        playout: Playout,
        decoder: Decoder,
        view: Tensor,
        renderer: Renderer,
        sink: Sink,
        stop: Event,
    ) -> None:
        self._socket = socket
        self._end = end
        self._playout = playout
        self._decoder = decoder
        self._view = view[None]
        self._renderer = renderer
        self._sink = sink
        self._stop = stop
        self._decoded: DroppingQueue[Decoded] = DroppingQueue(WAITING)
        self._looked: DroppingQueue[Tensor] = DroppingQueue(1)
        self._counts: Counter[str] = Counter()
        self._feedback_bytes = 0
        self._latency, self._at = Samples(), Samples()
        self._decode, self._render, self._see = Samples(), Samples(), Samples()

    def warm_up(self, latent: int) -> None:
        """Decode and draw one frame, so that the first real one finds everything loaded."""
        with torch.no_grad():
            texture, mesh = self._decoder.decode(torch.zeros(1, latent), self._view)
        self._renderer.see(mesh[0])
        self._renderer.draw(texture[0], mesh[0])

    def run(self) -> Shown:
        """Receive, decode and draw until the end; then everything that was counted."""
        began, cpu = time.monotonic(), time.process_time()
        try:
            with ThreadPoolExecutor(3) as pool:
                parts = [pool.submit(part) for part in (self._listen, self._play, self._look)]
                for running in parts:
                    running.add_done_callback(lambda _: self._stop.set())
                try:
                    self._draw()
                finally:
                    self._stop.set()
        finally:
            self._renderer.close()
        for running in parts:
            running.result()  # raises what stopped it, if anything did
        self._sink.close()
        counts = self._end.counts + self._playout.counts + self._counts
        counts["waiting"] = self._playout.waiting
        counts["undrawn"] = len(self._decoded)
        counts["displaced"] = self._decoded.dropped
        counts["unsunk"] = self._sink.dropped
        return Shown(
            counts=dict(counts),
            rejected=dict(self._end.rejected),
            latency_ms=self._latency.values,
            at=self._at.values,
            decode_ms=self._decode.values,
            render_ms=self._render.values,
            visibility_ms=self._see.values,
            delay_ms=self._playout.delay_ms,
            feedback_bytes=self._feedback_bytes,
            ready_at=began,
            seconds=time.monotonic() - began,
            cpu_seconds=time.process_time() - cpu,
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

    def _play(self) -> None:
        while not self._stop.is_set():
            due = self._playout.due()
            wait = POLL / 4 if due is None else due - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, POLL))
                continue
            play = self._playout.play(time.monotonic())
            if play is None:
                continue
            began = time.monotonic()
            with torch.no_grad():
                texture, mesh = self._decoder.decode(torch.from_numpy(play.code)[None], self._view)
            self._decode.add((time.monotonic() - began) * 1e3)
            self._counts["decoded"] += 1
            mesh = mesh[0].clone()  # looked at longer than any frame is kept
            self._decoded.put(Decoded(play, texture[0], mesh))
            self._looked.put(mesh)

    def _look(self) -> None:
        while not self._stop.is_set():
            mesh = self._looked.get(POLL)
            if mesh is None:
                continue
            began = time.monotonic()
            if self._renderer.see(mesh):
                taken = time.monotonic() - began
                self._see.add(taken * 1e3)
                # Rays are for the time that decoding and drawing leave.
                self._stop.wait(REST * taken)

    def _draw(self) -> None:
        while not self._stop.is_set():
            frame = self._decoded.get(POLL)
            if frame is None:
                continue
            began = time.monotonic()
            picture = self._renderer.draw(frame.texture, frame.mesh)
            self._sink.show(picture)
            now = time.monotonic()
            self._render.add((now - began) * 1e3)
            self._at.add(now)
            self._counts["shown"] += 1
            if frame.play.captured_us is not None:
                self._latency.add((now - frame.play.captured_us / 1e6) * 1e3)
