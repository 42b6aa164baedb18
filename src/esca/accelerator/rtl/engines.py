"""The engines that move and interpolate maps, and the results that they share."""

from collections.abc import Callable, Collection
from functools import partial

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.rtl.drain_records import STORE
from esca.accelerator.rtl.engine_records import GRID_SAMPLE, MOVE, UPSAMPLE
from esca.accelerator.rtl.engine_sizes import EngineSizes
from esca.accelerator.rtl.grid_sample import GridSample
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.move import Move
from esca.accelerator.rtl.upsample import Upsample
from esca.accelerator.rtl.window_banks import loaded_shape
from esca.accelerator.rtl.word_store import WordStore

_BUILT: dict[str, tuple[Callable[[EngineSizes, int], wiring.Component], data.StructLayout]] = {
    "move": (Move, MOVE),
    "upsample": (Upsample, UPSAMPLE),
    "grid_sample": (GridSample, GRID_SAMPLE),
}


class Engines(wiring.Component):
    """Engines by ``names``. Of each: ``<name>_start`` with ``<name>_record`` in the cycle before
    the job's first, ``<name>_ending``, ``<name>_resulting``, and words of its operands in
    ``<name>_loaded``; places of samples in ``places_loaded``. ``store_start``, ``store``, ``sent``:
    of stores of results. ``alarm``: something was not where it was read.
    """

    def __init__(self, sizes: EngineSizes, names: Collection[str]) -> None:
        self.sizes, self.names = sizes, tuple(names)
        loaded = In(loaded_shape(sizes.bus_bytes))
        members: dict[str, object] = {"places_loaded": loaded}
        for name in self.names:
            members |= {f"{name}_start": In(1), f"{name}_record": In(_BUILT[name][1])}
            members |= {f"{name}_ending": Out(1), f"{name}_resulting": Out(1)}
            members[f"{name}_loaded"] = loaded
        super().__init__(
            {
                **members,
                "store_start": In(1),
                "store": In(STORE),
                "sent": Out(stream.Signature(8 * sizes.bus_bytes)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Engines side by side; halves of results that each writes in its turn."""
        m, sizes = Module(), self.sizes
        words = sizes.result_bytes // sizes.bus_bytes
        store = WordStore(sizes.bus_bytes, words, len(self.names))
        m.submodules.results = store
        for number, name in enumerate(self.names):
            make = _BUILT[name][0]
            engine = place(m, platform, name, name, partial(make, sizes, store.words))
            for port in ("start", "record", "loaded"):
                m.d.comb += getattr(engine, port).eq(getattr(self, f"{name}_{port}"))
            for port in ("ending", "resulting"):
                m.d.comb += getattr(self, f"{name}_{port}").eq(getattr(engine, port))
            m.d.comb += store.writes[number].eq(engine.write)
            if name == "grid_sample":
                m.d.comb += [
                    engine.places.eq(self.places_loaded),
                    self.alarm.eq(engine.alarm),
                ]
        m.d.comb += [store.start.eq(self.store_start), store.store.eq(self.store)]
        wiring.connect(m, wiring.flipped(self.sent), store.sent)
        return m
