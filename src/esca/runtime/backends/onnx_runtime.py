"""An exported file in ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.runtime.extra import needed


class OnnxRuntimeDecoder:
    """Runs an ONNX file on the CPU with ``threads`` threads (None: ONNX Runtime's choice)."""

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        runtime = needed("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # Its threads wait busily for the next frame, and would take the cores from all else.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if threads is not None:
            options.intra_op_num_threads = threads
        state = runtime.capi.onnxruntime_pybind11_state
        # Its exceptions share no base but Exception itself.
        refusals = (
            state.Fail,
            state.InvalidArgument,
            state.InvalidGraph,
            state.InvalidProtobuf,
            state.NoSuchFile,
            state.NotImplemented,
            state.RuntimeException,
        )
        try:
            self.session = runtime.InferenceSession(
                model if isinstance(model, bytes) else str(model),
                options,
                providers=["CPUExecutionProvider"],
            )
        except refusals as error:
            name = "model" if isinstance(model, bytes) else str(model)
            what = str(error).splitlines()[0]
            raise EscaError(f"{name}: ONNX Runtime cannot load it ({what})") from error
        self.labels = [output.name for output in self.session.get_outputs()]

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by label."""
        arrays = {name: value.numpy() for name, value in feeds.items()}
        outputs = self.session.run(self.labels, arrays)
        made = zip(self.labels, outputs, strict=True)
        return {label: torch.from_numpy(value) for label, value in made}

    def decode(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`esca.runtime.backends.Decoder`."""
        outputs = self.run({"z": z, "view": view})
        return outputs["texture"], outputs["mesh"]
