"""From instructions to record streams: jobs as hardware takes them, maps as they lie in DRAM."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esca.accelerator import TensorShape, Workload, load_config
from esca.accelerator.events import simulate
from esca.accelerator.hardware.bank_places import loaded_rows
from esca.accelerator.hardware.dram_maps import packed_rows, row_pitch, unpacked_rows
from esca.accelerator.hardware.jobs import FEED, adapted_jobs, bus_bytes, with_feed
from esca.accelerator.hardware.latencies import SETUP
from esca.accelerator.isa import Instruction, instruction
from esca.accelerator.order import place
from esca.accelerator.plan import plan_layer
from esca.accelerator.rtl.commands import Source, command_queues, queue_names
from esca.accelerator.rtl.encode import DramPlaces, encoded_records, load_image
from esca.accelerator.rtl.fetch import BEAT_BYTES, BEAT_WORDS, beats
from esca.accelerator.rtl.records import LAYOUT, pack, record_words, unpack
from esca.accelerator.schedule import SERVERS, schedule_jobs
from esca.accelerator.shapes import avatar_workload
from esca.errors import EscaError

CONFIG = load_config("esca-16x16")
QUEUES = command_queues(queue_names(CONFIG), CONFIG.array.columns)


@pytest.fixture(scope="module", params=[("base", "texture"), ("warp", "decoder")])
def program(request):
    variant, part = request.param
    workload = avatar_workload(variant, 256, part, "w4a4")
    plans = [plan_layer(layer, CONFIG) for layer in workload.layers]
    made = schedule_jobs(workload, place(workload, plans, CONFIG), CONFIG)
    pairs = zip(made.jobs, made.entries, strict=True)
    return workload, [instruction(job, entry, made.plans[entry.layer]) for job, entry in pairs]


def test_jobs_start_as_before_where_nothing_has_to_change(program) -> None:
    workload, instructions = program
    jobs = [one.job for one in instructions]
    adapted = adapted_jobs(instructions, workload, CONFIG)
    starts = simulate([one.job for one in adapted], SERVERS)
    first: dict[int, int] = {}
    for one, start in zip(adapted, starts, strict=True):
        first.setdefault(one.instruction, start)
    for job in jobs:
        job.cycles += SETUP if job.queue in SERVERS else 0
    before = simulate(jobs, SERVERS)
    assert [first[number] for number in range(len(jobs))] == before


def test_the_array_waits_for_its_feed_and_the_feed_for_weights(program) -> None:
    workload, instructions = program
    jobs = adapted_jobs(instructions, workload, CONFIG)
    latency = CONFIG.memory.dram_latency_cycles
    fed = with_feed(jobs, latency)
    feeds = [number for number, one in enumerate(fed) if one.job.queue == FEED]
    arrays = [number for number, one in enumerate(fed) if one.job.queue == "array"]
    assert [number + 1 for number in feeds] == arrays
    bits = {queue.name: queue for queue in QUEUES}
    payloads = [unpack(bits[one.job.queue].payload, 0) for one in fed]
    records = encoded_records(QUEUES, fed, payloads)
    mine = dict(zip(bits, records, strict=True))
    assert sum(map(len, records)) == len(fed) == len(jobs) + len(arrays)
    slot = bits["array"].sources.index(Source("result", FEED))
    for count, words in enumerate(mine["array"], 1):
        whole = sum(word << 32 * i for i, word in enumerate(words))
        header = unpack(bits["array"].record, whole)["header"]
        assert header["waits"][slot] == {"valid": 1, "count": count}
        assert header["number"] == fed[arrays[count - 1]].instruction
    assert all(one.job.latency == latency for one in fed if one.job.queue == "weights")
    loads = {number for number, one in enumerate(fed) if one.job.queue == "weights"}
    assert all({*fed[number].job.after} <= loads for number in feeds)
    assert not any(loads & {*fed[number].job.after} for number in arrays)
    address, image = load_image(records, DramPlaces(32, 100))
    directory = image[: 8 * len(QUEUES)].view("<u4").reshape(-1, 2)
    for (begin, count), queue, stream in zip(directory, QUEUES, records, strict=True):
        size = beats(record_words(queue.record)) * BEAT_WORDS
        words = image[begin - address :][: 4 * size * count].view("<u4").reshape(count, size)
        assert not begin % BEAT_BYTES
        assert words[:, : record_words(queue.record)].tolist() == stream


def test_a_load_of_two_tensors_becomes_two() -> None:
    shapes = [TensorShape(name, (3, 8, 5), bits) for name, bits in (("a", 8), ("b", 4))]
    workload = Workload("w", (), tuple(shapes), ("a",))
    given = [
        Instruction("load_rows", "loads", cycles=3, rows=(("a", 0, 2), ("b", 1, 5))),
        Instruction("array", "array", after=(0,)),
        Instruction("epilogue", "epilogue", cycles=4, after=(1,), reuses=(0,)),
    ]
    jobs = adapted_jobs(given, workload, CONFIG)
    assert [one.instruction for one in jobs] == [0, 0, 1, 2]
    assert [one.job.cycles for one in jobs] == [SETUP + 2, SETUP + 4, 1, 4]
    assert [one.job.after for one in jobs] == [[], [], [1], [2]]
    assert jobs[3].job.reuses == [1]
    assert [one.rows for one in jobs[:2]] == [("a", 0, 2), ("b", 1, 5)]


def test_a_bus_of_broken_words_is_named() -> None:
    memory = replace(CONFIG.memory, dram_bytes_per_second=1e9)
    with pytest.raises(EscaError, match="DMA moves 2 bytes a cycle, expected 4 to 32"):
        bus_bytes(replace(CONFIG, memory=memory))


@settings(max_examples=50)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.integers(1, 16),
    st.sampled_from([8, 16, 32]),
    st.integers(0, 2**31),
)
def test_rows_of_maps(shape, bits, bus, seed) -> None:
    tensor = TensorShape("t", shape, bits)
    values = np.random.default_rng(seed).integers(0, 1 << bits, shape)
    stored = packed_rows(tensor, values, bus)
    assert stored.shape == (shape[1], row_pitch(tensor, bus))
    assert stored.shape[1] % bus == 0 <= stored.shape[1] - tensor.row_bytes < bus
    np.testing.assert_array_equal(unpacked_rows(tensor, stored), values)


def test_ten_bits_are_a_word_a_texel() -> None:
    tensor = TensorShape("t", (3, 1, 2), 10)
    stored = packed_rows(tensor, np.array([1, 2, 3, 4, 5, 6]).reshape(3, 1, 2), 8)
    assert stored.view("<u4").tolist() == [[1 | 3 << 10 | 5 << 20, 2 | 4 << 10 | 6 << 20]]


def test_rows_that_are_loaded() -> None:
    tensor = TensorShape("t", (3, 10, 7), 8)
    layout = unpack(LAYOUT, 0)
    places = DramPlaces(16, 48)
    payload = loaded_rows(tensor, (4, 9), places.add_map(tensor), layout, 16)
    assert places.end == 48 + 10 * 32
    assert payload["dram"] == 48 + 4 * 32
    assert (payload["row_bytes"], payload["rows"], payload["pitch"]) == (21, 5, 32)
    loads = next(queue for queue in QUEUES if queue.name == "loads")
    assert unpack(loads.payload, pack(loads.payload, payload)) == payload
    with pytest.raises(EscaError, match="tensor 't': rows 4 to 11 of 10"):
        loaded_rows(tensor, (4, 11), 0, layout, 16)
