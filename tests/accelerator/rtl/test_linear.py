"""The linear engine against numpy: jobs back to back, weights and constants beside them."""

import numpy as np
import pytest
from tests.accelerator.rtl.front_data import record_fields

from esca.accelerator.hardware.cycles import CONSTANT_BYTES
from esca.accelerator.hardware.formats import FORMATS
from esca.accelerator.hardware.latencies import CONTROL_CYCLES
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.linear import CONSTANTS, Linear, LinearSizes
from esca.accelerator.rtl.records import pack
from esca.accelerator.rtl.results import SENT_LATENCY

SIZES = LinearSizes(8, 8, 4, 256)
PLACE = 7
KEPT = 5
"""Words of the operand and of what stays on chip."""
WIDTHS = {"nibbles": 4, "bytes": 8, "words": 16}


@pytest.fixture(scope="module")
def simulation():
    return compiled(Linear(SIZES))


class Job:
    """Random weights and constants of ``outputs``, and what comes of an operand."""

    def __init__(self, rng, operand, outputs, kind, half):
        self.kind, self.half = kind, half
        inputs = len(operand)
        self.top = (1 << WIDTHS[kind]) - 1
        self.weights = rng.integers(-128, 128, (outputs, inputs))
        self.correction = -100 * self.weights.sum(1)
        self.shift = rng.integers(20, 28, outputs)
        scale = self.top / (2.0**13 * inputs**0.5)
        self.mantissa = np.rint(scale * 2.0**self.shift).clip(-(2**17), 2**17 - 1).astype(np.int64)
        self.bias = rng.integers(-self.top, self.top + 1, outputs)
        self.zero, self.slope = int(rng.integers(0, self.top + 1)), int(rng.integers(0, 2**16))
        sums = self.weights @ operand + self.correction
        u = ((sums * self.mantissa + (1 << (self.shift - 1))) >> self.shift) + self.bias
        v = np.where(u < 0, (u * self.slope + (1 << 15)) >> 16, u)
        self.wanted = (v + self.zero).clip(0, self.top)

    def rows(self):
        """(outputs, bytes) as they are loaded."""
        wide = -(-self.weights.shape[1] // SIZES.lanes) * SIZES.lanes
        made = np.zeros((len(self.weights), wide + CONSTANT_BYTES), np.uint8)
        made[:, : self.weights.shape[1]] = self.weights.astype(np.int8).view(np.uint8)
        for row, (mantissa, shift, bias, fix) in enumerate(
            zip(self.mantissa, self.shift, self.bias, self.correction, strict=True)
        ):
            factor = {"mantissa": int(mantissa), "shift": int(shift) - 1}
            values = {"bias": int(bias), "correction": int(fix), "factor": factor}
            bits = pack(CONSTANTS, values)
            made[row, wide:] = np.frombuffer(bits.to_bytes(CONSTANT_BYTES, "little"), np.uint8)
        return made

    def stored(self):
        """Bus words of its results, as integers of 32 bits."""
        bits = np.zeros(-(-len(self.wanted) * WIDTHS[self.kind] // 32) * 32, np.uint8)
        width = WIDTHS[self.kind]
        spread = self.wanted[:, None] >> np.arange(width) & 1
        bits[: spread.size] = spread.ravel()
        return np.packbits(bits, bitorder="little").view("<u4")


@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize(("inputs", "outputs"), [(24, (5, 9)), (3, (8, 16)), (40, (1, 4))])
def test_outputs_and_cycles(simulation, kind, inputs, outputs):
    rng = np.random.default_rng(inputs)
    operand = rng.integers(0, 256, inputs)
    jobs = [Job(rng, operand, count, kind, half) for half, count in enumerate(outputs)]
    check_jobs(simulation, operand, jobs, chained=False)


@pytest.mark.parametrize("outputs", [(24, 9), (3, 16)])
def test_a_layer_reads_what_the_one_before_keeps(simulation, outputs):
    rng = np.random.default_rng(1)
    operand = rng.integers(0, 256, 20)
    first = Job(rng, operand, outputs[0], "bytes", 0)
    check_jobs(simulation, operand, [first, Job(rng, first.wanted, outputs[1], "words", 1)], True)


def check_jobs(simulation, operand, jobs, chained):
    """Jobs of one operand back to back; or the second takes what the first makes, ``chained``."""
    given = {}
    fields = {"weights": 0, "half": 0, "words": 0, "operand": PLACE}
    at = put_words(given, operand_rows(operand), 0, fields)
    for job in jobs:
        rows = job.rows()
        words = (rows.shape[1] - CONSTANT_BYTES) // SIZES.bus_bytes
        at = put_words(
            given, rows, at, {"weights": 1, "half": job.half, "words": words, "operand": 0}
        )
    start, ends = at, []
    for number, job in enumerate(jobs):
        length = -(-job.weights.shape[1] // SIZES.lanes)
        on_chip = chained and number == 1
        record = {
            "half": job.half,
            "words": length,
            "outputs": len(job.wanted),
            "layer": {
                "residual": {"mantissa": 0, "shift": 0},
                "sloped": 1,
                "slope": job.slope,
                "guard": 0,
                "zero": job.zero,
                "top": job.top,
            },
            "format": FORMATS.index(job.kind),
            "results": job.half,
            "operand": KEPT if on_chip else PLACE,
            "on_chip": int(on_chip),
            "keep": int(chained and number == 0),
            "kept": KEPT * SIZES.lanes // SIZES.bus_bytes,
        }
        put(given, start, {"start": 1, "record": record})
        start += len(job.wanted) * length
        ends.append(start)
        start += SIZES.latency + CONTROL_CYCLES if chained else 0
    begins = ends[-1] + SIZES.latency + CONTROL_CYCLES
    stores = []
    for job in jobs:
        count = len(job.stored())
        store = {"dram": 0, "row_bytes": 4 * count, "rows": 1, "pitch": 0, "half": job.half}
        put(given, begins, {"store_start": 1, "store": store | {"tens": 0, "engine": 0}})
        stores.append(slice(begins + SENT_LATENCY, begins + SENT_LATENCY + count))
        begins += max(count, 4)
    cycles = begins + SENT_LATENCY + 8
    inputs_given = {"sent__ready": np.ones(cycles, np.int64)}
    for name, entries in given.items():
        inputs_given[name] = np.zeros(cycles, np.int64)
        for cycle, value in entries:
            inputs_given[name][cycle] = value
    seen = simulation.run(cycles, **inputs_given)
    assert not seen["alarm"].any()
    np.testing.assert_array_equal(np.flatnonzero(seen["ending"]), ends)
    np.testing.assert_array_equal(np.flatnonzero(seen["resulting"]), np.array(ends) + SIZES.latency)
    for job, span in zip(jobs, stores, strict=True):
        assert seen["sent__valid"][span].all()
        np.testing.assert_array_equal(seen["sent__payload"][span], job.stored())


def operand_rows(operand):
    room = np.zeros(-(-len(operand) // 4) * 4, np.uint8)
    room[: len(operand)] = operand
    return room[None]


def put(given, cycle, values):
    for name, value in values.items():
        for key, found in record_fields(value, name).items():
            given.setdefault(key, []).append((cycle, found))


def put_words(given, rows, at, fields):
    """A load, a bus word a cycle; returns the cycle behind it."""
    words = rows.reshape(len(rows), -1, 4).copy().view("<u4")[:, :, 0]
    for row, line in enumerate(words):
        for word, value in enumerate(line):
            write = {"en": 1, "row": row, "word": word, "data": int(value), **fields}
            put(given, at, {"write": write})
            at += 1
    return at
