"""Report material from what the other rooms make: artifacts, captures and rendered videos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from torch import Tensor

from esca.avatars import Avatar
from esca.captures.reader import Capture
from esca.evaluation.clips import Clip, Segment
from esca.evaluation.evaluate import FP32, Method
from esca.evaluation.layers import layer_errors
from esca.evaluation.metrics import Video
from esca.files import sha256 as sha256_of
from esca.graph.graph import Graph, parameters
from esca.graph.ops import Linear, TexelBias
from esca.quantization.recipe import recipe_data
from esca.report.inputs import (
    AvatarFacts,
    CaptureFacts,
    ClipPictures,
    Details,
    Frame,
    Label,
    SmoothedLayers,
    ViewPictures,
)
from esca.runtime.artifact import Artifact, artifact_bytes

Progress = Callable[[int, int], None]


def capture_facts(capture: Capture) -> CaptureFacts:
    """Facts of an opened capture."""
    return CaptureFacts(
        name=capture.root.name,
        cameras=tuple(camera.id for camera in capture.cameras),
        frames=len(capture.frames),
        texture_size=capture.texture_size,
        vertices=capture.vertex_count,
    )


def avatar_facts(avatar: Avatar, checkpoint: Path) -> AvatarFacts:
    """Facts of a loaded avatar and the file it came from."""
    return AvatarFacts(
        variant=avatar.variant,
        latent=avatar.latent,
        texture_size=avatar.texture_size,
        parameters=sum(value.numel() for value in avatar.decoder.parameters()),
        sha256=sha256_of(checkpoint),
    )


def parameter_bytes(graph: Graph) -> dict[str, int]:
    """Bytes of a float graph's parameters by the parts that ``artifact_bytes`` knows."""
    parts = dict.fromkeys(("convolutions", "linear", "texel_biases", "biases", "scales"), 0)
    for node in graph.nodes:
        for name, value in parameters(node).items():
            if isinstance(node.op, TexelBias):
                part = "texel_biases"
            elif name == "bias":
                part = "biases"
            else:
                part = "linear" if isinstance(node.op, Linear) else "convolutions"
            parts[part] += value.numel() * value.element_size()
    return parts


def details_of(
    artifact: Artifact,
    float_graph: Graph,
    feeds: Mapping[str, Tensor],
    sha256: str = "",
    progress: Progress | None = None,
) -> Details:
    """Sizes, smoothing and layer errors of an artifact over the frames of ``feeds``.

    ``feeds``: real inputs by name, (N, ...). ``sha256``: of the artifact's file. ``progress``
    counts frames.
    """
    quantized = artifact.quantized
    return Details(
        label=Label(quantized.recipe.name, quantized.recipe.label),
        recipe=yaml.safe_dump(recipe_data(quantized.recipe), sort_keys=False),
        sha256=sha256,
        parts=artifact_bytes(quantized),
        layers=layer_errors(float_graph, quantized, feeds, progress),
        smoothed=tuple(
            SmoothedLayers(made.sinks, made.scales.numpy(), made.exempt.numpy())
            for made in quantized.smoothed
        ),
    )


@dataclass
class Gallery:
    """Keeps what a report shows of an evaluation: hand it to ``evaluate`` as ``on_video``.

    Of the first segment, the middle frame of every view and method is kept, and of ``clip_view``
    the whole video of fp32 and of ``clip_methods`` (recipe name and bits), in that order.
    """

    clip_view: str
    clip_methods: Sequence[Label]
    fps: int = 30
    segment: str | None = field(default=None, init=False)
    _frames: dict[str, str] = field(default_factory=dict, init=False)
    _references: dict[str, Frame] = field(default_factory=dict, init=False)
    _stills: dict[str, dict[Label, Frame]] = field(default_factory=dict, init=False)
    _videos: dict[Label, Video] = field(default_factory=dict, init=False)

    def __call__(self, method: Method, segment: Segment, clip: Clip, video: Video) -> None:
        """One rendered video, fp32 first."""
        self.segment = self.segment or segment.name
        if segment.name != self.segment:
            return
        label, middle = Label(method.name, method.bits), len(video) // 2
        self._stills.setdefault(clip.view, {})[label] = video[middle].copy()
        self._frames[clip.view] = f"{segment.name}, frame {middle + 1} of {len(video)}"
        if clip.reference is not None:
            self._references[clip.view] = clip.reference[middle]
        if clip.view == self.clip_view and (method.name == FP32 or label in self.clip_methods):
            self._videos[label] = video

    @property
    def views(self) -> tuple[ViewPictures, ...]:
        """Stills of every view that was rendered."""
        return tuple(
            ViewPictures(
                view=view,
                frame=self._frames[view],
                fp32=stills[_FP32],
                methods={label: still for label, still in stills.items() if label != _FP32},
                reference=self._references.get(view),
            )
            for view, stills in self._stills.items()
        )

    @property
    def clip(self) -> ClipPictures | None:
        """The clip, None if its view was not rendered."""
        if _FP32 not in self._videos:
            return None
        methods = {
            label: self._videos[label] for label in self.clip_methods if label in self._videos
        }
        return ClipPictures(self.clip_view, self.fps, np.asarray(self._videos[_FP32]), methods)


_FP32 = Label(FP32, FP32)
