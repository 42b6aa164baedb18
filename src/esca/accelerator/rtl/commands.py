"""The command queues of the machine: their servers, what their jobs may wait for, their records.

The sources follow from how :mod:`esca.accelerator.schedule` makes jobs. Each has a comparator of
its own in hardware, so that no counter has to be chosen among many.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from amaranth.lib import data

from esca.accelerator.config import AcceleratorConfig
from esca.accelerator.hardware.jobs import ENGINES, FEED
from esca.accelerator.rtl import records
from esca.accelerator.rtl.drain_records import STORE, epilogue_record
from esca.accelerator.rtl.engine_records import GRID_SAMPLE, LOAD_WINDOW, MOVE, UPSAMPLE
from esca.accelerator.rtl.feed_record import feed_record
from esca.accelerator.rtl.linear_records import LINEAR, LOAD_LINEAR
from esca.accelerator.rtl.streams import array_record
from esca.accelerator.schedule import SERVERS

Kind = Literal["end", "result"]


@dataclass(frozen=True)
class Source:
    """What may be waited for: ends or results of the jobs of ``queue``."""

    kind: Kind
    queue: str


@dataclass(frozen=True, eq=False)
class CommandQueue:
    """A queue, the ``server`` that it may share with others, and its records' ``payload``."""

    name: str
    server: str
    sources: tuple[Source, ...]
    payload: data.StructLayout

    @cached_property
    def record(self) -> data.StructLayout:
        """Layout of its records."""
        return records.record(len(self.sources), self.payload)


_MAKERS = ("epilogue", "linear", "move", "upsample", "grid_sample")
_WRITERS = ("loads", "linear_loads", "grid_loads", *_MAKERS)
_USERS = ("array", *_WRITERS)
"""Queues that read or write the activation buffer: the first to write a place waits for all."""

_RESULTS: dict[str, tuple[str, ...]] = {
    "weights": (),
    "loads": ("stores", "linear_stores"),
    "biases": ("stores", "linear_stores"),
    "stores": ("epilogue", "move", "upsample", "grid_sample"),
    "linear_loads": ("stores", "linear_stores"),
    "linear_stores": ("linear",),
    "grid_loads": ("stores", "linear_stores"),
    "array": (FEED, "loads", *_MAKERS),
    "epilogue": ("array", "biases", "loads", *_MAKERS),
    "linear": ("linear_loads", *_MAKERS),
    "move": ("loads", *_MAKERS),
    "upsample": ("loads", *_MAKERS),
    "grid_sample": ("loads", "grid_loads", *_MAKERS),
    FEED: ("weights",),
}
_ENDS: dict[str, tuple[str, ...]] = {
    "weights": ("array",),
    "loads": _USERS,
    "biases": ("epilogue",),
    "linear_loads": _USERS,
    "grid_loads": _USERS,
    "array": ("epilogue",),
    "epilogue": (*_USERS, "stores"),
    "linear": (*_USERS, "linear_stores"),
    "move": (*_USERS, "stores"),
    "upsample": (*_USERS, "stores"),
    "grid_sample": (*_USERS, "stores"),
}


def queue_names(config: AcceleratorConfig, others: bool = True) -> tuple[str, ...]:
    """Queues of a machine; without ``others`` of one that has the array and no engine beside it."""
    extra: tuple[str, ...] = ()
    if others:
        linear = ("linear_loads", "linear_stores", "linear") if config.engines.linear_lanes else ()
        extra = (*linear, "grid_loads", "move", "upsample", "grid_sample")
    wanted = {"weights", "loads", "biases", "stores", "array", "epilogue", FEED, *extra}
    return tuple(name for name in _RESULTS if name in wanted)


def built_queues(config: AcceleratorConfig, parts: Collection[str]) -> tuple[CommandQueue, ...]:
    """Queues of the machine that is built: the array's, those of the linear engine, and those of
    the engines among some ``parts`` (:data:`esca.accelerator.rtl.engine_records.PARTS`).
    """
    engines = tuple(name for name in ENGINES if name in parts)
    linear = ("linear", "linear_loads", "linear_stores")
    names = queue_names(config, others=False)
    more = linear if config.engines.linear_lanes else ()
    loads = ("grid_loads",) if "grid_sample" in engines else ()
    made = (*names, *more, *loads, *engines)
    return command_queues(made, config.array.columns, "scatter" in config.mappings)


def command_queues(
    names: Sequence[str], columns: int, overlaps: bool = False
) -> tuple[CommandQueue, ...]:
    """Queues by name, those of DMA first; ``columns`` of the array, and whether it adds where
    outputs overlap. What is not there is not waited for, nor is the end of a job in the own queue.
    """
    payloads = {
        "weights": records.LOAD_WEIGHTS,
        "loads": records.LOAD_ROWS,
        "grid_loads": LOAD_WINDOW,
        "biases": records.LOAD_EXTRAS,
        "stores": STORE,
        "linear_loads": LOAD_LINEAR,
        "linear_stores": STORE,
        "linear": LINEAR,
        "move": MOVE,
        "upsample": UPSAMPLE,
        "grid_sample": GRID_SAMPLE,
        "array": array_record(overlaps),
        "epilogue": epilogue_record(overlaps),
        FEED: feed_record(columns),
    }
    there = sorted(names, key=lambda name: (name not in SERVERS, [*_RESULTS].index(name)))
    made = []
    for name in there:
        ends = (Source("end", q) for q in _ENDS.get(name, ()) if q in there and q != name)
        results = (Source("result", q) for q in _RESULTS[name] if q in there)
        server = SERVERS.get(name, name)
        made.append(CommandQueue(name, server, (*ends, *results), payloads[name]))
    return tuple(made)
