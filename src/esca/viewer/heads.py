"""From a look, a code and a direction to heads: decoding and dressing, two threads at a time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.viewer.decoders import Decoders
from esca.viewer.glb import jpeg, textured_glb
from esca.viewer.heat import luminance, texels_per_degree, visible_error
from esca.viewer.palette import heat_texture, signed_texture
from esca.viewer.subject import Picture, Subject
from esca.viewer.tone import as_texels

Layout = Literal["Side by side", "Split", "fp32", "Quantized", "Error"]
LAYOUTS: tuple[Layout, ...] = ("Side by side", "Split", "fp32", "Quantized", "Error")

ErrorKind = Literal["Visible error (proxy)", "Signed difference"]
ERRORS: tuple[ErrorKind, ...] = ("Visible error (proxy)", "Signed difference")

_Part = tuple[str, tuple[object, ...], Callable[[], bytes]]
"""Label, key and what makes the file."""

_LINE_TEXELS = 1.2
"""Width of the line between the halves of a split head."""


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
class Head:
    """One head: ``key`` tells what it shows, equal keys equal files. ``glb`` makes the file."""

    label: str
    key: tuple[object, ...]
    glb: bytes


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder made: ``vertices`` (V, 3) mm, ``picture`` (T, T, 3) display."""

    vertices: NDArray[np.float32]
    picture: Picture


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
    """Makes heads; asked from one thread, it works in two."""

    def __init__(self, subject: Subject, decoders: Decoders) -> None:
        self.subject = subject
        self.decoders = decoders
        self._scale = texels_per_degree(subject.texel)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="esca-view")
        self._known: dict[int | None, tuple[tuple[object, ...], Decoded]] = {}
        self._made: dict[int, Head] = {}
        self._pair: tuple[Decoded, Decoded] | None = None
        self._seen: tuple[tuple[Decoded, Decoded], NDArray[np.float32]] | None = None

    def make(self, look: Look, code: Tensor, view: Tensor) -> list[Head]:
        """Heads from left to right; those that are the same as before are not made again."""
        moment = (code.numpy().tobytes(), view.numpy().tobytes())
        pair, chosen = (None, look.candidate), self.decoders.candidates[look.candidate]
        unused = {"fp32": look.candidate, "Quantized": None}.get(look.layout, -1)
        jobs: dict[int | None, Future[Decoded]] = {
            source: self._pool.submit(self._decoded, source, moment, code, view)
            for source in pair
            if source != unused
        }
        made = {source: job.result() for source, job in jobs.items()}
        self._known |= {source: (moment, decoded) for source, decoded in made.items()}
        if len(made) == 2:
            self._pair = made[None], made[look.candidate]
        name = f"{chosen.method} {chosen.bits}"
        plain: dict[str, _Part] = {
            "fp32": ("fp32", (None, moment), lambda: self._plain(made[None])),
            "Quantized": (
                name,
                (look.candidate, moment),
                lambda: self._plain(made[look.candidate]),
            ),
            "Error": (look.error, (look, moment), lambda: self._error(look)),
            "Split": (f"fp32  |  {name}", (look, moment), lambda: self._split(look)),
        }
        wanted = ("fp32", "Quantized", "Error") if look.layout == "Side by side" else (look.layout,)
        return self._dressed([plain[part] for part in wanted])

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

    def _dressed(self, parts: list[_Part]) -> list[Head]:
        jobs = []
        for place, (_, key, make) in enumerate(parts):
            before = self._made.get(place)
            same = before is not None and before.key == key
            jobs.append(before if same else self._pool.submit(make))
        heads = [
            job if isinstance(job, Head) else Head(label, key, job.result())
            for (label, key, _), job in zip(parts, jobs, strict=True)
            if job is not None
        ]
        self._made = dict(enumerate(heads))
        return heads

    def _decoded(
        self, source: int | None, moment: tuple[object, ...], code: Tensor, view: Tensor
    ) -> Decoded:
        known = self._known.get(source)
        if known is not None and known[0] == moment:
            return known[1]
        decoders = self.decoders
        timed = decoders.reference if source is None else decoders.quantized(source)
        texture, mesh = timed.decode(code, view)
        return Decoded(self.subject.millimetres(mesh), self.subject.display(texture))

    def _glb(self, vertices: NDArray[np.floating], texels: Picture) -> bytes:
        placed = self.subject.placed(vertices)
        return textured_glb(self.subject.corners, placed, jpeg(texels))

    def _plain(self, decoded: Decoded) -> bytes:
        return self._glb(decoded.vertices, as_texels(decoded.picture))

    def _error(self, look: Look) -> bytes:
        assert self._pair is not None
        reference, quantized = self._pair
        if look.error == "Signed difference":
            off = quantized.picture.astype(np.int16) - reference.picture
            weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
            return self._glb(reference.vertices, signed_texture(off @ weights, look.full))
        error = self._visible(self._pair)
        grey = reference.picture[..., 1]
        return self._glb(reference.vertices, heat_texture(error, grey, look.full))

    def _visible(self, pair: tuple[Decoded, Decoded]) -> NDArray[np.float32]:
        """(T, T); outside the chart both are alike, so that what nobody sees does not leak in."""
        if self._seen is None or self._seen[0] is not pair:
            base, test = (luminance(decoded.picture) for decoded in pair)
            test = torch.where(torch.from_numpy(self.subject.covered), test, base)
            self._seen = pair, visible_error(test, base, self._scale).numpy()
        return self._seen[1]

    def _split(self, look: Look) -> bytes:
        assert self._pair is not None
        reference, quantized = self._pair
        at = look.split * self.subject.size[0] / 2
        across = self.subject.across
        texels = np.where((across < at)[..., None], reference.picture, quantized.picture)
        line = np.abs(across - at) < _LINE_TEXELS / 2 * self.subject.texel
        texels[line & self.subject.covered] = 240
        left = (reference.vertices[:, :1] - self.subject.centre[0]) < at
        vertices = np.where(left, reference.vertices, quantized.vertices)
        return self._glb(vertices, as_texels(texels))
