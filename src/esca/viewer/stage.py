"""What the browsers show: one picture each of the latest heads, drawn anew when either changes.

A browser is given a picture when it has worked off the last but one, so it is never flooded;
meanwhile the next one is drawn and the heads after it are made. Pictures lie behind the page's own
canvas, which is empty and takes the mouse: orbiting moves the browser's camera, and that asks for
another picture. Where nothing moves any more, edges are smoothed.
"""

import base64
import io
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import viser
from PIL import Image

from esca.viewer.drawing import BACKGROUND, SPACING, Drawing, Eye
from esca.viewer.heads import Head
from esca.viewer.subject import MM, Picture, Subject

FIELD_OF_VIEW = math.radians(18)
"""Vertical; a long lens, so that all heads of the row are seen from nearly the same side."""

_ASPECT = 1.2
"""Of a browser that has not told its own yet."""

_LOOK_ABOVE = 0.04
"""Part of the head's height above its middle that is in the middle of the page: room for labels."""

IN_FLIGHT = 2
"""Pictures that browsers may still be at when the next one is sent."""

ANSWER = 2.0
"""Seconds to wait for an answer of a browser at most."""

MOST_PIXELS = 1_000_000
"""Of a picture; a browser with more of them enlarges it."""

STILL = 0.25
"""Seconds without anything new after which a finer picture is worth its time."""

SAMPLES = 2
"""Squared: samples a pixel of such a picture."""

JPEG_QUALITY = 90


class _Screen:
    """One browser's picture in layers: those before stay until the newest one is there."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self.client = client
        self._layers = [client.gui.add_html("") for _ in range(IN_FLIGHT + 1)]
        self._order = client.gui.add_html("")
        self._turn = 0

    def show(self, picture: bytes) -> None:
        """Put a JPEG file above the ones before."""
        count = len(self._layers)
        data = base64.b64encode(picture).decode()
        newest_first = [(self._turn - back) % count for back in range(count)]
        red, green, blue = BACKGROUND
        layers = [f"var(--esca-{number}, none) 0 0 / 100% 100%" for number in newest_first]
        with self.client.atomic():
            self._layers[self._turn].content = _style(
                f"--esca-{self._turn}: url(data:image/jpeg;base64,{data})"
            )
            self._order.content = _style(
                f"background: {', '.join(layers)}, rgb({red} {green} {blue})"
            )
        self._turn = (self._turn + 1) % count
        self.client.flush()

    def answers(self) -> None:
        """Wait until the browser has worked off what was sent to it.

        Reading a value that is not there from a browser's storage is the one question that it
        answers in turn with everything else.
        """
        try:
            self.client.local_storage.get_item("esca-view", timeout=ANSWER)
        except (RuntimeError, TimeoutError):
            return  # gone, busy, or its storage is closed: it must not hold up the others


class Stage:
    """The browsers of one server.

    ``revealed`` is called, from the stage's own thread, after each update that is shown.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        subject: Subject,
        revealed: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._width, self._height = subject.size[0] * MM, subject.size[1] * MM
        self._drawing = Drawing(subject)
        self._revealed = revealed
        self._heads: tuple[Head, ...] = ()
        self._fresh = False
        self._moved: set[int] = set()
        self._screens: dict[int, _Screen] = {}
        self._aspects: dict[int, float] = {}
        self._closed = False
        self._answering = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="esca-answers")
        self._awaited: deque[Future[None]] = deque()
        self._changed = threading.Condition()
        scene = server.scene
        scene.set_up_direction("+y")
        scene.world_axes.visible = False
        scene.configure_default_lights(enabled=False, cast_shadow=False)
        scene.configure_environment_map(hdri=None)
        server.initial_camera.position = (0.0, 0.0, self._distance(_ASPECT))
        server.initial_camera.look_at = (0.0, self._height * _LOOK_ABOVE, 0.0)
        server.initial_camera.fov = FIELD_OF_VIEW
        self._thread = threading.Thread(target=self._run, name="esca-stage", daemon=True)
        self._thread.start()

    def send(self, heads: Sequence[Head]) -> None:
        """Show heads from left to right. Waits until those before are being drawn."""
        with self._changed:
            self._changed.wait_for(lambda: not self._fresh or self._closed)
            before, self._heads = self._heads, tuple(heads)
            if len(before) != len(heads):
                for screen in self._screens.values():
                    self.frame(screen.client)
            if [head.key for head in before] != [head.key for head in heads]:
                self._fresh = True
                self._changed.notify_all()

    def connected(self, client: viser.ClientHandle) -> None:
        """Begin to draw for a browser."""
        self.frame(client, 0.0)
        with self._changed:
            self._screens[client.client_id] = _Screen(client)
        self.moved(client)

    def moved(self, client: viser.ClientHandle) -> None:
        """A browser's camera stands elsewhere."""
        with self._changed:
            self._moved.add(client.client_id)
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._answering.shutdown()

    def frame(self, client: viser.ClientHandle, azimuth: float | None = None) -> None:
        """Put a browser's camera before the row, as near as everything fits.

        ``azimuth``: radians from the face's own direction to the head's left; None keeps it.
        """
        camera = client.camera
        if azimuth is None:
            azimuth = math.atan2(float(camera.position[0]), float(camera.position[2]))
        aspect = camera.aspect if camera.image_height else _ASPECT
        self._aspects[client.client_id] = aspect
        distance = self._distance(aspect)
        with client.atomic():
            camera.fov = FIELD_OF_VIEW
            camera.up_direction = (0.0, 1.0, 0.0)
            camera.position = (distance * math.sin(azimuth), 0.0, distance * math.cos(azimuth))
            camera.look_at = (0.0, self._height * _LOOK_ABOVE, 0.0)

    def resized(self, client: viser.ClientHandle) -> bool:
        """Whether a browser's page has another shape than when its camera was placed."""
        known = self._aspects.get(client.client_id)
        return known is not None and abs(client.camera.aspect / known - 1) > 0.01

    def _distance(self, aspect: float) -> float:
        half = math.tan(FIELD_OF_VIEW / 2)
        across = self._width * (SPACING * (max(len(self._heads), 1) - 1) + 1.12) / 2
        up = self._height * 1.25 / 2
        return max(up / half, across / (half * aspect)) + self._width / 2

    def _run(self) -> None:
        """One picture a browser after the other, as long as something is new."""
        fine = True
        while True:
            with self._changed:
                new = self._changed.wait_for(
                    lambda: self._fresh or self._moved or self._closed, None if fine else STILL
                )
                if self._closed:
                    return
                heads, fresh, moved = self._heads, self._fresh, self._moved
                self._fresh, self._moved = False, set()
                present = self._server.get_clients()
                self._screens = {id: one for id, one in self._screens.items() if id in present}
                screens = [
                    one for id, one in self._screens.items() if fresh or not new or id in moved
                ]
                self._changed.notify_all()
            self._show(screens, heads, fresh, 1 if new else SAMPLES)
            fine = not new

    def _show(
        self, screens: list[_Screen], heads: tuple[Head, ...], fresh: bool, samples: int
    ) -> None:
        eyes = [(screen, _eye(screen.client)) for screen in screens if heads]
        pictures = [
            (screen, _jpeg(self._drawing.draw(heads, eye, samples)))
            for screen, eye in eyes
            if eye is not None
        ]
        if len(self._awaited) == IN_FLIGHT:
            self._awaited.popleft().result()
        for screen, picture in pictures:
            screen.show(picture)

        def answered() -> None:
            for screen, _ in pictures:
                screen.answers()
            if fresh and pictures:
                self._revealed()

        self._awaited.append(self._answering.submit(answered))


def _eye(client: viser.ClientHandle) -> Eye | None:
    """A browser's camera; None before it has told anything."""
    camera = client.camera
    rows, columns = camera.image_height, camera.image_width
    if rows < 1 or columns < 1:
        return None
    smaller = min(1.0, math.sqrt(MOST_PIXELS / (rows * columns)))
    size = max(1, round(rows * smaller)), max(1, round(columns * smaller))
    axes = np.asarray(viser.transforms.SO3(np.asarray(camera.wxyz)).as_matrix().T, np.float64)
    return Eye(np.asarray(camera.position, np.float64), axes, camera.fov, size)


def _jpeg(picture: Picture) -> bytes:
    """A JPEG file; colours at full resolution, since error maps are made of them."""
    made = io.BytesIO()
    Image.fromarray(picture).save(made, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return made.getvalue()


def _style(rule: str) -> str:
    return f"<style>canvas[data-engine] {{ {rule} }}</style>"
