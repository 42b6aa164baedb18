"""The two ends of a call, ready to run: files in, sockets and threads out."""

import multiprocessing
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import torch

from esca.avatars import load_avatar
from esca.captures.reader import open_capture
from esca.errors import EscaError
from esca.quantization.calibration import check_fits
from esca.runtime import load_artifact
from esca.runtime.backends import ENGINES, Engine, open_decoder
from esca.telepresence.concealment import ConcealmentConfig
from esca.telepresence.display import Display
from esca.telepresence.motion import motion_of
from esca.telepresence.painting import FrameRing, Screen, paint
from esca.telepresence.persona import Persona, load_persona
from esca.telepresence.picture import LEAST_ROWS, Renderer
from esca.telepresence.playout import PlayoutConfig
from esca.telepresence.receiver import Playout, ReceivingEnd
from esca.telepresence.sender import SenderConfig
from esca.telepresence.sink import ChecksumSink, Sink, VideoSink
from esca.telepresence.source import CodeSource, Encode, source_of

SWITCH_SECONDS = 0.0005
"""How long one Python thread may keep the others waiting: the default of 5 ms is half a frame."""

MOST_DECODERS = 16

START_SECONDS = 300.0
"""Longest time that a process may take to load its files."""

Address = tuple[str, int]


@dataclass(frozen=True)
class SendingFiles:
    """What the sender reads. ``segments``: prefixes of segment names to play (default: all)."""

    capture: Path
    avatar: Path
    persona: Path
    encode: Encode = "ahead"
    segments: tuple[str, ...] = ()
    config: SenderConfig = field(default_factory=SenderConfig)


@dataclass(frozen=True)
class ReceivingFiles:
    """What the receiver reads and how it plays. ``decoders``: frames that are decoded at once, with
    so many ``threads`` each. ``rows``: height of the window in pixels.
    """

    artifact: Path
    persona: Path
    backend: Engine = "openvino"
    threads: int = 1
    decoders: int = 1
    rate_hz: float = 100.0
    rows: int = 384
    playout: PlayoutConfig = field(default_factory=PlayoutConfig)
    concealment: ConcealmentConfig = field(default_factory=ConcealmentConfig)
    record: Path | None = None

    def __post_init__(self) -> None:
        if self.backend not in ENGINES:
            raise EscaError(f"backend: {self.backend!r}, expected one of {' '.join(ENGINES)}")
        if not 1 <= self.decoders <= MOST_DECODERS:
            raise EscaError(f"decoders: {self.decoders}, expected 1 to {MOST_DECODERS}")
        if self.rows < LEAST_ROWS:
            raise EscaError(f"rows: {self.rows}, expected {LEAST_ROWS} or more")


def address_of(text: str) -> Address:
    """``HOST:PORT`` as an address, or EscaError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise EscaError(f"address: {text!r}, expected HOST:PORT")
    return host, int(port)


def bound_socket(address: Address) -> socket.socket:
    """A UDP socket that receives at ``address``; EscaError if it cannot."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        raise EscaError(
            f"address: cannot receive at {address[0]}:{address[1]} ({error})"
        ) from error
    return made


def connected_socket(address: Address) -> socket.socket:
    """A UDP socket that sends to ``address``; EscaError if the host is unknown."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.connect(address)
    except OSError as error:
        made.close()
        raise EscaError(f"address: cannot send to {address[0]}:{address[1]} ({error})") from error
    return made


def prepare_source(files: SendingFiles) -> tuple[CodeSource, Persona]:
    """The source of the sender's codes, encoded already where it encodes ahead."""
    _one_thread()
    capture, persona = open_capture(files.capture), load_persona(files.persona)
    avatar = load_avatar(files.avatar).eval().requires_grad_(False)
    check_fits(avatar, capture)
    if len(persona.codes.centre) != avatar.latent:
        raise EscaError(
            f"{files.persona}: has codes of {len(persona.codes.centre)}, "
            f"the avatar of {avatar.latent}"
        )
    motion = motion_of(capture, files.segments or None)
    return source_of(files.encode, avatar, capture, motion), persona


def prepare_display(
    files: ReceivingFiles, secret: bytes, bound: socket.socket, stop: Event
) -> Display:
    """A receiver on a bound socket, with everything loaded and run once."""
    _one_thread()
    persona = load_persona(files.persona)
    quantized = load_artifact(files.artifact).quantized
    size, values = persona.texture_offset.shape[-1], persona.vertex_mean.numel()
    ring = FrameRing.shared(size, values, files.decoders)
    screen = _screen(files, ring)
    with ExitStack() as failing:
        failing.callback(screen.hang_up)
        decoders = [
            open_decoder(
                quantized,
                files.backend,
                files.threads,
                textures=ring.textures[first :: files.decoders],
            )
            for first in range(files.decoders)
        ]
        display = Display(
            bound,
            ReceivingEnd(secret, persona.codes),
            Playout(persona.codes, 1 / files.rate_hz, files.playout, files.concealment),
            decoders,
            persona.view,
            screen,
            stop,
        )
        display.warm_up(len(persona.codes.centre), len(ring.textures) // files.decoders)
        screen.ready(START_SECONDS)
        failing.pop_all()
    return display


def _screen(files: ReceivingFiles, ring: FrameRing) -> Screen:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    # No daemon: it ends by itself, with a recording closed, when the pipe's other end is gone.
    context.Process(target=_paint, args=(theirs, ring, files)).start()
    theirs.close()
    return Screen(pipe, ring)


def _paint(pipe: Connection, ring: FrameRing, files: ReceivingFiles) -> None:
    _one_thread()

    def prepare() -> tuple[Renderer, Sink]:
        renderer = Renderer(load_persona(files.persona), files.rows)
        if files.record is None:
            return renderer, ChecksumSink()
        return renderer, VideoSink(files.record, files.rate_hz)

    paint(pipe, ring, prepare)


def _one_thread() -> None:
    """Sender, decoder and renderer run beside each other, so each keeps to one core."""
    torch.set_num_threads(1)
    sys.setswitchinterval(SWITCH_SECONDS)
