"""Engines alone: jobs of a layer's program one after the other, from memory to memory."""

import numpy as np

from esca.accelerator.axes import Ints
from esca.accelerator.compiler import compile_layer
from esca.accelerator.hardware.jobs import ENGINES
from esca.accelerator.machine import execute
from esca.accelerator.rtl.compiled import Simulation
from esca.accelerator.rtl.engine_records import WINDOW
from esca.accelerator.rtl.hardware_program import hardware_program
from esca.accelerator.rtl.layer_checks import random_feeds
from esca.accelerator.rtl.records import LAYOUT, pack, unpack
from esca.accelerator.rtl.results import SENT_LATENCY

LOAD_LATENCY = 4


class Bench:
    """A list of what happens in which cycle; ``now`` is the first cycle without anything."""

    def __init__(self, sizes, image):
        self.sizes, self.image, self.now = sizes, image, 0
        self.given: dict[str, list[tuple[int, Ints]]] = {}
        self.ends: dict[str, list[int]] = {name: [] for name in ENGINES}
        self.stores: list[tuple[int, dict]] = []

    def put(self, cycle, name, value):
        """A port's value, nested as its shape is."""
        if isinstance(value, dict):
            for key, part in value.items():
                self.put(cycle, f"{name}__{key}", part)
        elif isinstance(value, list) and isinstance(value[0], dict):
            for key in value[0]:
                self.put(cycle, f"{name}__{key}", [one[key] for one in value])
        else:
            self.given.setdefault(name, []).append((cycle, np.array(value, np.int64)))

    def load(self, payload):
        """A word a cycle."""
        bus = self.sizes.bus_bytes
        if "engine" in payload:
            port = ENGINES[payload["engine"] - 1]
            window = unpack(WINDOW, pack(LAYOUT, payload["layout"]) & ((1 << WINDOW.size) - 1))
        else:
            port, window = ("places" if payload["places"] else "grid_sample"), payload["window"]
        for row in range(payload["rows"]):
            first = payload["dram"] + row * payload["pitch"]
            words = self.image[first : first + -(-payload["row_bytes"] // bus) * bus].view("<i8")
            for word, content in enumerate(words):
                where = {"en": 1, "window": window, "row": row, "word": word, "data": content}
                self.put(self.now, f"{port}_loaded", where)
                self.now += 1
        self.now += LOAD_LATENCY

    def work(self, name, payload, cycles):
        """A job of an engine, and the cycles behind which its results are there."""
        self.put(self.now, f"{name}_start", 1)
        self.put(self.now, f"{name}_record", payload)
        self.ends[name].append(self.now + cycles)
        self.now += cycles + self.sizes.latency + 1

    def store(self, payload):
        """A store, which is sent at once."""
        self.put(self.now, "store_start", 1)
        self.put(self.now, "store", payload)
        self.stores.append((self.now + SENT_LATENCY, payload))
        self.now += SENT_LATENCY + 1 + payload["rows"] * payload["row_bytes"] // 8

    def run(self, simulation):
        """All of it; the image then has what was stored."""
        made = {"sent__ready": np.ones(self.now, np.int64)}
        for name, entries in self.given.items():
            made[name] = np.zeros((self.now, *entries[0][1].shape), np.int64)
            for cycle, value in entries:
                made[name][cycle] = value
        seen = simulation.run(self.now, **made)
        for name, ends in self.ends.items():
            np.testing.assert_array_equal(np.flatnonzero(seen[f"{name}_ending"]), ends)
            results = np.flatnonzero(seen[f"{name}_resulting"])
            np.testing.assert_array_equal(results, np.array(ends) + self.sizes.latency)
        for first, payload in self.stores:
            size = payload["rows"] * payload["row_bytes"]
            words = slice(first, first + size // 8)
            assert seen["sent__valid"][words].all()
            at = payload["dram"]
            self.image[at : at + size] = seen["sent__payload"][words].view(np.uint8)
        return seen


def check_layer(simulation: Simulation, sizes, quantized, config, layer: str) -> dict[str, int]:
    """A layer from random integers; returns how many jobs of each queue it took."""
    program = compile_layer(quantized, config, layer)
    feeds = random_feeds(program, 0)
    made = hardware_program(program, ENGINES)
    image = made.image.copy()
    for tensor in program.workload.inputs:
        shaped = feeds[tensor.name].numpy().reshape(tensor.shape).astype(np.int64)
        made.put(image, tensor.name, shaped)
    bench, jobs = Bench(sizes, image), {}
    for one, payload in zip(made.fed, made.payloads, strict=True):
        queue = one.job.queue
        jobs[queue] = jobs.get(queue, 0) + 1
        if queue in ("loads", "grid_loads"):
            bench.load(payload)
        elif queue == "stores":
            bench.store(payload)
        else:
            bench.work(queue, payload, one.job.cycles)
    seen = bench.run(simulation)
    assert not seen["alarm"].any()
    wanted = execute(program, feeds).outputs
    for label, tensor in program.labels.items():
        found = made.get(image, tensor)
        np.testing.assert_array_equal(found.ravel(), wanted[label].numpy().ravel())
    return jobs
