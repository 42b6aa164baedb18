"""What the page asks for, and the thread that answers with the latest wish alone."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import viser
from torch import Tensor

from esca.errors import EscaError
from esca.viewer.decoders import Decoders
from esca.viewer.expressions import Expressions
from esca.viewer.heads import Heads, Look
from esca.viewer.latest import Latest, Rate
from esca.viewer.playback import Playback, frame_times
from esca.viewer.stage import Stage
from esca.viewer.subject import MM, Subject

FASTEST = 30.0
"""Updates a second at most: captures hold no more."""

POLL = 0.25
"""Seconds after which an idle worker looks around."""

REPORT = 0.5
"""Seconds between two reports."""

COARSEST_TURN = np.cos(np.radians(1.0))
"""Turns of the camera below one degree are not decoded anew."""

FRONT = (0.0, 0.0, 1.0)
"""Direction out of the face, head-aligned."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A segment whose frames are encoded: ``codes`` (F, L), ``numbers`` of the frames."""

    name: str
    codes: Tensor
    numbers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Wish:
    """Everything that sets what is shown. ``camera``: where directions come from; None: browser."""

    look: Look
    sliders: tuple[float, ...]
    view: Tensor
    camera: str | None = None
    recording: Recording | None = None
    playback: Playback | None = None


@dataclass(frozen=True)
class Status:
    """What the panel tells. ``frame``: of the recording; ``note``: what is being waited for."""

    rate: float
    frame: int | None
    playing: bool
    note: str


class Session:
    """One subject in one page, shared by all browsers that are connected.

    ``report`` is called from the worker's thread twice a second.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        subject: Subject,
        decoders: Decoders,
        expressions: Expressions,
        look: Look,
    ) -> None:
        self.subject, self.decoders, self.expressions = subject, decoders, expressions
        self.heads = Heads(subject, decoders)
        self.rate = Rate()
        self.stage = Stage(server, subject, self.rate.add)
        self.report: Callable[[Status], None] = lambda _: None
        self._server = server
        self._latest: Latest[Wish] = Latest()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="esca-encode")
        self._note = ""
        self._reported = 0.0
        still = (0.0,) * len(expressions.deviations)
        self._wish = Wish(look, still, torch.tensor(FRONT))
        self._worker = threading.Thread(target=self._run, name="esca-view", daemon=True)
        server.on_client_connect(self._connected)

    @property
    def wish(self) -> Wish:
        """The latest one."""
        return self._wish

    @property
    def dropped(self) -> int:
        """Wishes that were stale before they were worked on."""
        return self._latest.dropped

    def start(self) -> None:
        """Begin to answer."""
        self._latest.put(self._wish)
        self._worker.start()

    def stop(self) -> None:
        """End the threads; the server goes on."""
        self._stop.set()
        self._worker.join()
        self._encoding.shutdown(cancel_futures=True)
        self.heads.close()
        self.stage.close()

    def change(self, **fields: Any) -> None:
        """Change fields of the wish."""
        with self._lock:
            self._wish = replace(self._wish, **fields)
            self._latest.put(self._wish)

    def change_look(self, **fields: Any) -> None:
        """Change fields of the wish's look."""
        with self._lock:
            look = replace(self._wish.look, **fields)
            self._wish = replace(self._wish, look=look)
            self._latest.put(self._wish)

    def play(self, change: Callable[[Playback, float], Playback]) -> None:
        """Change the playback, if there is one, by a function of it and the time."""
        with self._lock:
            playback = self._wish.playback
            if playback is not None:
                moved = change(playback, time.monotonic())
                self._wish = replace(self._wish, playback=moved)
                self._latest.put(self._wish)

    def choose_segment(self, name: str | None, done: Callable[[Recording | None], None]) -> None:
        """Encode a segment and play it, None for none; ``done`` is told from another thread."""
        if name is None:
            self.change(recording=None, playback=None)
            done(None)
            return

        def encode() -> None:
            def told(number: int, total: int) -> None:
                self._note = f"Encoding {name}: {number} of {total} frames"

            try:
                codes, numbers = self.subject.encode(name, told)
            except EscaError as error:
                self._note = str(error)
                return
            self._note = ""
            recording = Recording(name, codes, tuple(numbers))
            playback = Playback(frame_times(numbers), since=time.monotonic())
            self.change(recording=recording, playback=playback)
            done(recording)

        self._encoding.submit(encode)

    def choose_camera(self, id: str | None) -> None:
        """Decode for the direction of a camera of the capture, None for the browser's own."""
        view = self._wish.view if id is None else self.subject.views[id]
        self.change(camera=id, view=view)

    def frame(self, client: viser.ClientHandle | None, azimuth: float | None = None) -> None:
        """Put a browser's camera, or everyone's, in front of the heads."""
        clients = self._server.get_clients().values() if client is None else [client]
        for one in clients:
            self.stage.frame(one, azimuth)

    def _connected(self, client: viser.ClientHandle) -> None:
        self.stage.connected(client)
        client.camera.on_update(self._turned)
        self._latest.put(self._wish)

    def _turned(self, camera: viser.CameraHandle) -> None:
        if self.stage.resized(camera.client):
            self.stage.frame(camera.client)
        self.stage.moved(camera.client)
        position = np.asarray(camera.position, np.float64)
        offset = position / MM + self.subject.centre
        length = float(np.linalg.norm(offset))
        if self._wish.camera is not None or length < 1:
            return
        view = torch.from_numpy(offset / length).float()
        if float(view @ self._wish.view) < COARSEST_TURN:
            self.change(view=view)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            playback = self._wish.playback
            playing = playback is not None and playback.playing
            wish = self._latest.take(0 if playing else POLL)
            if wish is None and not playing:
                self._tell()
                continue
            if not self._server.get_clients():
                self._stop.wait(POLL)
                if wish is not None and self._server.get_clients():
                    self._latest.put(self._wish)
                continue
            self._answer(wish or self._wish)
            self._tell()
            self._stop.wait(max(0.0, 1 / FASTEST - (time.monotonic() - began)))

    def _answer(self, wish: Wish) -> None:
        index = wish.look.candidate
        opening = not self.decoders.is_open(index)
        if opening:
            one = self.decoders.candidates[index]
            self._note = f"Opening {one.method} {one.bits}"
            self._tell(force=True)
        try:
            heads = self.heads.make(wish.look, self.code(wish), wish.view)
        except EscaError as error:
            self._note = str(error)
            return
        if opening:
            self._note = ""
        self.stage.send(heads)

    def code(self, wish: Wish) -> Tensor:
        """(L,) what a wish means now: a frame, or the mean expression, and what the sliders add."""
        base = self.expressions.mean
        if wish.recording is not None and wish.playback is not None:
            base = wish.playback.code(wish.recording.codes, time.monotonic())
        return base + self.expressions.offset(wish.sliders)

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._reported < REPORT:
            return
        self._reported = now
        playback = self._wish.playback
        self.report(
            Status(
                self.rate.value(),
                None if playback is None else playback.frame(now),
                playback is not None and playback.playing,
                self._note,
            )
        )
