"""Queues give what was put in, in its order, as early as they say."""

from collections import deque

import numpy as np
import pytest

from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.deep_fifo import DEEP_LATENCY, DeepFifo
from esca.accelerator.rtl.near_fifo import NEAR_LATENCY, NearFifo

DEPTH = 16
CYCLES = 4000


@pytest.mark.parametrize(("queue", "latency"), [(NearFifo, NEAR_LATENCY), (DeepFifo, DEEP_LATENCY)])
def test_words_in_their_order(queue, latency):
    simulation = compiled(queue(12, DEPTH))
    rng = np.random.default_rng(latency)
    # Now those who put are faster, now those who take; who puts never has more than fit waiting.
    pace = np.repeat(rng.random((2, CYCLES // 50)), 50, axis=1)
    wishes, take = (rng.random((2, CYCLES)) < pace).astype(np.int64)
    words = rng.integers(0, 1 << 12, CYCLES)
    put, waiting, taken = np.zeros(CYCLES, np.int64), deque(), []
    for cycle in range(CYCLES):
        # The oldest can be taken where it was put in `latency` cycles ago.
        if take[cycle] and waiting and cycle - waiting[0][0] >= latency:
            taken.append((cycle, waiting.popleft()[1]))
        if wishes[cycle] and len(waiting) < DEPTH:
            put[cycle] = 1
            waiting.append((cycle, words[cycle]))
    seen = simulation.run(CYCLES, put=put, word=words, take=take)
    cycles = np.flatnonzero(seen["there"] & take)
    np.testing.assert_array_equal(seen["first"][cycles], [word for _, word in taken])
    np.testing.assert_array_equal(cycles, [cycle for cycle, _ in taken])
    assert seen["level"].max() <= DEPTH and len(taken) > CYCLES // 4
