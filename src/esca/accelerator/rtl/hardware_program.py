"""A program as hardware takes it: jobs, records of all queues, constants, and what lies in DRAM."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.events import simulate
from esca.accelerator.program import MachineProgram
from esca.accelerator.rtl.adapt import (
    HardwareJob,
    adapted_jobs,
    bus_bytes,
    tensor_shapes,
    with_feed,
)
from esca.accelerator.rtl.bank_turns import BankTurns
from esca.accelerator.rtl.column_constants import Column
from esca.accelerator.rtl.commands import FEED, CommandQueue, built_queues
from esca.accelerator.rtl.control import CONTROL_CYCLES
from esca.accelerator.rtl.dram_maps import Bytes, packed_rows, row_pitch, unpacked_rows
from esca.accelerator.rtl.encode import (
    DramPlaces,
    Payload,
    encoded_records,
    load_image,
)
from esca.accelerator.rtl.params import parameters
from esca.accelerator.rtl.program_payloads import Payloads
from esca.accelerator.rtl.region_layouts import region_layouts
from esca.accelerator.rtl.weight_program import program_weights
from esca.accelerator.rtl.whole_stores import with_whole_stores
from esca.accelerator.schedule import SERVERS
from esca.accelerator.workload import TensorShape


@dataclass(frozen=True, eq=False)
class HardwareProgram:
    """``program``: with one store a chunk and the cycles that hardware takes. ``jobs``: as
    :func:`esca.accelerator.events.simulate` takes them; ``fed``: as queues do, with those of the
    feed, and their ``payloads``. ``directory``: address of the records in the ``image`` of DRAM, in
    which maps lie at ``maps``.
    """

    program: MachineProgram
    queues: tuple[CommandQueue, ...]
    jobs: tuple[HardwareJob, ...]
    fed: tuple[HardwareJob, ...]
    payloads: tuple[Payload, ...]
    constants: tuple[Column, ...]
    maps: Mapping[str, int]
    directory: int
    image: Bytes

    def starts(self) -> list[int]:
        """Start cycles of the ``jobs`` by the simulator, with what the banks of activations hold
        up.
        """
        records = [
            payload
            for one, payload in zip(self.fed, self.payloads, strict=True)
            if one.job.queue != FEED
        ]
        turns = BankTurns(self.jobs, records, self.program.config)
        return simulate([one.job for one in self.jobs], SERVERS, turns, CONTROL_CYCLES)

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
    whole, chunks = with_whole_stores(program)
    places = DramPlaces(bus)
    tensors = tensor_shapes(whole.workload)
    stored = {
        whole.steps[one.layer].layer.output.name for one in whole.instructions if one.results >= 0
    }
    inputs = [tensor.name for tensor in whole.workload.inputs]
    maps = {name: places.add_map(tensors[name]) for name in (*inputs, *sorted(stored))}
    weights = program_weights(whole, places)
    layouts = region_layouts(whole)
    made = Payloads(p, bus, whole, chunks, maps, layouts, weights, places, parts)
    timed = made.timed()
    jobs = adapted_jobs(timed.instructions, timed.workload, config)
    fed = with_feed(
        adapted_jobs(timed.instructions, timed.workload, config),
        config.memory.dram_latency_cycles,
    )
    queues = built_queues(config, parts)
    payloads = [made.payload(one) for one in fed]
    directory, stream = load_image(encoded_records(queues, fed, payloads), places)
    image = np.zeros(places.end, np.uint8)
    for address, piece in (
        *weights.pieces, *made.texels.values(), *made.linear.pieces.values(), (directory, stream)
    ):  # fmt: skip
        image[address : address + piece.size] = piece.ravel()
    return HardwareProgram(
        timed, queues, tuple(jobs), tuple(fed), tuple(payloads), tuple(made.constants.entries),
        maps, directory, image,
    )  # fmt: skip
