"""Stores as hardware makes them: whole rows of a chunk after its last unit, not each unit alone."""

from collections import Counter
from dataclasses import dataclass, replace

from esca.accelerator.hardware.jobs import ENGINES
from esca.accelerator.isa import Instruction
from esca.accelerator.plan import scatter_rows
from esca.accelerator.program import MachineProgram
from esca.accelerator.turns import Turns

MAKERS = ("epilogue", "elementwise", *ENGINES)
"""Operations that fill halves of the results."""

Chunk = tuple[int, int]
"""Layer and first line of blocks."""


@dataclass(frozen=True)
class StoredChunk:
    """Instruction of a chunk's first unit and of its store; output ``rows`` (from, to)."""

    first: int
    store: int
    rows: tuple[int, int]


def chunk_of(made: Instruction) -> Chunk:
    """The chunk that a unit belongs to."""
    return made.layer, made.raster[0]


def kept_numbers(program: MachineProgram) -> list[int]:
    """Instructions that stay: all but the stores of a chunk before its last."""
    last = _last_stores(program)
    return [
        number
        for number, made in enumerate(program.instructions)
        if made.op != "store" or last.get(chunk_of(made), number) == number
    ]


def _last_stores(program: MachineProgram) -> dict[Chunk, int]:
    """Of every chunk that hardware stores at once."""
    return {
        chunk_of(made): number
        for number, made in enumerate(program.instructions)
        if made.op == "store" and program.steps[made.layer].engine != "linear"
    }


def with_whole_stores(program: MachineProgram) -> tuple[MachineProgram, dict[Chunk, StoredChunk]]:
    """The same program with one store a chunk, and all its stored chunks. Halves of the results are
    taken in turn by chunks. The linear engine's stores stay as they are.
    """
    last, stays = _last_stores(program), {*kept_numbers(program)}
    sizes: Counter[Chunk] = Counter()
    kept: list[Instruction] = []
    place: list[int] = []  # new numbers
    turns, halves = Turns(), dict[Chunk, int]()
    waits: dict[Chunk, list[int]] = {}
    chunks: dict[Chunk, StoredChunk] = {}
    for number, made in enumerate(program.instructions):
        chunk = chunk_of(made)
        whole = chunk in last
        sizes[chunk] += made.bytes if made.op == "store" else 0
        if number not in stays:
            place.append(-1)
            continue
        place.append(len(kept))
        after = tuple(place[other] for other in made.after)
        old = [other for other in made.reuses if not _gone(program, other)]
        reuses = [place[other] for other in old]
        changed = replace(made, after=after, reuses=tuple(reuses))
        if whole and made.op in MAKERS:
            if chunk not in halves:
                halves[chunk], waits[chunk] = turns.half, turns.waits()
                turns.take(-1)  # until its store, which is not made yet
                chunks[chunk] = StoredChunk(len(kept), -1, (0, 0))
            changed = replace(changed, results=halves[chunk], reuses=(*reuses, *waits[chunk]))
        elif made.op == "store" and whole:
            turns.freed[-1] = len(kept)
            rows = _rows(program, chunk)
            chunks[chunk] = replace(chunks[chunk], store=len(kept), rows=rows)
            changed = replace(changed, results=halves[chunk], bytes=sizes[chunk])
        kept.append(changed)
    return replace(program, instructions=tuple(kept)), chunks


def _gone(program: MachineProgram, number: int) -> bool:
    """Whether what was waited for is a half of the results, which chunks take otherwise."""
    return program.instructions[number].queue == "stores"


def _rows(program: MachineProgram, chunk: Chunk) -> tuple[int, int]:
    """Output rows of a chunk."""
    step = program.steps[chunk[0]]
    if step.tiling is not None and step.tiling.mapping == "scatter":
        raster = next(
            made.raster
            for made in program.instructions
            if made.op == "epilogue" and chunk_of(made) == chunk
        )
        return scatter_rows(step.layer, raster)
    block = step.layer.stride if step.tiling is not None else 1
    if step.tiling is not None and step.tiling.mapping != "compressed":
        block = step.tiling.passes[0].y.positions
    lines = [
        made.raster[1]
        for made in program.instructions
        if made.op in MAKERS and chunk_of(made) == chunk
    ]
    return chunk[1] * block, min(max(lines) * block, step.layer.output.height)
