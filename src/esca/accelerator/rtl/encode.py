"""From jobs and their payloads to the record streams that queues read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.hardware.dram_maps import row_pitch
from esca.accelerator.hardware.jobs import HardwareJob
from esca.accelerator.rtl.commands import CommandQueue
from esca.accelerator.rtl.fetch import BEAT_BYTES
from esca.accelerator.rtl.headers import job_headers
from esca.accelerator.rtl.program_image import program_image
from esca.accelerator.rtl.records import pack, to_words
from esca.accelerator.workload import TensorShape

Payload = Mapping[str, Any]


def encoded_records(
    queues: Sequence[CommandQueue], jobs: Sequence[HardwareJob], payloads: Sequence[Payload]
) -> list[list[list[int]]]:
    """Records in words of every queue, in order; EscaError names the instruction and the field that
    does not fit.
    """
    places = {queue.name: index for index, queue in enumerate(queues)}
    made: list[list[list[int]]] = [[] for _ in queues]
    numbers = [one.instruction for one in jobs]
    headers = job_headers([one.job for one in jobs], queues, numbers)
    for one, header, payload in zip(jobs, headers, payloads, strict=True):
        index = places[one.job.queue]
        layout = queues[index].record
        where = f"instruction {one.instruction}"
        bits = pack(layout, {"header": header, "payload": payload}, where)
        made[index].append(to_words(layout, bits))
    return made


@dataclass
class DramPlaces:
    """Pieces of DRAM, one behind the other on words of ``bus`` bytes, from ``end`` on."""

    bus: int
    end: int = 0

    def add(self, size: int, step: int = 1) -> int:
        """Address, a multiple of ``step`` too, of a new piece."""
        address = -(-self.end // step) * step
        self.end = address + -(-size // self.bus) * self.bus
        return address

    def add_map(self, tensor: TensorShape) -> int:
        """Address of a map's first row."""
        return self.add(tensor.height * row_pitch(tensor, self.bus))


def load_image(
    records: Sequence[Sequence[Sequence[int]]], places: DramPlaces
) -> tuple[int, NDArray[np.uint8]]:
    """Address and bytes of the record streams."""
    size = len(program_image(records, 0))
    address = places.add(size, BEAT_BYTES)
    return address, program_image(records, address)
