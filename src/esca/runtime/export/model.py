"""A quantized graph as a checked ONNX model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import onnx
from onnx import ModelProto, TensorProto, helper

import esca
from esca.errors import EscaError
from esca.files import written_beside
from esca.graph.graph import Graph
from esca.graph.layers import Move, schedule
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import recipe_data
from esca.runtime.export.constants import FloatConstants, IntegerConstants
from esca.runtime.export.integers import IntegerSteps
from esca.runtime.export.reals import RealSteps
from esca.runtime.export.writer import OPSET, Writer
from esca.runtime.lowering import IntegerLayer, lower

Form = Literal["qdq", "cpu"]
FORMS: tuple[Form, ...] = get_args(Form)
BATCH = "batch"


def form_named(name: str) -> Form:
    """A form by name; EscaError for another one."""
    for form in FORMS:
        if form == name:
            return form
    raise EscaError(f"form: {name!r}, expected one of {', '.join(FORMS)}")


def quantized_model(
    quantized: QuantizedGraph,
    form: Form,
    metadata: Mapping[str, str] | None = None,
    last: bool = False,
) -> ModelProto:
    """A quantized graph in ONNX: reals in and out, the first axis a batch of any size.

    ``qdq``: 4-bit layers on INT4 and UINT4, others on 8 bits, transposed convolutions as they are.
    ``cpu``: the integer runtime's arithmetic on 8-bit operators, transposed convolutions as
    convolutions for one row of phases each. ``last``: its outputs (B, C, H, W) as (B, H, W, C),
    which is how engines hold them and saves them a pass.
    Fully checked, with all shapes.
    """
    writer = Writer(narrow=form == "qdq")
    facts = {"form": form, "recipe": json.dumps(recipe_data(quantized.recipe), sort_keys=True)}
    facts |= dict(metadata or {})
    graph = quantized.graph
    if form == "cpu":
        program = lower(quantized)
        integers = IntegerSteps(quantized, program, writer, last)
        return _model(graph, program.steps, integers, writer, facts)
    reals = RealSteps(graph, writer, IntegerConstants(quantized, writer), split=False)
    return _model(graph, schedule(graph), reals, writer, facts)


def float_model(graph: Graph, split: bool) -> ModelProto:
    """A float graph in ONNX; ``split``: transposed convolutions as in the form ``cpu``."""
    writer = Writer(narrow=False)
    reals = RealSteps(graph, writer, FloatConstants(graph, writer), split)
    return _model(graph, schedule(graph), reals, writer, {"form": "fp32"})


def _model(
    graph: Graph,
    steps: Sequence[Any],
    form: RealSteps | IntegerSteps,
    writer: Writer,
    facts: Mapping[str, str],
) -> ModelProto:
    for name in (*(node.name for node in graph.inputs), *graph.outputs):
        writer.reserve(name)
    values = {node.name: form.input(node.name) for node in graph.inputs}
    for step in steps:
        if isinstance(step, Move):
            values[step.node.name] = form.move(step, values)
        else:
            layer = step.layer if isinstance(step, IntegerLayer) else step
            values[layer.output.name] = form.layer(step, values)
    for label, name in graph.outputs.items():
        real = form.output(name, values[name])
        writer.nodes.append(helper.make_node("Identity", [real], [label]))
    shapes = {label: graph.by_name[name].shape for label, name in graph.outputs.items()}
    if isinstance(form, IntegerSteps) and form.last:
        shapes = {label: (*shape[1:], *shape[:1]) for label, shape in shapes.items()}
    made = helper.make_graph(
        writer.nodes,
        "esca",
        [_value(node.name, node.shape) for node in graph.inputs],
        [_value(label, shape) for label, shape in shapes.items()],
        list(writer.initializers.values()),
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="esca",
        producer_version=esca.__version__,
    )
    # The file format that came with the operator set: runtimes refuse newer ones than they know.
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    facts = {"version": esca.__version__, **facts}
    helper.set_model_props(model, {f"esca.{key}": value for key, value in facts.items()})
    return checked(model)


def checked(model: ModelProto) -> ModelProto:
    """The model with all shapes, after the full check of ONNX."""
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def save_model(model: ModelProto, path: Path) -> None:
    """Write a model, beside first and then renamed."""
    with written_beside(path) as beside:
        beside.write_bytes(model.SerializeToString())


def _value(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])
