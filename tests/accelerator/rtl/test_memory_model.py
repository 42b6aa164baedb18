"""The memory behind a port counts what AXI does not allow."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.axi import Axi
from esca.accelerator.rtl.compiled import compiled
from esca.accelerator.rtl.memory_model import Memory


class Offers(wiring.Component):
    """Offers requests and words as it is told."""

    axi: Out(Axi(8))
    address: In(32)
    asks: In(2)
    word: In(64)
    sends: In(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.axi.ar.valid.eq(self.asks[0]),
            self.axi.aw.valid.eq(self.asks[1]),
            self.axi.ar.payload.address.eq(self.address),
            self.axi.aw.payload.address.eq(self.address),
            self.axi.w.valid.eq(self.sends),
            self.axi.w.payload.data.eq(self.word),
            self.axi.w.payload.last.eq(1),
            self.axi.r.ready.eq(1),
            self.axi.b.ready.eq(1),
        ]
        m.d.sync += self.axi.ar.payload.beats_less_1.eq(0)
        return m


@pytest.fixture(scope="module")
def bench():
    component = Offers()
    simulation = compiled(component)
    return simulation, Memory(simulation, component, ("axi",), 1 << 12)


def errors(bench, **given: list[int]) -> int:
    simulation, memory = bench
    memory.forget()
    memory.behave(4, 255, 3)  # hardly ever ready
    memory.image[:] = 0
    count = len(next(iter(given.values())))
    simulation.run(count, **{name: np.array(values, np.int64) for name, values in given.items()})
    return memory.errors


def test_what_is_offered_stays(bench) -> None:
    assert errors(bench, asks=[0, 1, 1, 1, 1], address=[0, 64, 64, 64, 64]) == 0
    assert errors(bench, asks=[3, 3, 3, 3, 3], address=[8] * 5) == 0
    assert errors(bench, asks=[1, 1, 1, 1, 1], address=[64, 64, 72, 72, 64]) == 2
    assert errors(bench, asks=[2, 2, 0, 0, 2], address=[64] * 5) == 1
    assert errors(bench, sends=[1, 1, 1, 1, 1], word=[5, 5, 5, 6, 6]) == 1
    assert errors(bench, sends=[1, 1, 0, 1, 1], word=[5] * 5) == 1


def test_words_need_a_request_and_requests_a_page(bench) -> None:
    simulation, memory = bench
    for address, sends, wanted in ((0, 0, 0), (1 << 12, 0, 1), (4, 0, 1), (0, 1, 1)):
        memory.forget()
        memory.behave(4)
        simulation.run(
            1, asks=np.array([not sends]), address=np.array([address]), sends=np.array([sends])
        )
        assert memory.errors == wanted
