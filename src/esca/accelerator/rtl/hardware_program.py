"""A program as hardware takes it: records of all queues, constants, and what lies in DRAM."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.hardware.dram_maps import Bytes, packed_rows, row_pitch, unpacked_rows
from esca.accelerator.hardware.frame import HardwareFrame, hardware_frame
from esca.accelerator.hardware.jobs import (
    ENGINES,
    HardwareJob,
    bus_bytes,
    tensor_shapes,
    with_feed,
)
from esca.accelerator.hardware.region_layouts import readers_of
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.column_constants import Column
from esca.accelerator.rtl.commands import CommandQueue, built_queues
from esca.accelerator.rtl.encode import DramPlaces, Payload, encoded_records, load_image
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.program_payloads import Payloads
from esca.accelerator.rtl.weight_program import program_weights
from esca.accelerator.workload import TensorShape
from esca.errors import EscaError


@dataclass(frozen=True, eq=False)
class HardwareProgram:
    """``frame``: the jobs that the simulator runs; ``fed``: as queues take them, with those of the
    feed, and their ``payloads``. ``directory``: address of the records in the ``image`` of DRAM, in
    which maps lie at ``maps``.
    """

    frame: HardwareFrame
    queues: tuple[CommandQueue, ...]
    fed: tuple[HardwareJob, ...]
    payloads: tuple[Payload, ...]
    constants: tuple[Column, ...]
    maps: Mapping[str, int]
    directory: int
    image: Bytes

    @property
    def program(self) -> MachineProgram:
        """With one store a chunk and the cycles that hardware takes."""
        return self.frame.program

    @property
    def jobs(self) -> tuple[HardwareJob, ...]:
        """Those of the simulator."""
        return self.frame.jobs

    def place(self, name: str) -> slice:
        """Bytes of DRAM in which a map lies."""
        return self._rows(name)[2]

    def _rows(self, name: str) -> tuple[TensorShape, int, slice]:
        tensor, bus = tensor_shapes(self.program.workload)[name], bus_bytes(self.program.config)
        address = self.maps[name]
        return tensor, bus, slice(address, address + tensor.height * row_pitch(tensor, bus))

    def put(self, image: Bytes, name: str, values: Ints) -> None:
        """Write a whole map (C, H, W) or vector into an image of DRAM."""
        tensor, bus, place = self._rows(name)
        shaped = values.reshape(tensor.channels, tensor.height, tensor.width)
        image[place] = packed_rows(tensor, shaped, bus).ravel()

    def get(self, image: Bytes, name: str) -> Ints:
        """Inverse of :meth:`put`."""
        tensor, _, place = self._rows(name)
        return unpacked_rows(tensor, image[place].reshape(tensor.height, -1))


def hardware_program(program: MachineProgram, parts: Collection[str] = ()) -> HardwareProgram:
    """For a machine with some ``parts``. EscaError for what hardware is not built for; it names the
    layer or the instruction.
    """
    config = program.config
    p, bus = parameters(config), bus_bytes(config)
    _check_built(program)
    frame = hardware_frame(program)
    _check_regions(frame)
    timed, places = frame.program, DramPlaces(bus)
    tensors = tensor_shapes(timed.workload)
    stored = {
        timed.steps[one.layer].layer.output.name for one in timed.instructions if one.results >= 0
    }
    inputs = [tensor.name for tensor in timed.workload.inputs]
    maps = {name: places.add_map(tensors[name]) for name in (*inputs, *sorted(stored))}
    weights = program_weights(timed, places)
    made = Payloads(p, bus, frame, maps, weights, places, parts)
    fed = with_feed(frame.jobs, config.memory.dram_latency_cycles)
    queues = built_queues(config, parts)
    payloads = [made.payload(one) for one in fed]
    directory, stream = load_image(encoded_records(queues, fed, payloads), places)
    image = np.zeros(places.end, np.uint8)
    for address, piece in (
        *weights.pieces, *made.texels.values(), *made.linear.pieces.values(), (directory, stream)
    ):  # fmt: skip
        image[address : address + piece.size] = piece.ravel()
    return HardwareProgram(
        frame, queues, tuple(fed), tuple(payloads), tuple(made.constants.entries),
        maps, directory, image,
    )  # fmt: skip


def _check_built(program: MachineProgram) -> None:
    """EscaError for machines without banks, and for elementwise layers."""
    if not program.config.buffers.banked:
        raise EscaError(
            f"rtl: {program.config.name}: buffers.banked is false, expected true: maps take more "
            "in banks"
        )
    for step in program.steps:
        if step.engine == "epilogue":
            raise EscaError(f"rtl: layer {step.layer.name!r} is elementwise: not built")


def _check_regions(frame: HardwareFrame) -> None:
    """EscaError for a map that is neither in banks nor in an engine's own memory."""
    for key in frame.program.regions.keys() - frame.layouts.keys():
        engines = {step.engine for step in readers_of(frame.program, key)}
        if not engines or engines - {"linear", *ENGINES}:
            raise EscaError(f"rtl: tensor {key[1]!r}: no layer reads it on the array")
