"""The path of the array: front end, weight ring and feed, array, accumulators."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import FRONT_LATENCY, array_latency
from esca.accelerator.rtl.accumulators import TOKEN_LEAD, Accumulators, token_shape
from esca.accelerator.rtl.activations import accesses_shape, words_shape
from esca.accelerator.rtl.array import Array, delayed
from esca.accelerator.rtl.feed import Feed
from esca.accelerator.rtl.feed_record import feed_record
from esca.accelerator.rtl.front import Front
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.overlap_add import OverlapAdd
from esca.accelerator.rtl.params import SUM_BITS, Parameters
from esca.accelerator.rtl.patch_places import patch_shape
from esca.accelerator.rtl.ring import Ring, write_shape
from esca.accelerator.rtl.streams import array_record


class Path(wiring.Component):
    """Jobs of two queues. Of either, ``start`` comes with its record in the cycle before the first
    busy one, ``ending`` in the last, in which the next may start, ``resulting`` one cycle before
    the result may be used: the ``array`` streams a unit, which may begin when the ``feed`` has its
    first weights in place.

    ``weights``: words for the weight ring. ``other``, ``other_words``: the second port of the
    activations. ``drain``, ``clear``: as the accumulators have them. ``words`` of a sub-bank,
    ``rows`` of the weight ring, ``bus_bytes`` of the memory port.
    """

    def __init__(self, p: Parameters, words: int, rows: int, bus_bytes: int) -> None:
        self.p, self.words, self.rows, self.bus_bytes = p, words, rows, bus_bytes
        jobs: dict[str, object] = {"clear": In(1)} if p.overlaps else {}
        for name, record in (("array", array_record(p.overlaps)), ("feed", feed_record(p.columns))):
            jobs |= {f"{name}_start": In(1), f"{name}_record": In(record)}
            jobs |= {f"{name}_ending": Out(1), f"{name}_resulting": Out(1)}
        super().__init__(
            {
                **jobs,
                "weights": In(write_shape(bus_bytes)),
                "other": In(accesses_shape(p, words)),
                "other_words": Out(words_shape(p)),
                "drain": In(1),
                "drain_half": In(1),
                "drain_address": In(token_shape(p).members["address"]),
                "drained": Out(data.ArrayLayout(signed(SUM_BITS), p.columns)),
                "alarm": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The parts, and the token's way beside the data."""
        p, m = self.p, Module()
        latency = array_latency(p.rows, p.columns, p.digits, p.overlaps)
        front = place(m, platform, "front", "front", Front, p, self.words)
        feed = place(m, platform, "feed", "feed", Feed, p, self.rows, FRONT_LATENCY)
        ring = place(m, platform, "ring", "ring", Ring, p, self.rows, self.bus_bytes)
        array = place(m, platform, "array", "array", Array, p)
        made = OverlapAdd if p.overlaps else Accumulators
        sums = place(m, platform, "accumulators", "accumulators", made, p)
        ahead = p.array_latency - TOKEN_LEAD
        if p.overlaps:
            m.d.comb += [
                sums.patch.eq(delayed(m, front.patch, patch_shape(p), ahead)),
                sums.clear.eq(self.clear),
            ]
        m.d.comb += [
            front.start.eq(self.array_start),
            front.record.eq(self.array_record),
            front.other.eq(self.other),
            self.other_words.eq(front.other_words),
            feed.start.eq(self.feed_start),
            feed.record.eq(self.feed_record),
            feed.head.eq(front.head),
            ring.read.eq(feed.read),
            feed.row.eq(ring.row),
            ring.write.eq(self.weights),
            array.offers.eq(front.offers),
            array.swap.eq(front.swap),
            array.start.eq(feed.first),
            array.last.eq(feed.last),
            array.held.eq(feed.held),
            sums.token.eq(delayed(m, front.token, token_shape(p), ahead)),
            sums.sums.eq(array.sums),
            sums.drain.eq(self.drain),
            sums.drain_half.eq(self.drain_half),
            sums.drain_address.eq(self.drain_address),
            self.drained.eq(sums.drained),
            self.array_ending.eq(front.ending),
            self.array_resulting.eq(delayed(m, front.ending, 1, latency)),
            self.feed_ending.eq(feed.ending),
            self.feed_resulting.eq(feed.resulting),
        ]
        m.d.sync += self.alarm.eq(front.alarm | feed.alarm | sums.alarm)
        return m
