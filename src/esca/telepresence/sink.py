"""Where finished pictures go."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from queue import Full, Queue
from typing import Protocol
from zlib import crc32

import numpy as np

from esca.errors import EscaError
from esca.files import written_beside
from esca.runtime.extra import needed
from esca.telepresence.picture import Picture


class Sink(Protocol):
    """Takes pictures (H, W, 3) uint8 one at a time; ``dropped`` counts those it had no room for."""

    dropped: int

    def show(self, picture: Picture) -> None:
        """Take one picture."""
        ...

    def close(self) -> None:
        """No more pictures come."""
        ...


class ChecksumSink:
    """Reads every picture once, as a display would, and keeps nothing but a checksum."""

    def __init__(self) -> None:
        self.dropped = 0
        self.checksum = 0

    def show(self, picture: Picture) -> None:
        """See :class:`Sink`."""
        self.checksum = crc32(picture.data, self.checksum)

    def close(self) -> None:
        """See :class:`Sink`."""


class VideoSink:
    """Records pictures of one size into an MP4 file of constant rate, in a thread of its own."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.dropped = 0
        self._av = needed("av", "report")
        self._path = Path(path)
        self._rate = Fraction(rate_hz).limit_denominator(1000)
        self._queue: Queue[Picture | None] = Queue(maxsize=16)
        self._pool = ThreadPoolExecutor(1)
        self._writing = self._pool.submit(self._write)

    def show(self, picture: Picture) -> None:
        """See :class:`Sink`."""
        try:
            self._queue.put_nowait(picture)
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Finish the file. EscaError if it could not be written."""
        while not self._writing.done():
            try:
                self._queue.put(None, timeout=0.1)
                break
            except Full:
                continue
        try:
            self._writing.result()
        except (self._av.error.FFmpegError, OSError) as error:
            raise EscaError(f"{self._path}: could not be recorded ({error})") from error
        finally:
            self._pool.shutdown()

    def _write(self) -> None:
        picture = self._queue.get()
        if picture is None:
            return
        with (
            written_beside(self._path) as beside,
            self._av.open(str(beside), mode="w", format="mp4") as container,
        ):
            stream = container.add_stream("libx264", rate=self._rate)
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": "20"}
            stream.time_base = 1 / self._rate
            stream.height, stream.width = (side & ~1 for side in picture.shape[:2])
            number = 0
            while picture is not None:
                even = np.ascontiguousarray(picture[: stream.height, : stream.width])
                frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
                frame.pts = number
                number += 1
                container.mux(stream.encode(frame))
                picture = self._queue.get()
            container.mux(stream.encode())
