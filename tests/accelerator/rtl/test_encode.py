"""From jobs to record streams, and rows that are loaded."""

import pytest

from esca.accelerator import TensorShape, load_config
from esca.accelerator.hardware.bank_places import loaded_rows
from esca.accelerator.hardware.jobs import FEED, adapted_jobs, with_feed
from esca.accelerator.rtl.commands import Source, command_queues, queue_names
from esca.accelerator.rtl.encode import DramPlaces, encoded_records, load_image
from esca.accelerator.rtl.fetch import BEAT_BYTES, BEAT_WORDS, beats
from esca.accelerator.rtl.records import LAYOUT, pack, record_words, unpack
from esca.errors import EscaError

CONFIG = load_config("esca-16x16")
QUEUES = command_queues(queue_names(CONFIG), CONFIG.array.columns)


def test_the_array_waits_for_its_feed_and_the_feed_for_weights(outline) -> None:
    workload, instructions = outline.workload, outline.instructions
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
