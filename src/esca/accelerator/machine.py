"""The functional simulator: executes a program on real integers, through the modelled memories.

Instructions run in the order in which the timing model starts them, or in any other that their
queues and semaphores allow: the result is the same, and what is not where an instruction reads it
is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esca.accelerator import arithmetic
from esca.accelerator.allocate import RegionKey
from esca.accelerator.arithmetic import Reals
from esca.accelerator.axes import Ints
from esca.accelerator.config import ACCUMULATOR_BYTES
from esca.accelerator.events import simulate
from esca.accelerator.isa import Instruction
from esca.accelerator.memory import ActivationBuffer, Halves, Ring, Rows
from esca.accelerator.movers import Reader, moved
from esca.accelerator.packed import as_int32, residual_of, unpacked
from esca.accelerator.plan import drained_lines
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.schedule import SERVERS
from esca.accelerator.unit_outputs import Block, unit_macs, unit_outputs
from esca.accelerator.weights import tile_weights
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError

Blocks = list[Ints]


@dataclass(frozen=True, eq=False)
class Execution:
    """What one frame gave: ``outputs`` by label (int32, without a batch), useful ``macs`` and DRAM
    ``bytes`` as executed.
    """

    outputs: dict[str, Tensor]
    macs: int
    bytes: int


def issue_order(program: MachineProgram) -> list[int]:
    """Instructions as the timing model starts them."""
    starts = simulate([made.job for made in program.instructions], SERVERS)
    return sorted(range(len(starts)), key=lambda index: (starts[index], index))


def execute(
    program: MachineProgram, feeds: Mapping[str, Tensor], order: Sequence[int] | None = None
) -> Execution:
    """One frame: integers of every input, shaped as the tensor or with a batch of one.

    EscaError for feeds that do not fit, and where an instruction reads what is not there.
    """
    machine = _Machine(program, feeds)
    for index in issue_order(program) if order is None else order:
        machine.run(program.instructions[index])
    outputs = {
        label: torch.from_numpy(
            machine.dram[name].get(0, machine.tensors[name].height).astype(np.int32)
        ).reshape(machine.tensors[name].shape)
        for label, name in program.labels.items()
    }
    return Execution(outputs, machine.macs, machine.bytes)


class _Machine:
    def __init__(self, program: MachineProgram, feeds: Mapping[str, Tensor]) -> None:
        config, workload = program.config, program.workload
        self.program = program
        self.tensors = {t.name: t for t in workload.inputs}
        self.tensors |= {layer.output.name: layer.output for layer in workload.layers}
        self.dram = {name: Rows(t, t.height) for name, t in self.tensors.items()}
        for tensor in workload.inputs:
            self._feed(tensor, feeds)
        buffers = config.buffers
        self.activations = ActivationBuffer(buffers.activation_bytes, program.regions, self.tensors)
        self.ring = Ring(buffers.weight_bytes)
        self.accumulators = Halves[Blocks]("accumulators", buffers.accumulator_bytes // 2)
        self.extras = Halves[list[Ints]]("biases and residuals", buffers.output_bytes // 4)
        self.results = Halves[Blocks]("results", buffers.output_bytes // 4)
        self.linear_results = Halves[Blocks]("linear results", buffers.output_bytes // 4)
        self.fifo = Halves[NDArray[np.uint8]]("linear weights", buffers.output_bytes)
        self.biases: dict[int, Ints] = {}
        self.carried: dict[tuple[int, int], Reals] = {}
        self.matrices: dict[tuple[int, int, int], tuple[int, Reals]] = {}
        self.windows: dict[int, tuple[tuple[int, ...], Reals]] = {}
        self.seen: dict[int, dict[tuple[int, int], Reals]] = {}
        self.macs = self.bytes = 0

    def _feed(self, tensor: TensorShape, feeds: Mapping[str, Tensor]) -> None:
        if tensor.name not in feeds:
            raise EscaError(f"simulator: input {tensor.name!r} was not fed")
        fed = feeds[tensor.name]
        if tuple(fed.shape) not in (tensor.shape, (1, *tensor.shape)):
            raise EscaError(
                f"simulator: input {tensor.name!r} has shape {tuple(fed.shape)}, "
                f"expected {tensor.shape}"
            )
        values = fed.numpy().reshape(tensor.channels, tensor.height, tensor.width)
        rows = self.dram[tensor.name]
        for row in range(tensor.height):
            rows.begin(row)
        everywhere = np.arange(tensor.height), np.arange(tensor.width)
        rows.put((0, tensor.channels), *everywhere, values.astype(np.int64))

    def run(self, made: Instruction) -> None:
        """Execute one instruction."""
        step = self.program.steps[made.layer]
        self.bytes += made.bytes
        match made.op:
            case "load_rows":
                self._load_rows(made)
            case "load_weights":
                self._load_weights(made, step)
            case "load_biases" | "load_residual":
                self._load_extras(made, step)
            case "array":
                self._array(made, step)
            case "store":
                self._store(made, step)
            case "epilogue":
                sums = self.accumulators.drain(made.half, (_unit(made),))
                self._finish(made, step, sums)
            case "linear":
                self._linear(made, step)
            case "elementwise":
                window = self._operand(made.layer, step.layer.input, *made.raster[:2])
                self._finish(made, step, [window - step.constants.scalars["source_zero"]])
            case _:
                values = moved(step, made.raster[:2], self.program.config, self._reader(made, step))
                self._write(made, step, _blocks(step, made), [values])

    # Transfers.

    def _load_rows(self, made: Instruction) -> None:
        for name, low, high in made.rows:
            tensor = self.tensors[name]
            values = self.dram[name].get(low, high).astype(np.int64)
            place = (0, tensor.channels), np.arange(low, high), np.arange(tensor.width)
            self.activations.put((made.layer, name), *place, values)

    def _load_weights(self, made: Instruction, step: Step) -> None:
        address, moved_bytes = made.address, 0
        for part in made.parts:
            start, size = step.weights[part]
            piece = self.program.image[start : start + size]
            if made.half >= 0:
                self.fifo.fill(made.half, (made.layer, part), piece, size)
            else:
                self.ring.put((made.layer, *part), address, piece)
                if step.layer.channel_bias and part == next(iter(step.weights)):
                    self.biases[made.layer] = as_int32(piece[-4 * step.layer.output.channels :])
            address, moved_bytes = address + size, moved_bytes + size
        _counted(made, moved_bytes)

    def _load_extras(self, made: Instruction, step: Step) -> None:
        taken: list[Ints] = []
        if made.op == "load_biases":
            low, high = made.range
            for address, bits in zip(step.texel_biases, step.layer.texel_bias_bits, strict=True):
                taken.append(unpacked(self.program.image, address, bits, low, high))
        else:
            tensor = step.layer.residual
            assert tensor is not None
            for block in _blocks(step, made):
                taken.append(residual_of(self.dram[tensor.name], block))
        self.extras.fill(made.extras, (_unit(made), made.op), taken, made.bytes)

    def _store(self, made: Instruction, step: Step) -> None:
        results = self.linear_results if step.engine == "linear" else self.results
        values = results.drain(made.results, (_unit(made),))
        rows = self.dram[step.layer.output.name]
        for block, content in zip(_blocks(step, made), values, strict=True):
            for row in block.rows.tolist():
                rows.begin(row)
            rows.put(block.channels, block.rows, block.columns, content)

    # Engines.

    def _array(self, made: Instruction, step: Step) -> None:
        assert step.tiling is not None
        if made.mode != step.tiling.mode:
            raise EscaError(
                f"layer {step.layer.name!r}: instruction in mode {made.mode!r}, its operands are "
                f"packed for {step.tiling.mode!r}"
            )
        p, tile = step.tiling.passes[made.part[0]], made.part[1]
        low, high = arithmetic.rows_read(p, made.raster)
        self._check(made.layer, step.layer.input, low, high)
        where = (made.part[0], *made.raster)
        if self.windows.get(made.layer, ((), None))[0] != where:
            scalars = step.constants.scalars
            window = self._operand(made.layer, step.layer.input, low, high)
            framed = arithmetic.centred(
                window, scalars["source_zero"], scalars["accumulator_bound"]
            )
            self.windows[made.layer], self.seen[made.layer] = (where, framed), {}
        framed, seen = self.windows[made.layer][1], self.seen[made.layer]
        # Floating point adds these exactly, in any order and block: no partial sum, of whichever
        # products, exceeds the layer's accumulator_bound, which fits int32, and integers are exact
        # in float32 up to 2^24 and in float64, taken above that, up to 2^53.
        weights = self._weights(made, step).astype(framed.dtype, copy=False)
        self.macs += unit_macs(step.layer, step.tiling, made.part, made.raster)
        if step.tiling.mapping == "scatter":
            self._scatter(made, step, framed, weights)
            return
        sums, size, column = [], 0, 0
        for block in _blocks(step, made):
            width = block.channels[1] - block.channels[0]
            if block.position not in seen:
                seen[block.position] = arithmetic.streamed(
                    framed, low, p, made.raster, block.position
                )
            x = seen[block.position]
            whole = arithmetic.whole(weights[:, column : column + width].T @ x)
            y0, y1, x0, x1 = made.raster
            whole = whole.reshape(width, y1 - y0, x1 - x0)
            size += whole.size * ACCUMULATOR_BYTES
            assert block.lines is not None and block.across is not None
            if whole.shape != block.shape:
                whole = whole[:, block.lines][:, :, block.across]
            sums.append(whole)
            column += width
        if column != p.tile_columns[tile]:
            raise AssertionError(f"{step.layer.name}: {column} columns")
        self.accumulators.fill(made.half, (_unit(made),), sums, size)

    def _scatter(self, made: Instruction, step: Step, framed: Reals, weights: Reals) -> None:
        """Sums that are drained, and are complete, go to the half; the others wait for more."""
        assert step.tiling is not None
        (p,), layer = step.tiling.passes, step.layer
        first, columns = p.first_columns[made.part[1]], p.tile_columns[made.part[1]]
        (block,) = _blocks(step, made)
        low, high = drained_lines(layer, made.raster)
        channels = range(first // p.group, -(-(first + columns) // p.group))
        x = framed[:, :-1, :-1].reshape(layer.input.channels, -1)
        shape = (len(channels), high - low, layer.output.width)
        sums = arithmetic.scattered(weights.T @ x, p, made.raster, low, first, shape)
        for number, channel in enumerate(channels):
            known = self.carried.get((made.layer, channel))
            if known is not None:
                sums[number, : known.shape[0]] += known[: sums.shape[1]]
            self.carried[made.layer, channel] = sums[number]
        drained = range(*block.channels)
        if not drained:  # a tap of every channel is still to come
            return
        whole = [self.carried[made.layer, channel] for channel in drained]
        ready = arithmetic.whole(np.stack([lines[: len(block.rows)] for lines in whole]))
        for channel, lines in zip(drained, whole, strict=True):
            self.carried[made.layer, channel] = lines[len(block.rows) :]
        size = ready.size * ACCUMULATOR_BYTES
        self.accumulators.fill(made.half, (_unit(made),), [ready], size)

    def _linear(self, made: Instruction, step: Step) -> None:
        layer, low, high = step.layer, made.raster[2], made.raster[3]
        piece = self.fifo.drain(made.half, (made.layer, made.part))
        inputs = layer.input.values
        x = self._operand(made.layer, layer.input, 0, 1)[:, 0, 0]
        centred = x.astype(np.int64) - step.constants.scalars["source_zero"]
        weights = unpacked(piece, 0, layer.weight_bits, 0, (high - low) * inputs)
        sums = weights.reshape(high - low, inputs) @ centred
        self.macs += unit_macs(layer, None, made.part, made.raster)
        if layer.channel_bias:
            biases = self.biases.setdefault(made.layer, np.zeros(layer.output.values, np.int64))
            biases[low:high] = as_int32(piece[-4 * (high - low) :])
        self._finish(made, step, [sums[:, None, None]])

    def _weights(self, made: Instruction, step: Step) -> Reals:
        """The tile's matrix (slots x channels, columns), made once for each load of its bytes."""
        assert step.tiling is not None
        key = (made.layer, *made.part)
        part = step.shared[made.part]
        if step.weights[part][1]:
            piece, load = self.ring.get((made.layer, *part))
        else:  # of outputs that no tap reaches
            piece, load = np.zeros(0, np.uint8), -1
        known = self.matrices.get(key)
        if known is not None and known[0] == load:
            return known[1]
        held, inputs = tile_weights(step.tiling, made.part), step.layer.input.channels
        values = unpacked(piece, 0, step.layer.weight_bits, 0, len(held.pairs) * inputs)
        matrix = held.matrix(values.reshape(-1, inputs).astype(np.int8))
        made_real = np.ascontiguousarray(matrix.reshape(-1, matrix.shape[2]), dtype=np.float32)
        self.matrices[key] = (load, made_real)
        return made_real

    def _finish(self, made: Instruction, step: Step, sums: Blocks) -> None:
        """The epilogue of a unit: its sums become outputs."""
        blocks, layer = _blocks(step, made), step.layer
        texel = self._texel_biases(made, step, blocks)
        residuals = self._residual(made, step, blocks)
        tables = step.constants.tables
        bias = self.biases[made.layer] if layer.channel_bias else tables["bias"]
        done = [
            arithmetic.requantized(step.constants, block, sum_, bias, stored, residual)
            for block, sum_, stored, residual in zip(blocks, sums, texel, residuals, strict=True)
        ]
        self._write(made, step, blocks, done)

    def _texel_biases(
        self, made: Instruction, step: Step, blocks: tuple[Block, ...]
    ) -> list[list[Ints]]:
        if not step.texel_biases or not made.values:
            return [[] for _ in blocks]
        stored = self.extras.drain(made.extras, (_unit(made), "load_biases"))
        cuts = np.cumsum([int(np.prod(block.shape)) for block in blocks])[:-1]
        split = [np.split(values, cuts) for values in stored]
        return [
            [values[number].reshape(block.shape) for values in split]
            for number, block in enumerate(blocks)
        ]

    def _residual(
        self, made: Instruction, step: Step, blocks: tuple[Block, ...]
    ) -> list[Ints] | list[None]:
        tensor = step.layer.residual
        if tensor is None:
            return [None] * len(blocks)
        if (-1, tensor.name) not in self.program.regions:
            if not made.values:
                return [np.zeros(block.shape, np.int64) for block in blocks]
            return self.extras.drain(made.extras, (_unit(made), "load_residual"))
        found = []
        for block in blocks:
            if len(block.rows):
                low, high = int(block.rows[0]), int(block.rows[-1]) + 1
                self.activations.check((-1, tensor.name), low, high)
            found.append(residual_of(self.activations.rows[-1, tensor.name], block))
        return found

    def _write(
        self, made: Instruction, step: Step, blocks: tuple[Block, ...], values: Blocks
    ) -> None:
        name = step.layer.output.name
        if made.results >= 0:
            results = self.linear_results if step.engine == "linear" else self.results
            size = made.values * step.layer.output.bits // 8
            results.fill(made.results, (_unit(made),), values, size)
        if (-1, name) in self.program.regions:
            for block, content in zip(blocks, values, strict=True):
                self.activations.put((-1, name), block.channels, block.rows, block.columns, content)

    # Operands.

    def _key(self, layer: int, tensor: TensorShape) -> RegionKey:
        key = (layer, tensor.name)
        return key if key in self.program.regions else (-1, tensor.name)

    def _check(self, layer: int, tensor: TensorShape, low: int, high: int) -> None:
        self.activations.check(self._key(layer, tensor), low, high)

    def _operand(self, layer: int, tensor: TensorShape, low: int, high: int) -> Ints:
        return self.activations.get(self._key(layer, tensor), low, high).astype(np.int64)

    def _reader(self, made: Instruction, step: Step) -> Reader:
        def read(index: int, low: int, high: int) -> Ints:
            return self._operand(made.layer, step.layer.inputs[index], low, high)

        return read


def _unit(made: Instruction) -> tuple[object, ...]:
    return (made.layer, made.part, made.raster)


def _blocks(step: Step, made: Instruction) -> tuple[Block, ...]:
    return unit_outputs(step.layer, step.tiling, made.part, made.raster)


def _counted(made: Instruction, size: int) -> None:
    if made.bytes != size:
        raise EscaError(f"instruction moves {size} bytes, it says {made.bytes}")
