"""The front end: from an instruction's record to a row of inputs a cycle for the array."""

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from esca.accelerator.hardware.latencies import FRONT_LATENCY
from esca.accelerator.rtl.accumulators import token_shape
from esca.accelerator.rtl.activations import READ_LATENCY, Activations, accesses_shape, words_shape
from esca.accelerator.rtl.array import delayed
from esca.accelerator.rtl.centre import CENTRE_LATENCY, Centre, offers_shape
from esca.accelerator.rtl.modules import place
from esca.accelerator.rtl.params import Parameters
from esca.accelerator.rtl.patch_places import PATCH_LATENCY, PatchPlaces, patch_shape
from esca.accelerator.rtl.route import ROUTE_LATENCY, Route
from esca.accelerator.rtl.sequencer import Sequencer
from esca.accelerator.rtl.streams import STREAM, array_record
from esca.accelerator.rtl.window import QUARTERS, WINDOW_LATENCY, Window, picks_shape

assert FRONT_LATENCY == WINDOW_LATENCY + READ_LATENCY + ROUTE_LATENCY + CENTRE_LATENCY


class Front(wiring.Component):
    """``start`` comes with ``record`` in the cycle before the unit's first, ``ending`` in its last,
    in which the next may start; ``alarm`` where it comes earlier, and where a map's layout does not
    keep the inputs of a row apart.

    A row that belongs to some cycle is in ``offers``, with its ``token``, ``FRONT_LATENCY`` cycles
    later, and ``swap`` is set one cycle before the first row of every tile; ``head`` in the very
    cycle of such a row; ``patch``, where overlaps are added, comes with the token. ``other``,
    ``other_words``: the second port of the activations.
    """

    def __init__(self, p: Parameters, words: int) -> None:
        self.p, self.depth = p, words
        patch = {"patch": Out(patch_shape(p))} if p.overlaps else {}
        super().__init__(
            {
                **patch,
                "start": In(1),
                "record": In(array_record(p.overlaps)),
                "ending": Out(1),
                "head": Out(1),
                "alarm": Out(1),
                "offers": Out(offers_shape(p)),
                "token": Out(token_shape(p)),
                "swap": Out(1),
                "other": In(accesses_shape(p, words)),
                "other_words": Out(words_shape(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sequencer, window, banks, route, centre, and what goes beside the data."""
        p, m = self.p, Module()
        depth, bits = self.depth, (self.depth - 1).bit_length()
        sequencer = place(m, platform, "sequencer", "sequencer", Sequencer, p)
        window = place(m, platform, "window", "window", Window, p, bits)
        activations = place(m, platform, "banks", "activations", Activations, p, depth)
        route = place(m, platform, "route", "route", Route, p)
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.record.eq(self.record),
            self.ending.eq(sequencer.ending),
            self.head.eq(sequencer.row.head),
            self.alarm.eq(sequencer.alarm | window.alarm),
            window.row.eq(sequencer.row),
            window.held.eq(Value.cast(sequencer.held)[: STREAM.size]),
            activations.addresses.eq(window.addresses),
            activations.other.eq(self.other),
            self.other_words.eq(activations.other_words),
            route.words.eq(activations.words),
            route.picks.eq(delayed(m, window.picks, picks_shape(p), READ_LATENCY)),
        ]
        self._beside(m, sequencer)
        if p.overlaps:
            patches = place(m, platform, "patches", "patches", PatchPlaces, p)
            later = FRONT_LATENCY - PATCH_LATENCY
            m.d.comb += [
                patches.row.eq(sequencer.row),
                patches.held.eq(sequencer.held.patch),
                self.patch.eq(delayed(m, patches.patch, patch_shape(p), later)),
            ]
        self._centres(m, platform, sequencer, route)
        return m

    def _beside(self, m: Module, sequencer: Sequencer) -> None:
        row, shape = sequencer.row, token_shape(self.p)
        m.d.comb += self.swap.eq(delayed(m, row.head, 1, FRONT_LATENCY - 1))
        token = {
            name: delayed(m, value, shape.members[name], FRONT_LATENCY)
            for name, value in (
                ("valid", row.valid),
                ("first", row.first),
                ("half", sequencer.held.half),
                ("address", row.address),
            )
        }
        m.d.comb += [self.token[name].eq(value) for name, value in token.items()]

    def _centres(self, m: Module, platform: object, sequencer: Sequencer, route: Route) -> None:
        """One for every input of every row."""
        p, later = self.p, FRONT_LATENCY - CENTRE_LATENCY
        held = sequencer.held
        zero = delayed(m, held.zero, 8, later)
        two_bytes = delayed(m, held.layout.two_bytes, 1, later)
        nibbles = delayed(m, held.layout.nibbles, 1, later)
        for row in range(p.rows):
            quarter = row * QUARTERS // p.rows
            for choice in range(p.mux):
                name = f"centre_{row}_{choice}"
                centre = place(m, platform, name, "centre", Centre, p)
                pick = route.picked[quarter][choice]
                m.d.comb += [
                    centre.atom.eq(route.atoms[row][choice]),
                    centre.odd.eq(pick.odd),
                    centre.inside.eq(pick.inside),
                    centre.two_bytes.eq(two_bytes),
                    centre.nibbles.eq(nibbles),
                    centre.zero.eq(zero),
                    self.offers[row][choice].eq(centre.digits),
                ]
