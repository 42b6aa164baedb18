"""Drawing in a process of its own: decoding and drawing do not take turns at one interpreter lock.

Decoded frames lie in memory that both processes see; through a pipe go only their numbers.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.telepresence.picture import Renderer
from esca.telepresence.sink import Sink
from esca.telepresence.statistics import Samples

POLL = 0.02
"""Seconds after which a waiting thread looks whether the call is over."""

WAITING = 2
"""Decoded frames that wait to be drawn at most."""


@dataclass(frozen=True, eq=False)
class FrameRing:
    """Shared memory of N decoded frames. ``textures``: (N, T, T, 3). ``meshes``: (N, 3V)."""

    textures: Tensor
    meshes: Tensor

    @classmethod
    def shared(cls, size: int, values: int, decoders: int = 1) -> "FrameRing":
        """Memory for textures of side ``size`` and meshes of ``values`` numbers: for frames that
        wait, one being drawn and one in each of the ``decoders``, which get equally many.
        """
        frames = -(-(WAITING + 1 + decoders) // decoders) * decoders
        return cls(
            torch.zeros(frames, size, size, 3).share_memory_(),
            torch.zeros(frames, values).share_memory_(),
        )


@dataclass(frozen=True)
class _Handed:
    """A decoded frame: its place in the ring, when it was captured (None: made up)."""

    place: int
    captured_us: int | None


@dataclass
class Painted:
    """What was drawn; times in seconds on the monotonic clock, durations in ms."""

    shown: int = 0
    displaced: int = 0
    undrawn: int = 0
    unsunk: int = 0
    latency_ms: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    render_ms: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


class Screen:
    """The decoders' end: hands frames over in the order of their places in the ``ring``."""

    def __init__(self, pipe: Connection, ring: FrameRing) -> None:
        self._pipe = pipe
        self._ring = ring
        self._taken = 0
        self._returned = 0

    def ready(self, timeout: float) -> None:
        """Wait until frames can be drawn. EscaError if the painter could not begin."""
        if not self._pipe.poll(timeout):
            raise EscaError(f"call: the process that draws was silent for {timeout:g} s")
        self._told()

    def has_room(self, timeout: float) -> bool:
        """Whether another frame may be decoded: waits for that at most so many seconds."""
        frames = len(self._ring.textures)
        while self._pipe.poll(timeout if self._taken - self._returned == frames else 0):
            self._told()
            self._returned += 1
        return self._taken - self._returned < frames

    def take(self) -> int:
        """The place of the next frame; there must be room."""
        self._taken += 1
        return (self._taken - 1) % len(self._ring.textures)

    def show(self, place: int, texture: Tensor, mesh: Tensor, captured_us: int | None) -> None:
        """Hand over a decoded frame: ``texture`` (3, T, T), already in its place or copied there,
        and ``mesh`` (3V,). In the order in which places were taken; perhaps in another thread.
        """
        there = self._ring.textures[place].movedim(2, 0)
        if texture.data_ptr() != there.data_ptr():
            there.copy_(texture)
        self._ring.meshes[place].copy_(mesh)
        try:
            self._pipe.send(_Handed(place, captured_us))
        except OSError as error:
            raise EscaError("call: the process that draws ended early") from error

    def close(self) -> Painted:
        """No more frames come; what was drawn of them."""
        try:
            self._pipe.send(None)
        except OSError as error:
            raise EscaError("call: the process that draws ended early") from error
        told: object = None
        while not isinstance(told, Painted):
            told = self._told()
        return told

    def hang_up(self) -> None:
        """Let go of the painter, which then ends by itself."""
        self._pipe.close()

    def _told(self) -> object:
        try:
            told: object = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EscaError("call: the process that draws ended early") from error
        if isinstance(told, EscaError):
            raise told
        return told


def paint(pipe: Connection, ring: FrameRing, prepare: Callable[[], tuple[Renderer, Sink]]) -> None:
    """The other end of :class:`Screen`: draws what it hands over until it is closed.

    ``prepare``: makes the renderer and where its pictures go; its EscaError is raised at the
    screen's end.
    """
    try:
        renderer, sink = prepare()
        painter = _Painter(pipe, ring, renderer, sink)
        pipe.send("ready")
        painted = painter.run()
        sink.close()
        painted.unsunk = sink.dropped
        pipe.send(painted)
    except EscaError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the other end is gone, and nobody is left to tell


class _Painter:
    """Draws what is handed over, the newest first where it comes faster than that."""

    def __init__(self, pipe: Connection, ring: FrameRing, renderer: Renderer, sink: Sink) -> None:
        self._pipe, self._ring, self._renderer, self._sink = pipe, ring, renderer, sink
        self._waiting: deque[_Handed] = deque()
        self._latency, self._at = Samples(), Samples()
        self._render = Samples()
        self._painted = Painted()
        # The first frame finds everything loaded.
        renderer.draw(ring.textures[0].numpy(), ring.meshes[0])

    def run(self) -> Painted:
        cpu = time.process_time()
        while self._taken():
            if self._waiting:
                self._draw(self._waiting.popleft())
        done = self._painted
        done.undrawn = len(self._waiting)
        done.latency_ms, done.at = self._latency.values, self._at.values
        done.render_ms = self._render.values
        done.cpu_seconds = time.process_time() - cpu
        return done

    def _taken(self) -> bool:
        """Take what was handed over meanwhile; False when no more comes."""
        while self._pipe.poll(0 if self._waiting else POLL):
            handed = self._pipe.recv()
            if handed is None:
                return False
            self._waiting.append(handed)
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self._painted.displaced += 1
                self._pipe.send(None)
        return True

    def _draw(self, frame: _Handed) -> None:
        began = time.monotonic()
        texels, mesh = self._ring.textures[frame.place], self._ring.meshes[frame.place]
        picture = self._renderer.draw(texels.numpy(), mesh)
        self._pipe.send(None)
        self._sink.show(picture)
        now = time.monotonic()
        self._render.add((now - began) * 1e3)
        self._at.add(now)
        self._painted.shown += 1
        if frame.captured_us is not None:
            self._latency.add((now - frame.captured_us / 1e6) * 1e3)
