"""An exported file in OpenVINO."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.runtime.extra import needed


class OpenVinoDecoder:
    """Compiles an ONNX file for the CPU with ``threads`` threads (None: OpenVINO's choice).

    Float operators stay float32 also where the machine has bfloat16 units, which OpenVINO would
    use on its own: then it would not be the arithmetic that was asked for. ``last``: the file's
    outputs have their channels last; textures are given in the usual order all the same, in
    PyTorch's memory format ``channels_last``. ``textures``: (N, T, T, 3) float32 memory that the
    textures of frames are written to in turn (needs ``last``); None: every frame has its own.
    """

    def __init__(
        self,
        model: Path | bytes,
        threads: int | None = None,
        last: bool = False,
        textures: Tensor | None = None,
    ) -> None:
        self._last = last
        openvino = needed("openvino", "openvino")
        settings: dict[str, str | int | bool] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            # Decoders that are pinned would share the first core with each other and all else.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            read = core.read_model(model if isinstance(model, bytes) else str(model))
            # Shapes that are known when compiling are faster; what is shown is one frame at a time.
            read.reshape({port: [1, *list(port.partial_shape)[1:]] for port in read.inputs})
            self.compiled = core.compile_model(read, "CPU", settings)
            requests = [self.compiled.create_infer_request() for _ in range(_count(textures))]
        except RuntimeError as error:
            name = "model" if isinstance(model, bytes) else str(model)
            what = str(error).splitlines()[0]
            raise EscaError(f"{name}: OpenVINO cannot load it ({what})") from error
        if textures is not None:
            for request, texture in zip(requests, textures.split(1), strict=True):
                memory = openvino.Tensor(texture.numpy(), shared_memory=True)
                request.set_tensor("texture", memory)
        self._requests = cycle(requests)
        self._shared = textures is not None

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by label; a batch is run frame by frame."""
        frames = zip(*(value.split(1) for value in feeds.values()), strict=True)
        made = [self._frame(dict(zip(feeds, frame, strict=True))) for frame in frames]
        if len(made) == 1:
            return made[0]
        return {label: torch.cat([frame[label] for frame in made]) for label in made[0]}

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`esca.runtime.backends.Decoder`."""
        outputs = self.run({"z": z, "view": view})
        texture = outputs["texture"]
        return texture.movedim(3, 1) if self._last else texture, outputs["mesh"]

    def _frame(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        arrays = {name: value.numpy() for name, value in feeds.items()}
        request = next(self._requests)
        outputs = request.infer(arrays, share_inputs=True, share_outputs=self._shared)
        # A port bears its label and, where OpenVINO dropped an identity, the name behind it too.
        return {
            label: torch.from_numpy(value)
            for port, value in outputs.to_dict().items()
            for label in port.get_names()
        }


def _count(textures: Tensor | None) -> int:
    return 1 if textures is None else len(textures)
