"""From an ``nn.Module`` to the typed graph, through ``torch.export``.

Whatever depends on parameters alone (weight normalization, colour tables, coordinate grids) is
evaluated during the trace and folded into the operators that use it. An operator outside the
graph's vocabulary is an error that names the module it stands in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from esca.errors import EscaError
from esca.graph.exported import exported, flatten, module_path, square
from esca.graph.graph import Graph, Node
from esca.graph.ops import (
    Add,
    Affine,
    Concat,
    Conv2d,
    ConvTranspose2d,
    GridSample,
    Input,
    LeakyRelu,
    Linear,
    Op,
    PixelShuffle,
    Reshape,
    TexelBias,
    Upsample,
)
from esca.graph.rewrite import simplify

_BATCH = 2  # any batch above 1 shows which axis it is


@dataclass(frozen=True)
class _Symbol:
    """A traced value: a node of the graph, seen with channels first or (permuted) last."""

    name: str
    shape: tuple[int, ...]
    channels_last: bool = False


def trace(
    module: nn.Module,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str],
) -> Graph:
    """Trace ``module`` into a :class:`Graph`.

    ``inputs``: name -> shape without the batch, in the order of ``forward``'s arguments.
    ``outputs``: labels in the order of what ``forward`` returns (a tensor or a tuple of tensors).
    Parameters are copied, so later changes of the module do not reach the graph.
    """
    examples = {name: torch.zeros(_BATCH, *shape) for name, shape in inputs.items()}
    return _Tracer(exported(module, examples), tuple(inputs), tuple(outputs)).graph()


class _Tracer:
    """Walks an exported program once, building nodes and folding constants."""

    def __init__(
        self,
        program: torch.export.ExportedProgram,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
    ) -> None:
        self.program = program
        self.inputs = inputs
        self.outputs = outputs
        self.nodes: list[Node] = []
        self.values: dict[str, Any] = {}
        self.names: set[str] = set()
        self.where = ""

    def graph(self) -> Graph:
        signature = self.program.graph_signature
        constants = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        for buffer in signature.buffers_to_mutate.values():
            raise self._unsupported(f"a forward that changes its buffer {buffer!r}")
        stored = {**self.program.state_dict, **self.program.constants}
        fed = iter(self.inputs)
        results: Sequence[Any] = ()
        for fx in self.program.graph.nodes:
            if fx.op == "placeholder" and fx.name in constants:
                self.values[fx.name] = stored[constants[fx.name]].detach().clone()
            elif fx.op == "placeholder" and not isinstance(fx.meta["val"], Tensor):
                raise self._unsupported(f"{fx.name!r}, which is no tensor")
            elif fx.op == "placeholder":
                name = next(fed)
                shape = tuple(fx.meta["val"].shape[1:])
                self.values[fx.name] = self._emit(name, Input(), (), shape)
            elif fx.op == "call_function":
                self.where = module_path(fx)
                self.values[fx.name] = self._call(fx)
            elif fx.op == "output":
                results = fx.args[0]
        if len(results) != len(self.outputs):
            raise EscaError(
                f"trace: the module returns {len(results)} tensors, expected {len(self.outputs)} "
                f"({', '.join(self.outputs)})"
            )
        labelled = {}
        for label, result in zip(self.outputs, results, strict=True):
            value = self.values.get(getattr(result, "name", ""))
            if not isinstance(value, _Symbol) or value.channels_last:
                raise EscaError(f"trace: output {label!r} does not depend on the inputs")
            labelled[label] = value.name
        return simplify(Graph(tuple(self.nodes), labelled))

    def _emit(self, name: str, op: Op, inputs: tuple[str, ...], shape: tuple[int, ...]) -> _Symbol:
        name = name or type(op).__name__.lower()  # the module traced is the layer itself
        unique, count = name, 2
        while unique in self.names:
            unique, count = f"{name}.{count}", count + 1
        self.names.add(unique)
        self.nodes.append(Node(unique, op, inputs, tuple(int(n) for n in shape)))
        return _Symbol(unique, self.nodes[-1].shape)

    def _call(self, fx: torch.fx.Node) -> Any:
        args = torch.fx.node.map_arg(fx.args, lambda node: self.values[node.name])
        kwargs = torch.fx.node.map_arg(fx.kwargs, lambda node: self.values[node.name])
        flat = [*flatten(args), *flatten(list(kwargs.values()))]
        target: Any = fx.target
        if not any(isinstance(value, _Symbol) for value in flat):
            return target(*args, **kwargs)
        kind = getattr(target, "_opname", getattr(target, "__name__", str(target)))
        handler = _HANDLERS.get(str(kind))
        if handler is None:
            raise self._unsupported(str(kind))
        result = fx.meta["val"]
        if not isinstance(result, Tensor) or result.shape[:1] != (_BATCH,):
            raise self._unsupported(f"{kind} with an output whose first axis is not the batch")
        if isinstance(target, torch._ops.OpOverload):
            names = [argument.name for argument in target._schema.arguments]
            defaults = {
                argument.name: argument.default_value
                for argument in target._schema.arguments
                if argument.has_default_value()
            }
            bound = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        else:
            raise self._unsupported(str(kind))
        return handler(self, bound, tuple(result.shape[1:]))

    def _unsupported(self, what: str) -> EscaError:
        supported = "linear, conv2d, conv_transpose2d, texel bias, leaky_relu, reshape, concat, "
        supported += "add, upsample, pixel_shuffle, grid_sample, affine"
        where = self.where or "the module itself"
        return EscaError(
            f"trace: layer {where!r} uses {what}, which the graph does not have ({supported})"
        )

    def _need(self, condition: bool, what: str) -> None:
        if not condition:
            raise self._unsupported(what)

    def _symbol(self, value: Any) -> _Symbol:
        self._need(isinstance(value, _Symbol), "a constant where a traced value was expected")
        self._need(not value.channels_last, "a permuted tensor outside grid_sample")
        return value

    # One method an operator; `a` holds the arguments by the schema's names.

    def linear(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        self._need(isinstance(a["weight"], Tensor), "a linear whose weight depends on the inputs")
        x = self._symbol(a["input"])
        self._need(len(x.shape) == 1, f"a linear on {len(x.shape)} axes")
        return self._emit(self.where, Linear(a["weight"], a["bias"]), (x.name,), shape)

    def addmm(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        return self.linear(
            {"input": a["mat1"], "weight": a["mat2"].t().contiguous(), "bias": a["self"]}, shape
        )

    def conv2d(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x, stride, padding = self._convolution(a)
        return self._emit(
            self.where, Conv2d(a["weight"], a["bias"], stride, padding), (x.name,), shape
        )

    def conv_transpose2d(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x, stride, padding = self._convolution(a)
        extra = square(a["output_padding"])
        self._need(extra is not None, "a conv_transpose2d with unequal output_padding")
        op = ConvTranspose2d(a["weight"], a["bias"], stride, padding, extra or 0)
        return self._emit(self.where, op, (x.name,), shape)

    def convolution(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        return self.conv_transpose2d(a, shape) if a["transposed"] else self.conv2d(a, shape)

    def _convolution(self, a: dict[str, Any]) -> tuple[_Symbol, int, int]:
        self._need(isinstance(a["weight"], Tensor), "a convolution whose weight is not constant")
        self._need(a["groups"] == 1, f"a convolution with groups={a['groups']}")
        self._need(square(a["dilation"]) == 1, f"a convolution with dilation={a['dilation']}")
        stride, padding = square(a["stride"]), square(a["padding"])
        self._need(stride is not None, f"a convolution with stride={a['stride']}")
        self._need(padding is not None, f"a convolution with padding={a['padding']}")
        return self._symbol(a["input"]), stride or 1, padding or 0

    def leaky_relu(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        slope = float(a["negative_slope"])
        self._need(0 <= slope <= 1, f"leaky_relu with slope {slope}, expected 0 to 1")
        x = self._symbol(a["self"])
        return self._emit(f"{x.name}.lrelu", LeakyRelu(slope), (x.name,), shape)

    def relu(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        return self.leaky_relu({"self": a["self"], "negative_slope": 0.0}, shape)

    def reshape(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x = self._symbol(a["self"])
        return self._emit(f"{x.name}.reshape", Reshape(shape), (x.name,), shape)

    def alias(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        value: _Symbol = a["self"]
        return value

    def cat(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        symbols = [self._symbol(value) for value in a["tensors"]]
        self._need(a["dim"] in (1, 1 - (len(shape) + 1)), f"a concat along axis {a['dim']}")
        name = f"{self.where}.concat" if self.where else "concat"
        return self._emit(name, Concat(), tuple(s.name for s in symbols), shape)

    def add(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        self._need(a.get("alpha", 1) == 1, "an add with alpha")
        return self._sum(a["self"], a["other"], 1.0, shape)

    def sub(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        self._need(a.get("alpha", 1) == 1, "a sub with alpha")
        self._need(not isinstance(a["other"], _Symbol), "a subtraction of a traced tensor")
        return self._sum(a["self"], a["other"], -1.0, shape)

    def _sum(self, left: Any, right: Any, sign: float, shape: tuple[int, ...]) -> _Symbol:
        if isinstance(left, _Symbol) and isinstance(right, _Symbol):
            x, y = self._symbol(left), self._symbol(right)
            self._need(x.shape == y.shape, f"an add of shapes {x.shape} and {y.shape}")
            return self._emit(f"{x.name}.add", Add(), (x.name, y.name), shape)
        symbol, constant = (left, right) if isinstance(left, _Symbol) else (right, left)
        offset = sign * self._constant(constant, symbol, shape)
        if offset.dim() == 3 and max(offset.shape[1:]) > 1:
            bias = offset.expand(symbol.shape).contiguous()
            name = f"{symbol.name}.texel_bias"
            made = self._emit(name, TexelBias(bias), (symbol.name,), tuple(bias.shape))
        else:
            made = self._affine(symbol, torch.ones_like(offset), offset)
        return self._like(made, symbol)

    def mul(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        both = isinstance(a["self"], _Symbol) and isinstance(a["other"], _Symbol)
        self._need(not both, "a product of two traced tensors")
        left, right = a["self"], a["other"]
        symbol, constant = (left, right) if isinstance(left, _Symbol) else (right, left)
        return self._scale(symbol, self._constant(constant, symbol, shape))

    def div(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        self._need(not isinstance(a["other"], _Symbol), "a division by a traced tensor")
        self._need(a.get("rounding_mode") is None, "a division that rounds")
        return self._scale(a["self"], 1 / self._constant(a["other"], a["self"], shape))

    def _scale(self, symbol: _Symbol, scale: Tensor) -> _Symbol:
        self._need(
            scale.dim() < 3 or max(scale.shape[1:]) == 1, "a product with one factor a texel"
        )
        return self._like(self._affine(symbol, scale, torch.zeros_like(scale)), symbol)

    def _affine(self, symbol: _Symbol, scale: Tensor, offset: Tensor) -> _Symbol:
        return self._emit(
            f"{symbol.name}.affine", Affine(scale, offset), (symbol.name,), symbol.shape
        )

    def _constant(self, value: Any, symbol: _Symbol, shape: tuple[int, ...]) -> Tensor:
        """A constant operand in the symbol's channels-first sample shape, or one value.

        ``shape`` is the result's: a constant that makes the traced tensor larger is not supported.
        """
        c, *sides = symbol.shape
        own = (*sides, c) if symbol.channels_last else symbol.shape
        self._need(shape == own, f"a constant that spreads {own} to {shape}")
        tensor = torch.as_tensor(value, dtype=torch.float32).detach()
        if tensor.numel() == 1:
            return tensor.reshape(())
        while tensor.dim() < len(symbol.shape) + 1:
            tensor = tensor[None]
        self._need(tensor.shape[0] == 1, "a constant that differs along the batch")
        tensor = tensor[0]
        if symbol.channels_last:
            tensor = tensor.permute(2, 0, 1)
        return tensor.contiguous()

    def _like(self, made: _Symbol, symbol: _Symbol) -> _Symbol:
        return _Symbol(made.name, made.shape, symbol.channels_last)

    def permute(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x = self._symbol(a["self"])
        self._need(list(a["dims"]) == [0, 2, 3, 1], f"a permute to {a['dims']}")
        return _Symbol(x.name, x.shape, channels_last=True)

    def grid_sampler(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x, grid = self._symbol(a["input"]), a["grid"]
        self._need(isinstance(grid, _Symbol), "grid_sample with a constant grid")
        self._need(grid.channels_last, "grid_sample whose grid is not a permuted feature map")
        self._need(
            a["interpolation_mode"] == 0 and a["padding_mode"] == 0 and not a["align_corners"],
            "grid_sample other than bilinear, zeros, align_corners=False",
        )
        name = f"{self.where}.grid_sample" if self.where else "grid_sample"
        return self._emit(name, GridSample(), (x.name, grid.name), shape)

    def upsample_nearest2d(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        return self._upsample(a, shape, "nearest")

    def upsample_bilinear2d(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        self._need(not a["align_corners"], "a bilinear upsample with align_corners=True")
        return self._upsample(a, shape, "bilinear")

    def _upsample(self, a: dict[str, Any], shape: tuple[int, ...], mode: Any) -> _Symbol:
        x = self._symbol(a["input"] if "input" in a else a["self"])
        factor = shape[1] // x.shape[1]
        whole = (x.shape[1] * factor, x.shape[2] * factor) == shape[1:]
        # Torch places its samples by the factor that was asked for, not by the one that came out.
        whole &= all(asked in (None, factor) for asked in _asked_factors(a))
        self._need(whole, f"an upsample from {x.shape[1:]} to {shape[1:]}")
        return self._emit(f"{x.name}.upsample", Upsample(factor, mode), (x.name,), shape)

    def slice(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        # Rows of a linear layer are a linear layer; affines of its outputs may stand between.
        made = {node.name: node for node in self.nodes}
        chain = [made[self._symbol(a["self"]).name]]
        while isinstance(chain[0].op, Affine):
            chain.insert(0, made[chain[0].inputs[0]])
        whole = isinstance(chain[0].op, Linear) and a["dim"] in (1, -1) and a["step"] == 1
        self._need(whole, "a slice of anything but a linear layer's outputs")
        start = (a["start"] or 0) % chain[0].shape[0]
        rows = torch.arange(start, start + shape[0])
        inputs = chain[0].inputs
        for node in chain:
            parts = {
                key: v[rows] if v is not None and v.dim() else v for key, v in vars(node.op).items()
            }
            part = self._emit(f"{node.name}.rows{start}", replace(node.op, **parts), inputs, shape)
            inputs = (part.name,)
        return part

    def pixel_shuffle(self, a: dict[str, Any], shape: tuple[int, ...]) -> _Symbol:
        x = self._symbol(a["self"])
        op = PixelShuffle(int(a["upscale_factor"]))
        return self._emit(f"{x.name}.pixel_shuffle", op, (x.name,), shape)


_Handler = Callable[[_Tracer, dict[str, Any], tuple[int, ...]], _Symbol]
_HANDLERS: dict[str, _Handler] = {
    "linear": _Tracer.linear,
    "addmm": _Tracer.addmm,
    "conv2d": _Tracer.conv2d,
    "conv_transpose2d": _Tracer.conv_transpose2d,
    "convolution": _Tracer.convolution,
    "leaky_relu": _Tracer.leaky_relu,
    "relu": _Tracer.relu,
    "view": _Tracer.reshape,
    "_unsafe_view": _Tracer.reshape,
    "reshape": _Tracer.reshape,
    "flatten": _Tracer.reshape,
    "unsqueeze": _Tracer.reshape,
    "squeeze": _Tracer.reshape,
    "contiguous": _Tracer.alias,
    "clone": _Tracer.alias,
    "alias": _Tracer.alias,
    "detach": _Tracer.alias,
    "dropout": _Tracer.alias,
    "cat": _Tracer.cat,
    "concat": _Tracer.cat,
    "add": _Tracer.add,
    "sub": _Tracer.sub,
    "mul": _Tracer.mul,
    "div": _Tracer.div,
    "permute": _Tracer.permute,
    "grid_sampler": _Tracer.grid_sampler,
    "grid_sampler_2d": _Tracer.grid_sampler,
    "upsample_nearest2d": _Tracer.upsample_nearest2d,
    "upsample_bilinear2d": _Tracer.upsample_bilinear2d,
    "pixel_shuffle": _Tracer.pixel_shuffle,
    "slice": _Tracer.slice,
}


def _asked_factors(a: dict[str, Any]) -> list[float | None]:
    """Scale factors given to an upsample, over all forms of its schema."""
    return [*(a.get("scale_factors") or ()), a.get("scales_h"), a.get("scales_w")]
