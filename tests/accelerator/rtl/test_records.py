"""Records: the encoder's bits are the hardware's, headers say what jobs wait for."""

import random

import pytest
from amaranth.hdl import Shape
from amaranth.lib import data

from esca.accelerator import load_config
from esca.accelerator.events import Job
from esca.accelerator.hardware.jobs import FEED
from esca.accelerator.rtl.commands import command_queues, queue_names
from esca.accelerator.rtl.headers import job_headers
from esca.accelerator.rtl.records import pack, record_words, to_words, unpack
from esca.accelerator.schedule import SERVERS
from esca.errors import EscaError

CONFIG = load_config("esca-16x16")
QUEUES = command_queues(queue_names(CONFIG), CONFIG.array.columns)
BY_NAME = {queue.name: queue for queue in QUEUES}


def values(layout, chance):
    """Random values of a layout, often the least or the greatest."""
    if isinstance(layout, data.ArrayLayout):
        return [values(layout.elem_shape, chance) for _ in range(layout.length)]
    if isinstance(layout, data.StructLayout):
        return {name: values(field.shape, chance) for name, field in layout}
    shape = Shape.cast(layout)
    low = -(1 << (shape.width - 1)) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    return chance.choice([low, high, chance.randint(low, high)])


@pytest.mark.parametrize("name", BY_NAME)
def test_bits_are_those_of_the_hardware(name) -> None:
    layout = BY_NAME[name].record

    for seed in range(5):
        content = values(layout, random.Random(seed))
        bits = pack(layout, content)
        assert bits == layout.const(content).as_bits()
        assert unpack(layout, bits) == content
        words = to_words(layout, bits)
        assert len(words) == record_words(layout)
        assert sum(word << 32 * i for i, word in enumerate(words)) == bits


def test_wrong_values_are_named() -> None:
    layout = data.StructLayout({"a": 3, "b": data.ArrayLayout(2, 2)})
    with pytest.raises(EscaError, match=r"record\.a: is 8, expected 0 to 7"):
        pack(layout, {"a": 8, "b": [0, 0]})
    with pytest.raises(EscaError, match=r"record\.b\.1: is -1, expected 0 to 3"):
        pack(layout, {"a": 0, "b": [0, -1]})
    with pytest.raises(EscaError, match=r"record\.b: expected 2 values"):
        pack(layout, {"a": 0, "b": [0]})
    with pytest.raises(EscaError, match="exactly the fields a, b"):
        pack(layout, {"a": 0})


def test_queues_share_dram_as_in_the_simulator() -> None:
    assert {q.name: q.server for q in QUEUES if q.server != q.name} == SERVERS
    without = command_queues(queue_names(CONFIG, others=False), 16)
    assert [q.name for q in without] == [
        "weights", "loads", "biases", "stores", "array", "epilogue", FEED,
    ]  # fmt: skip
    there = {q.name for q in without}
    assert all(source.queue in there for q in without for source in q.sources)


def test_the_latest_job_of_a_queue_stands_for_all() -> None:
    jobs = [Job("array", 1), Job("array", 1), Job("loads", 1)]
    jobs.append(Job("epilogue", 1, after=[0, 1, 2], reuses=[0]))
    jobs.append(Job("epilogue", 1, reuses=[1, 3]))
    made = job_headers(jobs, QUEUES)
    seen = [
        {
            (source.kind, source.queue): wait["count"]
            for source, wait in zip(BY_NAME["epilogue"].sources, header["waits"], strict=True)
            if wait["valid"]
        }
        for header in made[3:]
    ]
    assert seen == [{("result", "array"): 2, ("result", "loads"): 1}, {("end", "array"): 2}]
    assert [header["number"] for header in made] == [0, 1, 2, 3, 4]


def test_jobs_that_no_queue_takes_are_named() -> None:
    with pytest.raises(EscaError, match="instruction 0: queue is 'mesh', expected one of"):
        job_headers([Job("mesh", 1)], QUEUES)
    with pytest.raises(EscaError, match="instruction 0: takes 0 cycles"):
        job_headers([Job("array", 0)], QUEUES)
    with pytest.raises(EscaError, match="1: queue 'weights' waits for result of 'array'"):
        job_headers([Job("array", 1), Job("weights", 1, after=[0])], QUEUES)
    with pytest.raises(EscaError, match="instruction 16383: queue 'weights' has more than 16383"):
        job_headers([Job("weights", 1)] * 16384, QUEUES)
