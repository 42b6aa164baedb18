"""Records come whole and in order, whatever memory and queues do."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.commands import CommandQueue, Source
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.fetch import BEAT_BYTES, Fetch
from esca.accelerator.rtl.memory_model import Memory
from esca.accelerator.rtl.program_image import program_image
from esca.accelerator.rtl.records import record_words

SIZE = 1 << 16
SIZES = {"array": 20, "epilogue": 100, "loads": 200}
QUEUES = tuple(
    CommandQueue(name, name, (Source("end", "array"),) * 2, data.StructLayout({"a": 7, "b": width}))
    for name, width in SIZES.items()
)
WORDS = [record_words(queue.record) for queue in QUEUES]


class FetchBench(wiring.Component):
    """Takes records of the queues in ``take``; shows them in words of 32 bits."""

    def __init__(self) -> None:
        super().__init__(
            {
                "program": In(32),
                "begin": In(1),
                "take": In(len(QUEUES)),
                "axi": Out(Axi(BEAT_BYTES, read_only=True)),
                "primed": Out(1),
                "more": Out(len(QUEUES)),
                "valid": Out(len(QUEUES)),
                **{
                    f"seen_{q.name}": Out(data.ArrayLayout(32, words))
                    for q, words in zip(QUEUES, WORDS, strict=True)
                },
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fetch = fetch = Fetch(QUEUES)
        wiring.connect(m, wiring.flipped(self.axi), fetch.axi)
        valid = []
        for index, queue in enumerate(QUEUES):
            record = getattr(fetch, f"record_{queue.name}")
            m.d.comb += record.ready.eq(self.take[index])
            m.d.comb += getattr(self, f"seen_{queue.name}").eq(record.payload.as_value())
            valid.append(record.valid)
        m.d.comb += [
            fetch.program.eq(self.program),
            fetch.begin.eq(self.begin),
            self.primed.eq(fetch.primed),
            self.more.eq(fetch.more),
            self.valid.eq(Cat(valid)),
        ]
        return m


@pytest.fixture(scope="module")
def bench():
    component = FetchBench()
    simulation = compiled(component)
    return simulation, Memory(simulation, component, ("axi",), SIZE)


@settings(max_examples=12)
@given(
    st.tuples(*[st.integers(0, 40)] * 3),
    st.integers(0, 2000),
    st.sampled_from([0, 100]),
    st.floats(0.2, 1),
    st.integers(0, 2**31),
)
def test_records_of_every_queue(bench, counts, base, stall, pace, seed) -> None:
    simulation, memory = bench
    rng = np.random.default_rng(seed)
    streams = [
        [[int(w) for w in row] for row in rng.integers(0, 1 << 32, (count, words))]
        for count, words in zip(counts, WORDS, strict=True)
    ]
    for queue, stream in zip(QUEUES, streams, strict=True):
        top = queue.record.size % 32
        for row in stream:  # no bits behind a record's last
            row[-1] &= (1 << top) - 1 if top else 0xFFFFFFFF
    image = program_image(streams, base * BEAT_BYTES)
    memory.image[base * BEAT_BYTES : base * BEAT_BYTES + len(image)] = image
    memory.behave(30, stall, seed)
    # Nothing is taken before all that fits is here.
    begin = np.zeros(4000, np.int64)
    begin[0] = 1
    seen = simulation.run(4000, program=np.full(4000, base * BEAT_BYTES), begin=begin)
    assert seen["primed"][-1] == 1
    # Whoever takes records has had a cycle to take the last of the first ones.
    first = int(np.flatnonzero(seen["primed"][1:])[0])
    assert seen["primed"][first + 1 :].all()
    there = sum(1 << index for index, count in enumerate(counts) if count)
    assert seen["valid"][first] == there
    cycles = int(400 + sum(counts) * 60 / pace)
    take = (rng.random((cycles, 3)) < pace).astype(np.int64) @ [1, 2, 4]
    seen = simulation.run(cycles, take=take)
    assert memory.errors == 0
    for index, (queue, stream) in enumerate(zip(QUEUES, streams, strict=True)):
        taken = np.flatnonzero(seen["valid"] & take & (1 << index))
        found = seen[f"seen_{queue.name}"][taken]
        np.testing.assert_array_equal(
            found, np.array(stream).reshape(len(stream), -1) if stream else found[:0]
        )
    assert seen["more"][-1] == 0
