"""One store a chunk, and what it waits for."""

from dataclasses import replace

from tests.accelerator.rtl.small_program import small_program

from esca.accelerator.hardware.whole_stores import StoredChunk, kept_numbers, with_whole_stores
from esca.accelerator.isa import Instruction


def stores_program(lines: int):
    """A program of one layer in chunks of two units, each of which the simulator stores."""
    program = small_program("w8a8")
    made: list[Instruction] = []
    for y in range(0, 4, lines):
        for tile in range(2):
            where = {"layer": 2, "part": (0, tile), "raster": (y, y + lines, 0, 4)}
            number = len(made)
            half = number // 2 % 2
            before = (number - 3,) if number > 3 else ()
            epilogue = Instruction("epilogue", "epilogue", results=half, cycles=4, reuses=before)
            store = Instruction(
                "store", "stores", results=half, cycles=2, bytes=10 + tile, after=(number,)
            )
            made += [replace(one, **where) for one in (epilogue, store)]
    return replace(program, instructions=tuple(made))


def test_a_chunk_is_stored_as_a_whole() -> None:
    whole, chunks = with_whole_stores(stores_program(1))
    assert [one.op for one in whole.instructions] == ["epilogue", "epilogue", "store"] * 4
    assert chunks == {(2, y): StoredChunk(3 * y, 3 * y + 2, (4 * y, 4 * y + 4)) for y in range(4)}
    assert [one.results for one in whole.instructions] == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    for number, one in enumerate(whole.instructions):
        if one.op == "store":
            assert (one.after, one.bytes) == ((number - 1,), 10 + 11)
        else:
            assert one.reuses == ((number // 3 * 3 - 4,) if number > 5 else ())


def test_what_stays_is_told_by_number() -> None:
    assert kept_numbers(stores_program(1)) == [n for n in range(16) if n % 4 != 1]
