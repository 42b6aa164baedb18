"""Which triangle each pixel sees, found in a process of its own.

Embree holds Python's interpreter lock while it casts rays: for some tens of milliseconds no other
thread of its process could decode or draw.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from esca.errors import EscaError
from esca.rendering.raster import Scene

NICENESS = 10
"""How much the process stands back: rays are for the time that decoding and drawing leave."""

_END_SECONDS = 2.0


@dataclass(frozen=True, eq=False)
class Seen:
    """``pixels``: (P,) flat numbers of the foreground. ``place``: (P,) which of ``faces`` each has.

    ``faces``: (S,) the triangles that any pixel sees.
    """

    pixels: NDArray[np.int64]
    place: NDArray[np.int64]
    faces: NDArray[np.int64]


class Caster(Protocol):
    """Casts rays at meshes (V, 3) of one topology through the pixels of one camera.

    ``cpu_seconds``: processor time that this took in other processes than the caller's.
    """

    cpu_seconds: float

    def cast(self, vertices: NDArray[np.float64]) -> Seen:
        """What the pixels see."""
        ...

    def close(self) -> None:
        """Nothing more is asked."""
        ...


class RayCaster:
    """Casts in the caller's own thread. ``projection``: (3, 4). ``size``: rows and columns."""

    def __init__(
        self, projection: NDArray[np.float64], size: tuple[int, int], faces: NDArray[np.int32]
    ) -> None:
        self._origins, self._directions = _rays(projection, size)
        self._faces = faces
        self.cpu_seconds = 0.0

    def cast(self, vertices: NDArray[np.float64]) -> Seen:
        """See :class:`Caster`."""
        triangle = Scene(vertices, self._faces).first_hits(self._origins, self._directions)
        pixels = np.flatnonzero(triangle >= 0)
        faces, place = np.unique(triangle[pixels], return_inverse=True)
        return Seen(pixels, place.astype(np.int64), faces.astype(np.int64))

    def close(self) -> None:
        """See :class:`Caster`."""


class CastingProcess:
    """A :class:`RayCaster` in a process of its own, which ends with its parent."""

    def __init__(
        self, projection: NDArray[np.float64], size: tuple[int, int], faces: NDArray[np.int32]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, projection, size, faces), daemon=True
        )
        self._process.start()
        theirs.close()
        self.cpu_seconds = 0.0

    def cast(self, vertices: NDArray[np.float64]) -> Seen:
        """See :class:`Caster`; EscaError if the process is gone."""
        try:
            self._pipe.send(vertices)
            seen, seconds = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EscaError("call: the process that casts rays ended early") from error
        self.cpu_seconds += seconds
        return seen

    def close(self) -> None:
        """See :class:`Caster`."""
        self._pipe.close()
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(
    pipe: Connection,
    projection: NDArray[np.float64],
    size: tuple[int, int],
    faces: NDArray[np.int32],
) -> None:
    os.nice(NICENESS)
    caster = RayCaster(projection, size, faces)
    while True:
        try:
            vertices = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        before = time.process_time()
        seen = caster.cast(vertices)
        pipe.send((seen, time.process_time() - before))


def _rays(
    projection: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 3) origins and directions through all pixel centres, in row order."""
    rows, columns = size
    axes = np.linalg.inv(projection[:, :3])
    centre = -axes @ projection[:, 3]
    across = (np.arange(columns) + 0.5)[None, :, None] * axes[:, 0]
    down = (np.arange(rows) + 0.5)[:, None, None] * axes[:, 1] + axes[:, 2]
    directions = np.ascontiguousarray((across + down).reshape(-1, 3), np.float32)
    origins = np.broadcast_to(centre.astype(np.float32), directions.shape)
    return np.ascontiguousarray(origins), directions
