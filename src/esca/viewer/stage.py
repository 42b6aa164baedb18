"""The page's scene: heads in a row that always faces the camera, exchanged without flicker.

The page forgets a head as soon as it is given another file, and shows the new one only when that is
parsed, some frames later. So each place has a ring of nodes: one is shown, and files go to the
hidden ones in turn, each revealed once every browser has had time for it. A browser that is slow is
waited for, never flooded; meanwhile the next heads are made.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import viser

from esca.viewer.heads import Head
from esca.viewer.subject import MM

BACKGROUND = (58, 61, 66)
"""Neutral and dark, so that neither skin nor error colours are tinted or dazzled by it."""

FIELD_OF_VIEW = math.radians(18)
"""Vertical; a long lens, so that all heads of the row are seen from nearly the same side."""

_ASPECT = 1.2
"""Of a browser that has not told its own yet."""

_LOOK_ABOVE = 0.04
"""Part of the head's height above its middle that is in the middle of the page: room for labels."""

SPACING = 1.18
"""Distance of two heads in head widths."""

ANSWER = 2.0
"""Seconds to wait for an answer of a browser at most."""

ROUNDS = 4
"""Answers to wait for: one from the frame that takes a file, the others to have it parsed."""

NODES = ROUNDS + 2
"""Of a place: one is shown, the others are for updates on their way; each round sends one."""


@dataclass(eq=False)
class _Place:
    """Nodes in a frame, of which ``front`` is shown and ``last`` took the last file, of ``key``."""

    frame: Any
    label: Any
    nodes: list[Any] = field(default_factory=list)
    front: int = -1
    last: int = -1
    key: tuple[object, ...] | None = None


@dataclass(frozen=True, eq=False)
class _Batch:
    """What one update sent: node by place, labels, and the last round begun before it."""

    fronts: dict[int, int]
    labels: tuple[str, ...]
    sent: int


class Stage:
    """The scene of one server. ``size``: (width, height) mm of the head.

    ``revealed`` is called, from the stage's own thread, after each update that is shown.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        size: tuple[float, float],
        revealed: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._width, self._height = size[0] * MM, size[1] * MM
        self._revealed = revealed
        self._places: list[_Place] = []
        self._count = 0
        self._labels: tuple[str, ...] = ()
        self._azimuth = 0.0
        self._aspects: dict[int, float] = {}
        self._batches: deque[_Batch] = deque()
        self._rounds = 0
        self._closed = False
        self._changed = threading.Condition(threading.RLock())
        scene = server.scene
        scene.set_up_direction("+y")
        scene.world_axes.visible = False
        scene.configure_default_lights(enabled=False, cast_shadow=False)
        scene.configure_environment_map(hdri=None)
        server.initial_camera.position = (0.0, 0.0, self._distance(_ASPECT))
        server.initial_camera.look_at = (0.0, self._height * _LOOK_ABOVE, 0.0)
        server.initial_camera.fov = FIELD_OF_VIEW
        # The page's own colour: a background image would be drawn anew with every frame.
        red, green, blue = BACKGROUND
        server.gui.add_html(
            f"<style>canvas[data-engine] {{ background: rgb({red} {green} {blue}) }}</style>"
        )
        self._pulse = threading.Thread(target=self._run, name="esca-stage", daemon=True)
        self._pulse.start()

    def send(self, heads: Sequence[Head]) -> None:
        """Send what changed to hidden nodes once there is room; it is shown when it has arrived."""
        labels = tuple(head.label for head in heads)
        with self._changed:
            self._changed.wait_for(self._has_room)
            fronts: dict[int, int] = {}
            with self._server.atomic():
                for number, head in enumerate(heads):
                    if number == len(self._places):
                        self._places.append(self._new_place(number))
                    place = self._places[number]
                    if place.key != head.key:
                        self._give(number, head)
                        fronts[number] = place.last
            if fronts or labels != self._labels:
                self._server.flush()
                self._labels = labels
                self._batches.append(_Batch(fronts, labels, self._rounds))
                self._changed.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pulse.join()

    def _has_room(self) -> bool:
        """Whether a round has begun since the last update was sent."""
        return self._closed or not self._batches or self._batches[-1].sent < self._rounds

    def _run(self) -> None:
        """One round of answers after the other, as long as something waits to be shown."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._batches or self._closed)
                if self._closed:
                    return
                # What is sent from here on may miss the round that begins now.
                self._rounds += 1
                self._changed.notify_all()
            self._ask()
            with self._changed:
                if self._batches[0].sent + ROUNDS <= self._rounds:
                    self._reveal(self._batches.popleft())

    def _reveal(self, batch: _Batch) -> None:
        with self._server.atomic():
            changed = self._count != len(batch.labels)
            self._count = len(batch.labels)
            for number, place in enumerate(self._places):
                used = number < self._count
                place.front = batch.fronts.get(number, place.front)
                for index, node in enumerate(place.nodes):
                    _set(node, "visible", used and index == place.front)
                _set(place.label, "visible", used)
                if used:
                    _set(place.label, "text", batch.labels[number])
            if changed:
                self._line_up()
        if changed:
            for client in self._server.get_clients().values():
                self.frame(client)
        self._server.flush()
        self._revealed()

    def face(self, position: np.ndarray) -> None:
        """Turn the row towards a camera at ``position`` (3,); heads keep their own direction."""
        azimuth = _azimuth(position)
        if abs(azimuth - self._azimuth) > 1e-3:
            self._azimuth = azimuth
            with self._changed, self._server.atomic():
                self._line_up()

    def frame(self, client: viser.ClientHandle, azimuth: float | None = None) -> None:
        """Put a browser's camera before the row, as near as everything fits.

        ``azimuth``: radians from the face's own direction to the head's left; None keeps it.
        """
        camera = client.camera
        if azimuth is None:
            azimuth = _azimuth(camera.position)
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
        across = self._width * (SPACING * (max(self._count, 1) - 1) + 1.12) / 2
        up = self._height * 1.25 / 2
        return max(up / half, across / (half * aspect)) + self._width / 2

    def _new_place(self, number: int) -> _Place:
        scene = self._server.scene
        frame = scene.add_frame(f"/heads/{number}", show_axes=False)
        label = scene.add_label(
            f"/heads/{number}/label",
            "",
            position=(0, self._height * 0.53, 0),
            visible=False,
            anchor="bottom-center",
            font_screen_scale=1.2,
        )
        return _Place(frame, label)

    def _give(self, number: int, head: Head) -> None:
        """Give a file to the next node of a place's ring, which is made when it is first needed."""
        place = self._places[number]
        place.key, place.last = head.key, (place.last + 1) % NODES
        if place.last < len(place.nodes):
            place.nodes[place.last].glb_data = head.glb
            return
        place.nodes.append(
            self._server.scene.add_glb(
                f"/heads/{number}/{place.last}",
                head.glb,
                visible=False,
                cast_shadow=False,
                receive_shadow=False,
            )
        )

    def _line_up(self) -> None:
        right = np.array([math.cos(self._azimuth), 0.0, -math.sin(self._azimuth)])
        for number, place in enumerate(self._places[: self._count]):
            offset = (number - (self._count - 1) / 2) * SPACING * self._width
            if not np.allclose(place.frame.position, offset * right, atol=1e-5):
                place.frame.position = offset * right

    def _ask(self) -> None:
        """Wait until every browser has worked off what was sent to it.

        Reading a value that is not there from a browser's storage is the one question that it
        answers in turn with everything else.
        """
        for client in self._server.get_clients().values():
            try:
                client.local_storage.get_item("esca-view", timeout=ANSWER)
            except (RuntimeError, TimeoutError):
                continue  # gone, busy, or its storage is closed: it must not hold up the others


def _azimuth(position: np.ndarray) -> float:
    return math.atan2(float(position[0]), float(position[2]))


def _set(node: Any, name: str, value: object) -> None:
    """Send a property only where it changes."""
    if getattr(node, name) != value:
        setattr(node, name, value)
