"""What calibration measures, in one stream whose memory does not grow with its length."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from esca.errors import EscaError
from esca.graph.execute import run
from esca.graph.graph import Graph, Node
from esca.graph.layers import Layer, schedule
from esca.graph.ops import Linear, Reshape, Weighted
from esca.quantization.phases import Strips, accumulate_hessians, phases, weight_matrix

BINS = 2048
SAMPLED_TEXELS = 65_536
Feeds = Mapping[str, Tensor]
Progress = Callable[[int, int], None]
HessianKind = Literal["plain", "uv"]
HESSIANS: tuple[HessianKind, ...] = ("plain", "uv")


@dataclass(eq=False)
class TensorStatistics:
    """One tensor over the calibration set; a vector counts as one channel.

    ``low``, ``high``: (C,) extremes. ``counts``: (C, BINS) histogram between them, of at most
    SAMPLED_TEXELS texels a frame. ``region_variance``: (C,) variance inside the facial mask.
    """

    low: Tensor
    high: Tensor
    counts: Tensor
    region_variance: Tensor

    @property
    def peak(self) -> Tensor:
        """(C,) largest magnitude."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def centres(self) -> Tensor:
        """(C, BINS) real values that the bins stand for."""
        places = (torch.arange(BINS) + 0.5) / BINS
        return self.low[:, None] + (self.high - self.low)[:, None] * places


@dataclass(eq=False)
class Statistics:
    """Everything that the recipes need, by node name.

    ``plain`` and ``uv``: Hessians of each weighted node, one (K, K) a phase; where a phase has more
    than SAMPLED_TEXELS texels, from other strips of them in every frame. Empty where they were not
    asked for. ``frames``: length of the calibration stream.
    """

    tensors: dict[str, TensorStatistics] = field(default_factory=dict)
    plain: dict[str, list[Tensor]] = field(default_factory=dict)
    uv: dict[str, list[Tensor]] = field(default_factory=dict)
    frames: int = 0


@dataclass(frozen=True, eq=False)
class TexelMaps:
    """Maps over the texture, (T, T) float32, array orientation.

    ``face``: facial mask in [0, 1], for FFAS. ``weight``: visibility times importance, for the
    UV-weighted Hessian. Both may be None where no recipe needs them.
    """

    face: Tensor | None = None
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        for name, value in (("face", self.face), ("weight", self.weight)):
            if value is None:
                continue
            if value.dim() != 2 or value.shape[0] != value.shape[1]:
                raise EscaError(f"texel map {name!r}: shape {tuple(value.shape)}, expected (T, T)")
            if not bool(torch.isfinite(value).all()) or float(value.min()) < 0:
                raise EscaError(f"texel map {name!r}: expected finite values of at least 0")
            if not float(value.sum()) > 0:
                raise EscaError(f"texel map {name!r}: is zero everywhere")
        if self.face is not None and self.weight is not None:
            sizes = [f"{len(value)} x {len(value)}" for value in (self.face, self.weight)]
            if sizes[0] != sizes[1]:
                raise EscaError(
                    f"texel map 'weight': {sizes[1]} texels, expected {sizes[0]} as 'face'"
                )


def resized(texel_map: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W) area average of a (T, T) map, or its bilinear enlargement."""
    image = texel_map[None, None]
    if size[0] <= texel_map.shape[0]:
        return F.adaptive_avg_pool2d(image, size)[0, 0]
    return F.interpolate(image, size, mode="bilinear", align_corners=False)[0, 0]


def collect(
    graph: Graph,
    batches: Callable[[], Iterable[Feeds]],
    maps: TexelMaps,
    hessians: Collection[HessianKind] = HESSIANS,
    progress: Progress | None = None,
    total: int = 0,
) -> Statistics:
    """Two passes over the calibration stream: extremes, variances and Hessians, then histograms.

    ``batches()`` starts the stream anew and must give the same batches each time. ``hessians``: the
    kinds to accumulate; "uv" also needs ``maps.weight``. Memory holds one batch, the Hessians and
    the histograms, however long the stream is.
    """
    steps = schedule(graph)
    watched = _watched(graph, [step for step in steps if isinstance(step, Layer)])
    first = _FirstPass(graph, watched, maps, hessians)
    statistics = Statistics()
    done = 0
    for feeds in batches():
        run_no_grad(graph, feeds, first.observe)
        done += len(next(iter(feeds.values())))
        if progress:
            progress(done, 2 * total)
    if done == 0:
        raise EscaError("calibration: the set is empty, expected at least one frame")
    first.finish(statistics)
    statistics.frames = done
    second = _SecondPass(statistics)
    for feeds in batches():
        run_no_grad(graph, feeds, second.observe)
        done += len(next(iter(feeds.values())))
        if progress:
            progress(done, 2 * total)
    if done != 2 * statistics.frames:
        raise EscaError(
            f"calibration: the stream gave {statistics.frames} frames at first and "
            f"{done - statistics.frames} when it was started anew"
        )
    return statistics


@torch.no_grad()
def run_no_grad(graph: Graph, feeds: Feeds, observe: Callable[[Node, Tensor], None]) -> None:
    """Run a batch for the observer's sake."""
    run(graph, feeds, observe)


def _watched(graph: Graph, layers: list[Layer]) -> set[str]:
    names = {node.name for node in graph.inputs}
    names |= {layer.output.name for layer in layers}
    names |= {node.name for node in graph.nodes if isinstance(node.op, Reshape)}
    return names | {node.inputs[0] for node in graph.weighted}


def _channels_first(value: Tensor) -> Tensor:
    """(C, N) view of a batch; a vector is one channel."""
    if value.dim() == 2:
        return value.reshape(1, -1)
    return value.transpose(0, 1).flatten(1)


class _FirstPass:
    def __init__(
        self,
        graph: Graph,
        watched: set[str],
        maps: TexelMaps,
        hessians: Collection[HessianKind],
    ) -> None:
        self.graph, self.watched, self.maps = graph, watched, maps
        self.turn: dict[str, int] = {}
        self.low: dict[str, Tensor] = {}
        self.high: dict[str, Tensor] = {}
        self.moments: dict[str, Tensor] = {}
        self.plain: dict[str, list[Tensor]] = {}
        self.uv: dict[str, list[Tensor]] = {}
        self.readers: dict[str, list[Node]] = {}
        plain, uv = "plain" in hessians, "uv" in hessians and maps.weight is not None
        for node in graph.weighted if plain or uv else ():
            self.readers.setdefault(node.inputs[0], []).append(node)
            op = graph.weight_op(node.name)
            sizes = [weight_matrix(op, op.weight, phase).shape[1] for phase in phases(op)]
            if plain:
                self.plain[node.name] = [torch.zeros(k, k) for k in sizes]
            if uv and plain and isinstance(op, Linear):  # no texels: the same matrix
                self.uv[node.name] = self.plain[node.name]
            elif uv:
                self.uv[node.name] = [torch.zeros(k, k) for k in sizes]

    def observe(self, node: Node, value: Tensor) -> None:
        if node.name in self.watched:
            self._extremes(node.name, value)
        for reader in self.readers.get(node.name, ()):
            self._hessians(reader, value)

    def _hessians(self, reader: Node, value: Tensor) -> None:
        op, shape = self.graph.weight_op(reader.name), reader.shape
        turn = self.turn.get(reader.name, 0)
        self.turn[reader.name] = turn + len(value)
        plain, uv = self.plain.get(reader.name), self.uv.get(reader.name)
        if uv is plain:
            uv = None
        weight = None
        if uv is not None and self.maps.weight is not None and not isinstance(op, Linear):
            weight = resized(self.maps.weight, (shape[1], shape[2]))
        for number, frame in enumerate(value.split(1), start=turn):
            # Strips depend on the frame alone, not on how frames are batched.
            strips = _strips(op, shape, number)
            accumulate_hessians(op, frame, shape, plain, uv, weight, strips)

    def _extremes(self, name: str, value: Tensor) -> None:
        weight = torch.ones(1)
        if value.dim() == 4 and self.maps.face is not None:
            weight = resized(self.maps.face, (value.shape[2], value.shape[3])).reshape(-1)
        for frame in value.split(1):  # a view each; joining a batch's texels would copy them
            flat = _channels_first(frame)
            low, high = torch.aminmax(flat, dim=1)
            if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
                raise EscaError(f"calibration: layer {name!r} produced NaN or infinity")
            if name in self.low:
                low = torch.minimum(low, self.low[name])
                high = torch.maximum(high, self.high[name])
            self.low[name], self.high[name] = low, high
            product = flat * weight
            first = product.sum(1).double()
            second = product.mul_(flat).sum(1).double()
            count = weight.expand(flat.shape[1]).sum().double().expand(len(flat))
            moments = torch.stack([first, second, count])
            self.moments[name] = self.moments.get(name, torch.zeros_like(moments)) + moments

    def finish(self, statistics: Statistics) -> None:
        for name, low in self.low.items():
            first, second, count = self.moments[name]
            mean = first / count
            variance = (second / count - mean.square()).clamp_min(0)
            statistics.tensors[name] = TensorStatistics(
                low,
                self.high[name],
                torch.zeros(len(low), BINS),
                variance.float(),
            )
        statistics.plain, statistics.uv = self.plain, self.uv


class _SecondPass:
    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self.turn: dict[str, int] = {}

    def observe(self, node: Node, value: Tensor) -> None:
        known = self.statistics.tensors.get(node.name)
        if known is None:
            return
        turn = self.turn.get(node.name, 0)
        self.turn[node.name] = turn + len(value)
        stride = max(1, _channels_first(value[:1]).shape[1] // SAMPLED_TEXELS)
        # Which texels are looked at depends on the frame alone, not on how frames are batched.
        frames = [_channels_first(value[i : i + 1]) for i in range(len(value))]
        flat = torch.cat([f[:, (turn + i) % stride :: stride] for i, f in enumerate(frames)], 1)
        span = (known.high - known.low).clamp_min(1e-12)[:, None]
        index = ((flat - known.low[:, None]) / span * BINS).long().clamp_(0, BINS - 1)
        index += torch.arange(len(flat))[:, None] * BINS
        size, shape = known.counts.numel(), known.counts.shape
        known.counts += torch.bincount(index.reshape(-1), minlength=size).reshape(shape)


def _strips(op: Weighted, shape: tuple[int, ...], frame: int) -> Strips:
    """About SAMPLED_TEXELS texels of each phase: other strips in every frame, in turn."""
    if isinstance(op, Linear):
        return Strips()
    texels = shape[1] * shape[2] // len(phases(op))
    every = max(1, texels // SAMPLED_TEXELS)
    return Strips(16, every, frame % every) if every > 1 else Strips()
