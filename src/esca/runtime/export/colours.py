"""The per-camera colour correction behind an exported decoder."""

import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor

from esca.avatars import Avatar
from esca.errors import EscaError

CAMERA = "camera"


def add_colours(model: ModelProto, avatar: Avatar) -> None:
    """Make the output ``texture`` one in the colours of an input ``camera``, (B,) int64.

    In place. Cameras are numbered as in the capture's KRT; 0 is the anchor.
    """
    outputs = [value.name for value in model.graph.output]
    if "texture" not in outputs:
        raise EscaError("colours: the model has no output 'texture', expected a decoder")
    # Every output is written by an Identity of its own, so that its name can be exchanged.
    writer = next(node for node in model.graph.node if "texture" in node.output)
    plain = "texture.plain"
    writer.output[0] = plain
    for name in ("weight", "bias"):
        table = _table(avatar, name).detach().numpy()
        stored = numpy_helper.from_array(table, f"colours.{name}s")
        model.graph.initializer.append(stored)
        model.graph.node.append(
            helper.make_node("Gather", [stored.name, CAMERA], [f"colours.{name}"], axis=0)
        )
    model.graph.node.append(helper.make_node("Mul", [plain, "colours.weight"], ["colours.scaled"]))
    model.graph.node.append(
        helper.make_node("Add", ["colours.scaled", "colours.bias"], ["texture"])
    )
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    model.graph.input.append(helper.make_tensor_value_info(CAMERA, TensorProto.INT64, [batch]))


def _table(avatar: Avatar, name: str) -> Tensor:
    """(cameras, 3, 1, 1), the anchor first."""
    colours = avatar.cc
    return torch.cat((getattr(colours, f"{name}_anchor"), getattr(colours, name)))
