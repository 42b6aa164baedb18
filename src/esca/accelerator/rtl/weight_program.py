"""The weights of a program as hardware takes them: words in DRAM, where loads put them in the ring,
and where feeds find them there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from esca.accelerator.hardware.cycles import layer_words
from esca.accelerator.hardware.weight_words import Bytes
from esca.accelerator.isa import Instruction
from esca.accelerator.packed import unpacked
from esca.accelerator.program import MachineProgram, Step
from esca.accelerator.reads import pass_reads
from esca.accelerator.rtl.encode import DramPlaces
from esca.accelerator.rtl.feed_record import feed_values
from esca.accelerator.rtl.ring import ring_rows
from esca.accelerator.weights import Part, tile_weights
from esca.errors import EscaError

Payload = Mapping[str, Any]
Key = tuple[int, bytes]
"""Layer, and what tells its words apart."""


@dataclass(frozen=True, eq=False)
class ProgramWeights:
    """``pieces``: (address, bytes) of DRAM; ``loads``: payloads of ``load_weights`` by instruction;
    ``feeds``: payloads of the feed by ``array`` instruction.
    """

    pieces: tuple[tuple[int, Bytes], ...]
    loads: Mapping[int, Payload]
    feeds: Mapping[int, Payload]


def tile_matrix(program: MachineProgram, step: Step, part: Part) -> np.ndarray:
    """(slots, input channels, columns) weights of a tile of outputs, from the program's image."""
    assert step.tiling is not None
    address, _ = step.weights[step.shared[part]]
    held, inputs = tile_weights(step.tiling, part), step.layer.input.channels
    count = len(held.pairs) * inputs
    values = unpacked(program.image, address, step.layer.weight_bits, 0, count)
    return held.matrix(values.reshape(-1, inputs).astype(np.int8))


class _Layer:
    """A layer's words in DRAM: those of each part that the simulator loads lie together."""

    def __init__(self, program: MachineProgram, number: int, places: DramPlaces) -> None:
        step = program.steps[number]
        assert step.tiling is not None
        self.reads = [*pass_reads(step.tiling)]
        made = layer_words(step)
        self.words, self.spans = made.words, made.spans
        self.pieces: list[tuple[int, Bytes]] = []
        self.addresses: dict[Part, int] = {}
        for part, parts in self.spans.items():
            # Equal words may stand in other slots of another tile: take the matrix of their own.
            packed = [w.packed(tile_matrix(program, step, made.first[w.key])) for w in parts]
            piece = np.concatenate(packed)
            self.addresses[part] = places.add(len(piece))
            self.pieces.append((self.addresses[part], piece))


@dataclass
class _Held:
    """Words in the ring: ``first`` row of all that were ever filled, and who last read them."""

    first: int
    rows: int
    reader: int = -1


class _Ring:
    """Which words lie where, and that no load overwrites what is still to be read."""

    def __init__(self, rows: int) -> None:
        self.rows, self.head, self.free = rows, 0, -1
        self.held: dict[Key, _Held] = {}

    def put(self, key: Key, rows: int, where: str) -> None:
        """Fill the next rows."""
        self.head += rows
        for old in self.held.values():
            if old.first < self.head - self.rows and old.reader > self.free:
                raise EscaError(f"{where}: the ring of weights holds {self.rows} rows, too few")
        self.held[key] = _Held(self.head - rows, rows)

    def read(self, key: Key, job: int, where: str) -> int:
        """The row in which words begin, for instruction ``job``."""
        found = self.held[key]
        if found.first < self.head - self.rows:
            raise EscaError(f"{where}: the ring of weights holds {self.rows} rows, too few")
        found.reader = job
        return found.first % self.rows


def program_weights(program: MachineProgram, places: DramPlaces) -> ProgramWeights:
    """Weights of all layers on the array; ``places`` takes their words. EscaError where the ring is
    too small for them.
    """
    config = program.config
    row_bytes = 2 * config.array.columns
    ring = _Ring(ring_rows(config))
    layers: dict[int, _Layer] = {}
    loads: dict[int, Payload] = {}
    feeds: dict[int, Payload] = {}
    for number, made in enumerate(program.instructions):
        step, where = program.steps[made.layer], f"instruction {number}"
        if made.op not in ("load_weights", "array") or step.engine != "array":
            continue
        if made.layer not in layers:
            layers[made.layer] = _Layer(program, made.layer, places)
        layer = layers[made.layer]
        if made.op == "load_weights":
            loads[number] = _load(ring, layer, made, where, row_bytes)
        else:
            words = layer.words[made.part]
            row = ring.read((made.layer, words.key), number, where)
            reads = layer.reads[made.part[0]]
            assert step.tiling is not None
            feeds[number] = feed_values(step.tiling, reads, words, made.part, row)
    pieces = tuple(piece for layer in layers.values() for piece in layer.pieces)
    return ProgramWeights(pieces, loads, feeds)


def _load(
    ring: _Ring, layer: _Layer, made: Instruction, where: str, row_bytes: int
) -> dict[str, Any]:
    ring.free = max(ring.free, *made.reuses, -1)
    first, total = ring.head % ring.rows, 0
    for part in made.parts:
        for words in layer.spans[part]:
            ring.put((made.layer, words.key), words.rows, where)
            total += words.rows
    return {"dram": layer.addresses[made.parts[0]], "bytes": total * row_bytes, "ring": first}
