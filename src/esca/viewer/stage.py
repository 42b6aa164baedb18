"""The page's scene: heads in a row that always faces the camera, exchanged without flicker.

The page forgets a head as soon as it is given another file, and shows the new one only when that is
parsed, some frames later. So each place has three nodes: one is shown, and files go to the hidden
ones in turn, each revealed once every browser has had time for it. A browser that is slow is waited
for, never flooded; meanwhile the next heads are made.
"""

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import viser

from esca.viewer.heads import Head
from esca.viewer.subject import MM

PLACES = 3

BACKGROUND = (58, 61, 66)
"""Neutral and dark, so that neither skin nor error colours are tinted or dazzled by it."""

FIELD_OF_VIEW = math.radians(28)
"""Vertical; about a short portrait lens, without the swollen nose of wide angles."""

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

NODES = 3
AHEAD = NODES - 1
"""Files that may be on their way."""


@dataclass(eq=False)
class _Place:
    """Nodes, of which ``front`` is shown and ``last`` was given the last file, of ``key``."""

    nodes: list[Any]
    label: Any
    front: int = 0
    last: int = 0
    key: tuple[object, ...] | None = None


@dataclass(frozen=True, eq=False)
class _Batch:
    """What one update sent: node by place, places in use, and when browsers have taken it."""

    fronts: dict[int, int]
    count: int
    taken: Future[None]


class Stage:
    """The scene of one server. ``size``: (width, height) mm of the head."""

    def __init__(self, server: viser.ViserServer, size: tuple[float, float]) -> None:
        self._server = server
        self._width, self._height = size[0] * MM, size[1] * MM
        self._places: list[_Place] = []
        self._count = 0
        self._azimuth = 0.0
        self._aspects: dict[int, float] = {}
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="esca-stage")
        self._batches: deque[_Batch] = deque()
        scene = server.scene
        scene.set_up_direction("+y")
        scene.world_axes.visible = False
        scene.configure_default_lights(enabled=False, cast_shadow=False)
        scene.configure_environment_map(hdri=None)
        server.initial_camera.position = (0.0, 0.0, self._distance(_ASPECT))
        server.initial_camera.look_at = (0.0, self._height * _LOOK_ABOVE, 0.0)
        server.initial_camera.fov = FIELD_OF_VIEW
        scene.set_background_image(np.full((4, 4, 3), BACKGROUND, np.uint8), format="png")

    @property
    def shown(self) -> int:
        """Places in use."""
        return self._count

    @property
    def waiting(self) -> int:
        """Updates that were sent and not revealed yet."""
        return len(self._batches)

    def send(self, heads: Sequence[Head]) -> bool:
        """Send what changed to hidden nodes; whether anything did. :meth:`reveal` shows it.

        There is room for AHEAD of them.
        """
        fronts: dict[int, int] = {}
        changed = self._count != len(heads)
        with self._server.atomic():
            for number, head in enumerate(heads):
                if number == len(self._places):
                    self._places.append(self._new_place(number, head))
                place = self._places[number]
                if place.key == head.key:
                    continue
                place.last = (place.last + 1) % NODES
                place.nodes[place.last].glb_data = head.glb
                place.key = head.key
                _set(place.label, "text", head.label)
                fronts[number] = place.last
            if changed:
                self._count = len(heads)
                self._line_up()
            # The page draws on demand and labels a frame late: revealing brings the next frame.
            for number, place in enumerate(self._places):
                _set(place.label, "visible", number < self._count)
        self._server.flush()
        if fronts or changed:
            taken = self._pool.submit(self._answered)
            self._batches.append(_Batch(fronts, len(heads), taken))
        return bool(fronts or changed)

    def reveal(self) -> None:
        """Show the oldest update that was sent, once all browsers have taken it."""
        batch = self._batches.popleft()
        batch.taken.result()
        with self._server.atomic():
            for number, place in enumerate(self._places):
                place.front = batch.fronts.get(number, place.front)
                for index, node in enumerate(place.nodes):
                    _set(node, "visible", number < batch.count and index == place.front)
        self._server.flush()

    def close(self) -> None:
        """End the threads that wait for browsers."""
        self._pool.shutdown()

    def face(self, position: np.ndarray) -> None:
        """Turn the row towards a camera at ``position`` (3,); heads keep their own direction."""
        azimuth = _azimuth(position)
        if abs(azimuth - self._azimuth) > 1e-3:
            self._azimuth = azimuth
            with self._server.atomic():
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

    def _new_place(self, number: int, head: Head) -> _Place:
        scene = self._server.scene
        nodes = [
            scene.add_glb(
                f"/heads/{number}/{side}",
                head.glb,
                visible=False,
                cast_shadow=False,
                receive_shadow=False,
            )
            for side in range(NODES)
        ]
        label = scene.add_label(
            f"/heads/{number}/label",
            head.label,
            position=(0, self._height * 0.5, 0),
            visible=False,
            anchor="bottom-center",
            font_screen_scale=1.2,
        )
        return _Place(nodes, label)

    def _line_up(self) -> None:
        right = np.array([math.cos(self._azimuth), 0.0, -math.sin(self._azimuth)])
        for number, place in enumerate(self._places[: self._count]):
            offset = (number - (self._count - 1) / 2) * SPACING * self._width
            for node in place.nodes:
                _set_position(node, offset * right)
            _set_position(place.label, offset * right + [0, self._height * 0.53, 0])

    def _answered(self) -> None:
        """Wait until every browser has worked off what was sent to it.

        Reading a value that is not there from a browser's storage is the one question that it
        answers in turn with everything else.
        """
        for client in list(self._server.get_clients().values()) * ROUNDS:
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


def _set_position(node: Any, position: np.ndarray) -> None:
    if not np.allclose(node.position, position, atol=1e-5):
        node.position = position
