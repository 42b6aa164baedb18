"""The running receiver and sender over real sockets, in one process; accounts, not speed."""

import multiprocessing
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from esca.errors import EscaError
from esca.telepresence.concealment import ConcealmentConfig
from esca.telepresence.display import Display, Shown
from esca.telepresence.impairment import ImpairmentConfig
from esca.telepresence.painting import FrameRing, Screen, paint
from esca.telepresence.persona import Persona
from esca.telepresence.picture import Picture, Renderer
from esca.telepresence.playout import PlayoutConfig
from esca.telepresence.receiver import Playout, ReceivingEnd
from esca.telepresence.relay import Relay
from esca.telepresence.sender import SenderConfig, Sent, send
from esca.telepresence.sink import ChecksumSink, Sink, VideoSink
from esca.telepresence.summary import joined, receiving_data, sending_data

from .conftest import LATENT, TEXTURE, texels

SECRET = b"s" * 32
RATE = 50.0
HOST = "127.0.0.1"


class Wave:
    def code(self, time: float) -> torch.Tensor:
        return torch.sin(torch.arange(LATENT) + 6 * time)


class Paint:
    """A decoder whose texture is the code's first value."""

    def __init__(self, vertex_values: int, seconds: float = 0.0) -> None:
        self.vertex_values = vertex_values
        self.seconds = seconds
        self.fails = False

    def decode(self, z: torch.Tensor, view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert view.shape == (1, 3)
        if self.fails:
            raise RuntimeError("decoder broke")
        time.sleep(self.seconds)
        texture = z[0, 0].expand(1, 3, TEXTURE, TEXTURE)
        return texture.contiguous(), torch.zeros(1, self.vertex_values)


def _screen(persona: Persona, sink: Sink, decoders: int = 1) -> Screen:
    """A painter beside the test, in a thread."""
    pipe, theirs = multiprocessing.Pipe()
    ring = FrameRing.shared(TEXTURE, persona.vertex_mean.numel(), decoders)
    painting = threading.Thread(
        target=paint, args=(theirs, ring, lambda: (Renderer(persona, 48), sink))
    )
    painting.start()
    screen = Screen(pipe, ring)
    screen.ready(10)
    return screen


def _display(
    persona: Persona,
    bound: socket.socket,
    decoders: Sequence[Paint],
    stop: threading.Event,
    sink: Sink,
) -> Display:
    display = Display(
        bound,
        ReceivingEnd(SECRET, persona.codes),
        Playout(persona.codes, 1 / RATE, PlayoutConfig(), ConcealmentConfig()),
        decoders,
        persona.view,
        _screen(persona, sink, len(decoders)),
        stop,
    )
    display.warm_up(LATENT, 2)
    return display


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    return made


def _call(
    persona: Persona,
    impairment: ImpairmentConfig,
    decoders: Sequence[Paint],
    sink: Sink,
    seconds: float = 1.0,
) -> tuple[Sent, Shown, dict[str, int]]:
    stop, relayed = threading.Event(), threading.Event()
    with _bound() as bound, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        display = _display(persona, bound, decoders, stop, sink)
        relay = Relay(bound.getsockname(), impairment)
        carrying = threading.Thread(target=relay.run, args=(relayed.is_set,))
        carrying.start()
        outgoing.connect(relay.address)
        sent: list[Sent] = []

        def sending() -> None:
            config = SenderConfig(RATE)
            sent.append(send(Wave(), persona.codes, SECRET, outgoing, config, seconds))
            time.sleep(0.2)
            stop.set()

        thread = threading.Thread(target=sending)
        thread.start()
        shown = display.run()
        thread.join()
        relayed.set()
        carrying.join()
    return sent[0], shown, relay.counts


def _check(sent: Sent, shown: Shown) -> None:
    counts = shown.counts
    get = lambda name: counts.get(name, 0)  # noqa: E731
    rejected = sum(shown.rejected.values())
    assert get("datagrams") == get("knocks") + get("media") + rejected
    arrived = ("kept", "late", "early", "twice", "unreferenced", "undecodable")
    assert get("media") == sum(get(name) for name in arrived)
    assert get("kept") == sum(get(name) for name in ("played", "stale", "discarded", "waiting"))
    assert get("decoded") == get("played") + get("concealed") + get("trailing")
    assert get("decoded") == get("shown") + get("displaced") + get("undrawn")
    assert get("unreferenced") == get("undecodable") == 0
    assert get("media") <= sent.packets
    assert len(shown.at) == get("shown") > 0
    assert sent.packets + sent.unsent + sent.skipped >= 1.0 * RATE


def test_bad_network(persona: Persona) -> None:
    config = ImpairmentConfig(0.1, 20, 0.05, 0.05, 0.3, seed=5)
    sink = ChecksumSink()
    sent, shown, network = _call(persona, config, [Paint(persona.vertex_mean.numel())] * 2, sink)
    _check(sent, shown)
    assert network["taken"] >= sent.packets
    assert shown.rejected
    assert sink.checksum
    data = sending_data(sent) | receiving_data(shown, one_clock=True)
    assert data["received"] == shown.counts["media"]
    assert data["latency_ms"]["p50"] > 0
    assert data["bitrate_kbps"] < 150
    relative = receiving_data(shown, one_clock=False)
    assert relative["latency_ms"]["p50"] < data["latency_ms"]["p50"]


def test_a_slow_decoder_drops_stale_frames_and_falls_no_further_behind(persona: Persona) -> None:
    decoder = Paint(persona.vertex_mean.numel(), seconds=0.06)
    sent, shown, _ = _call(persona, ImpairmentConfig(), [decoder], ChecksumSink())
    _check(sent, shown)
    assert shown.counts["stale"] > 0
    assert shown.counts["missed"] >= shown.counts["stale"]
    later = np.array(shown.latency_ms[len(shown.latency_ms) // 2 :])
    assert later.min() < 400


def test_a_failure_ends_the_call_and_is_told(persona: Persona) -> None:
    decoder = Paint(persona.vertex_mean.numel())
    stop = threading.Event()
    with _bound() as bound, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        display = _display(persona, bound, [decoder], stop, ChecksumSink())
        decoder.fails = True
        outgoing.connect(bound.getsockname())
        sending = threading.Thread(
            target=send,
            args=(Wave(), persona.codes, SECRET, outgoing, SenderConfig(RATE), 20.0, stop),
        )
        sending.start()
        with pytest.raises(RuntimeError, match="decoder broke"):
            display.run()
        sending.join()


def test_recording(persona: Persona, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "call.mp4"
    sink = VideoSink(path, RATE)
    picture = np.full((49, 41, 3), 128, np.uint8)
    for _ in range(10):
        sink.show(picture)
    sink.close()
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) + sink.dropped == 10
    assert (frames[0].height, frames[0].width) == (48, 40)
    assert abs(int(frames[0].to_ndarray(format="rgb24").mean()) - 128) < 6


class Gate(ChecksumSink):
    """Lets no picture pass before it is opened; keeps all."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()
        self.pictures: list[Picture] = []

    def show(self, picture: Picture) -> None:
        self.reached.set()
        self.opened.wait()
        self.pictures.append(picture)


def test_a_slow_screen_stops_the_decoder_and_draws_the_newest(persona: Persona) -> None:
    gate = Gate()
    screen = _screen(persona, gate)
    mesh = torch.zeros(persona.vertex_mean.numel())
    grey = [torch.full((3, TEXTURE, TEXTURE), value) for value in np.linspace(-4, 4, 6)]
    screen.show(screen.take(), grey[0], mesh, 1)
    gate.reached.wait()
    for texture in grey[1:5]:
        assert screen.has_room(0)
        screen.show(screen.take(), texture, mesh, None)
    assert not screen.has_room(0.05)
    gate.opened.set()
    assert screen.has_room(5)
    painted = screen.close()
    screen.hang_up()
    assert painted.shown + painted.undrawn + painted.displaced == 5
    assert painted.displaced == 2
    assert len(painted.latency_ms) == 1
    alone = Renderer(persona, 48)
    for picture, texture in zip(gate.pictures, [grey[0], *grey[3:]], strict=False):
        assert np.array_equal(picture, alone.draw(texels(texture), mesh))


def test_a_painter_that_cannot_begin_or_ends_early_is_told(persona: Persona) -> None:
    def fails() -> tuple[Renderer, Sink]:
        raise EscaError("window: too small")

    pipe, theirs = multiprocessing.Pipe()
    ring = FrameRing.shared(TEXTURE, 3)
    threading.Thread(target=paint, args=(theirs, ring, fails)).start()
    with pytest.raises(EscaError, match="window: too small"):
        Screen(pipe, ring).ready(10)
    theirs.close()
    with pytest.raises(EscaError, match="ended early"):
        Screen(pipe, ring).show(0, torch.zeros(3, TEXTURE, TEXTURE), torch.zeros(3), None)
    silent, _theirs = multiprocessing.Pipe()
    with pytest.raises(EscaError, match="silent for"):
        Screen(silent, ring).ready(0.01)


def test_lives_are_joined() -> None:
    one = Shown(counts={"media": 2}, rejected={"forged": 1}, latency_ms=[1.0], at=[1.0, 2.0])
    two = Shown(counts={"media": 3}, rejected={"forged": 2}, latency_ms=[5.0], at=[9.0])
    both = joined((one, two))
    assert both.counts == {"media": 5}
    assert both.rejected == {"forged": 3}
    assert (both.latency_ms, both.at) == ([1.0, 5.0], [1.0, 2.0, 9.0])


def test_a_slow_encoder_keeps_its_session(persona: Persona) -> None:
    """Reports that wait while a frame is encoded are all read, and no silence is concluded."""

    class Slow(Wave):
        def code(self, time_s: float) -> torch.Tensor:
            time.sleep(0.15)
            return super().code(time_s)

    stop = threading.Event()
    with _bound() as bound, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        decoder = Paint(persona.vertex_mean.numel())
        display = _display(persona, bound, [decoder], stop, ChecksumSink())
        outgoing.connect(bound.getsockname())
        sent: list[Sent] = []

        def sending() -> None:
            sent.append(send(Slow(), persona.codes, SECRET, outgoing, SenderConfig(RATE), 1.5))
            stop.set()

        thread = threading.Thread(target=sending)
        thread.start()
        shown = display.run()
        thread.join()
    _check(sent[0], shown)
    assert sent[0].sessions == 1
    assert sent[0].rejected == {}
    assert sent[0].skipped > 0
