"""From a look, a code and a direction to heads: decoded surfaces and maps of their errors."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from esca.viewer.decoders import Decoders
from esca.viewer.heat import LUMA, luminance, texels_per_degree, visible_error
from esca.viewer.palette import heat_texture, signed_texture
from esca.viewer.subject import Picture, Subject

Layout = Literal["Side by side", "Split", "fp32", "Quantized", "Error"]
LAYOUTS: tuple[Layout, ...] = ("Side by side", "Split", "fp32", "Quantized", "Error")

ErrorKind = Literal["Visible error (proxy)", "Signed difference"]
ERRORS: tuple[ErrorKind, ...] = ("Visible error (proxy)", "Signed difference")


@dataclass(frozen=True)
class Look:
    """What is asked for besides code and direction.

    ``candidate``: its number. ``split``: where a split head is cut, -1 (its right edge, on the left
    of the page) to 1. ``full``: multiples of the threshold, or display levels, of the last colour.
    """

    candidate: int = 0
    layout: Layout = "Side by side"
    error: ErrorKind = "Visible error (proxy)"
    split: float = 0.0
    full: float = 32.0


@dataclass(frozen=True, eq=False)
class Surface:
    """``vertices`` (V, 3) mm under ``picture``, a display texture (T, T, 3)."""

    vertices: NDArray[np.float32]
    picture: Picture


@dataclass(frozen=True, eq=False)
class Head:
    """One head: ``key`` tells what it shows. Of two ``surfaces`` one is seen left and one right of
    ``cut``, which is -1 at the head's edge on the left of the page and 1 at the other. Each is made
    when it is drawn, so that the next head is decoded meanwhile.
    """

    label: str
    key: tuple[object, ...]
    surfaces: tuple[Callable[[], Surface], ...]
    cut: float = 0.0


@dataclass(frozen=True)
class Differences:
    """Of the quantized head from the fp32 head, over the face where the capture tells where it is.

    ``visible``: mean and 95th percentile of the error map. ``psnr``: dB of the display texture.
    ``mesh``: root mean square in mm, over the whole mesh.
    """

    visible: tuple[float, float]
    psnr: float
    mesh: float


class Heads:
    """Makes heads; asked from one thread, it decodes in two. Surfaces may be made in another."""

    def __init__(self, subject: Subject, decoders: Decoders) -> None:
        self.subject = subject
        self.decoders = decoders
        self._scale = texels_per_degree(subject.texel)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="esca-view")
        self._known: dict[int | None, tuple[tuple[object, ...], Surface]] = {}
        self._pair: tuple[Surface, Surface] | None = None
        self._seen: tuple[tuple[Surface, Surface], NDArray[np.float32]] | None = None

    def make(self, look: Look, code: Tensor, view: Tensor) -> list[Head]:
        """Heads from left to right; what is decoded already is not decoded again."""
        moment = (code.numpy().tobytes(), view.numpy().tobytes())
        index, chosen = look.candidate, self.decoders.candidates[look.candidate]
        unused = {"fp32": index, "Quantized": None}.get(look.layout, -1)
        jobs: dict[int | None, Future[Surface]] = {
            source: self._pool.submit(self._decoded, source, moment, code, view)
            for source in (None, index)
            if source != unused
        }
        made = {source: job.result() for source, job in jobs.items()}
        self._known |= {source: (moment, decoded) for source, decoded in made.items()}
        if len(made) == 2:
            self._pair = made[None], made[index]
        name = f"{chosen.method} {chosen.bits}"
        reference = Head("fp32", (None, moment), (lambda: made[None],))
        if look.layout == "fp32":
            return [reference]
        quantized = Head(name, (index, moment), (lambda: made[index],))
        if look.layout == "Quantized":
            return [quantized]
        if look.layout == "Split":
            both = (*reference.surfaces, *quantized.surfaces)
            return [Head(f"fp32  |  {name}", (look, moment), both, look.split)]
        pair = made[None], made[index]
        error = Head(look.error, (look, moment), (lambda: self._error(pair, look),))
        if look.layout == "Error":
            return [error]
        return [reference, quantized, error]

    def differences(self) -> Differences | None:
        """Of the last two heads that were decoded together; None before there were any."""
        if self._pair is None:
            return None
        reference, quantized = self._pair
        judged = self.subject.judged
        off = quantized.picture[judged].astype(np.float32) - reference.picture[judged]
        squared = float(np.square(off).mean())
        error = self._visible(self._pair)[judged]
        mesh = np.square(quantized.vertices - reference.vertices).sum(1).mean()
        return Differences(
            (float(error.mean()), float(np.percentile(error, 95))),
            float(10 * np.log10(255**2 / max(squared, 1e-9))),
            float(np.sqrt(mesh)),
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _decoded(
        self, source: int | None, moment: tuple[object, ...], code: Tensor, view: Tensor
    ) -> Surface:
        known = self._known.get(source)
        if known is not None and known[0] == moment:
            return known[1]
        decoders = self.decoders
        timed = decoders.reference if source is None else decoders.quantized(source)
        texture, mesh = timed.decode(code, view)
        return Surface(self.subject.millimetres(mesh), self.subject.display(texture))

    def _error(self, pair: tuple[Surface, Surface], look: Look) -> Surface:
        reference, quantized = pair
        if look.error == "Signed difference":
            off = quantized.picture.astype(np.int16) - reference.picture
            luma = (off @ np.array(LUMA, np.float32)).astype(np.float32, copy=False)
            return Surface(reference.vertices, signed_texture(luma, look.full))
        error = self._visible(pair)
        grey = reference.picture[..., 1]
        return Surface(reference.vertices, heat_texture(error, grey, look.full))

    def _visible(self, pair: tuple[Surface, Surface]) -> NDArray[np.float32]:
        """(T, T); outside the chart both are alike, so that what nobody sees does not leak in."""
        if self._seen is None or self._seen[0] != pair:
            base, test = (luminance(decoded.picture) for decoded in pair)
            np.copyto(test, base, where=~self.subject.covered)
            seen = visible_error(test, base, self._scale).astype(np.float32, copy=False)
            self._seen = pair, seen
            return seen
        return self._seen[1]
