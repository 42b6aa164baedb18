"""A floor plan of the whole machine on an ECP5 85F: where its multipliers and block RAMs lie.

Those stand in few rows across the chip. nextpnr finds a place for each of them alone, and then PEs
lie far from their multipliers and banks wherever there is room; put in the order in which data run,
the same machine takes 40% fewer wires.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

DEVICE = "85k"
"""The device that the plan is of."""

_BLOCKS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""Columns of the chip at which a group of four sites begins, in rows of either kind."""

_DSP_ROWS, _RAM_ROWS = (58, 34, 10), (22, 46, 70, 82)
_DSP_OFFSETS, _RAM_OFFSETS = (0, 1, 4, 5), (0, 2, 4, 6)
_RAM_LEFT = 7
"""Groups of block RAMs of a row that belong to the way from the banks to the array."""

_LAST_ROW = (len(_BLOCKS) - _RAM_LEFT) * len(_RAM_OFFSETS)
"""Sites of a row on the right."""

_PE_SITES = 3
"""PEs of a group: each has an enable of its own, and a group takes four enables, one of them 1."""

_LEFT = ("front.banks", "path.ring", ".linear.")
_RIGHT = ("accumulators", "drain.constants", "extras", "results")
"""Block RAMs by what they belong to, in their order on either side; others take what is left."""

_FIRST_COLUMN = 1
"""Group of multipliers in which the array begins: its last sums have not so far to the right."""

_LANE_PRODUCTS = r"lane_(\d+)\."


def planned(module: Mapping[str, Any]) -> dict[str, str]:
    """Sites (nextpnr's names) of multipliers and block RAMs of a mapped ``module`` (Yosys' JSON) by
    cell; of those that nothing is said about none. A machine with more than fits has no plan.
    """
    cells = module["cells"]
    rams = natural(n for n, cell in cells.items() if cell["type"] in ("DP16KD", "PDPW16KD"))
    products = natural(n for n, cell in cells.items() if cell["type"] == "MULT18X18D")
    ram_sites = len(_RAM_ROWS) * len(_BLOCKS) * len(_RAM_OFFSETS)
    dsp_sites = len(_DSP_ROWS) * len(_BLOCKS) * len(_DSP_OFFSETS)
    if len(rams) > ram_sites or len(products) > dsp_sites:
        return {}
    return _rams(rams) | _products(products)


def _rams(names: Sequence[str]) -> dict[str, str]:
    left, right = _ram_sites(_BLOCKS[:_RAM_LEFT]), _ram_sites(_BLOCKS[_RAM_LEFT:])
    # What is left when all have their places lies in the middle of the last row.
    right[-_LAST_ROW:] = reversed(right[-_LAST_ROW:])
    places: dict[str, str] = {}
    for parts, sites in ((_LEFT, left), (_RIGHT, right)):
        mine = [name for part in parts for name in names if part in name and name not in places]
        places |= dict(zip(mine, sites, strict=False))
    taken = set(places.values())
    free = [site for site in reversed([*left, *right]) if site not in taken]
    rest = [name for name in names if name not in places]
    return places | dict(zip(rest, free, strict=False))


def _ram_sites(blocks: Sequence[int]) -> list[str]:
    return [
        f"X{block + offset}/Y{row}/EBR{number}"
        for row in _RAM_ROWS
        for block in blocks
        for number, offset in enumerate(_RAM_OFFSETS)
    ]


def _products(names: Sequence[str]) -> dict[str, str]:
    """Those of PEs: a column of the array in a column of groups. Lanes right of it, one behind the
    other, row of sites by row; then what is left.
    """
    places: dict[str, str] = {}
    elements = {
        (int(found[1]), int(found[2])): name
        for name in names
        if (found := re.search(r"array\.pe_(\d+)_(\d+)\.", name))
    }
    columns = 1 + max((column for _, column in elements), default=-1)
    rows = 1 + max((row for row, _ in elements), default=-1)
    if rows > _PE_SITES * len(_DSP_ROWS) or _FIRST_COLUMN + columns > len(_BLOCKS):
        elements, columns = {}, 0
    # As many a row of sites as of the next, the most at the bottom.
    ends = [rows * (line + 1) // len(_DSP_ROWS) for line in range(len(_DSP_ROWS))]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    for (row, column), name in elements.items():
        line, inside = _line(row, counts)
        places[name] = _dsp(_BLOCKS[_FIRST_COLUMN + column], _DSP_ROWS[line], inside)
    lanes = [name for name in names if re.search(_LANE_PRODUCTS, name) and "linear" not in name]
    beside = [
        _dsp(block, row, number)
        for row in reversed(_DSP_ROWS)
        for block in _BLOCKS[_FIRST_COLUMN + columns :]
        for number in range(len(_DSP_OFFSETS))
    ]
    places |= dict(zip(lanes, beside, strict=False))
    taken = set(places.values())
    others = [
        _dsp(block, row, number)
        for row in _DSP_ROWS
        for block in _BLOCKS
        for number in (3, 2, 1, 0)
        if _dsp(block, row, number) not in taken
    ]
    rest = [name for name in names if name not in places]
    return places | dict(zip(rest, others, strict=False))


def _line(row: int, counts: Iterable[int]) -> tuple[int, int]:
    """Which row of sites a row of the array is in, and which of its sites in a group."""
    for line, count in enumerate(counts):
        if row < count:
            return line, row
        row -= count
    raise AssertionError("rows are as many as counted")


def _dsp(block: int, row: int, number: int) -> str:
    offset = _DSP_OFFSETS[number]
    return f"X{block + offset}/Y{row}/MULT18_{offset}"


def multiplier_group(site: str) -> str:
    """Which group of four a multiplier's site is in."""
    column, row, name = site.split("/")
    offset = name.removeprefix("MULT18_")
    return f"X{int(column[1:]) - int(offset)}/{row}"


def natural(names: Iterable[str]) -> list[str]:
    """In the order of the numbers in them."""
    return sorted(names, key=natural_key)


def natural_key(name: str) -> list[tuple[int, str]]:
    """What puts names into the order of the numbers in them."""
    return [*_parts(name)]


def _parts(name: str) -> Iterator[tuple[int, str]]:
    for text, digits in re.findall(r"(\D*)(\d*)", name):
        yield 0, text
        yield int(digits or -1), ""
