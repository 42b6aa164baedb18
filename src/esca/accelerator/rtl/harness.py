"""The C++ around a compiled simulation, whatever compiled it: words of ports in, words out."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Shape
from amaranth.lib import wiring

from esca.accelerator.rtl.ports import ports


@dataclass(frozen=True)
class Harness:
    """``mangled``: a port's name in C++. ``head``: code that says what ``Top`` is, how one is
    ``created`` and ``clocked``, and how a word of a port of some ``width`` is ``put`` there and
    ``get`` from there. ``tail``: code that says what happens ``behind_edge``, once a cycle.
    """

    mangled: Callable[[str], str]
    head: str
    tail: str = "static void behind_edge(Top &) {}\n"

    def text(self, component: wiring.Component) -> str:
        """Source whose functions :class:`esca.accelerator.rtl.compiled.Simulation` calls."""
        flat = component.signature.flatten(component)
        widths = {"__".join(map(str, path)): Shape.cast(m.shape).width for path, m, _ in flat}
        moves: list[str] = []
        counts: list[int] = []
        for flow, kind in ((wiring.In, "put"), (wiring.Out, "get")):
            mine = ports(component, flow)
            moves.append(
                "\n".join(
                    f"    {kind}<{widths[port.name]}>(top.{self.mangled(port.name)}, {word}, "
                    f"row[{port.first + word}]);"
                    for port in mine
                    for word in range(port.words)
                )
            )
            counts.append(sum(port.words for port in mine))
        puts, gets = moves
        return (
            self.head
            + self.tail
            + _TEMPLATE.format(puts=puts, gets=gets, given=counts[0], found=counts[1])
        )


_TEMPLATE = """
static void given(Top &top, const uint32_t *row) {{
{puts}
}}
static void found(Top &top, uint32_t *row) {{
{gets}
}}

extern "C" void *esca_create(uint64_t seed) {{ return created(seed); }}
extern "C" void esca_destroy(void *design) {{ delete static_cast<Top *>(design); }}
// By this another design sees outputs before the edge that takes the inputs.
extern "C" void esca_peek(void *design, const uint32_t *in, uint32_t *out) {{
    Top &top = *static_cast<Top *>(design);
    given(top, in);
    clocked(top, false);
    found(top, out);
}}
extern "C" void esca_run(void *design, uint64_t cycles, const uint32_t *in, uint32_t *out) {{
    Top &top = *static_cast<Top *>(design);
    for (uint64_t cycle = 0; cycle < cycles; cycle++, in += {given}, out += {found}) {{
        given(top, in);
        clocked(top, false);
        found(top, out);
        clocked(top, true);
        behind_edge(top);
    }}
}}
"""
