"""What every engine beside the array is connected by."""

from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from esca.accelerator.rtl.engine_sizes import EngineSizes
from esca.accelerator.rtl.window_banks import loaded_shape
from esca.accelerator.rtl.word_store import write_shape


def engine_ports(record: data.StructLayout, sizes: EngineSizes, words: int) -> dict[str, Member]:
    """``start`` comes with ``record`` in the cycle before the job's first; ``ending`` in its last,
    ``resulting`` as many cycles behind as its latency. ``loaded``: words of operands. ``write``: of
    results, which have ``words`` in each half.
    """
    return {
        "start": In(1),
        "record": In(record),
        "ending": Out(1),
        "resulting": Out(1),
        "loaded": In(loaded_shape(sizes.bus_bytes)),
        "write": Out(write_shape(sizes.bus_bytes, words)),
    }
