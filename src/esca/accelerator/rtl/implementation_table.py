"""An implementation, and counts of gates, as data and as lines for people."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from esca.accelerator.rtl.gates import GateCount
from esca.accelerator.rtl.implement import Implementation, Placed


def implementation_data(made: Implementation) -> dict[str, Any]:
    """Plain data: ``name device speed used available box_registers absorbed routed unfinished
    fmax_mhz least_fmax_mhz placed``.
    """
    return {
        "name": made.name,
        "device": f"ECP5 {made.device}",
        "speed": made.speed,
        "used": dict(made.used),
        "available": dict(made.available),
        "box_registers": made.box_registers,
        "absorbed": asdict(made.absorbed),
        "routed": made.routed,
        "unfinished": list(made.unfinished),
        "fmax_mhz": round(made.best.fmax_hertz / 1e6, 2),
        "least_fmax_mhz": round(made.worst.fmax_hertz / 1e6, 2),
        "placed": [_placed_data(one) for one in made.placed],
    }


def _placed_data(placed: Placed) -> dict[str, Any]:
    return {
        "seed": placed.seed,
        "fmax_mhz": round(placed.fmax_hertz / 1e6, 2),
        "critical_path": [
            {"part": s.part, "logic_ns": round(s.logic, 3), "routing_ns": round(s.routing, 3)}
            for s in placed.path
        ],
    }


def implementation_text(made: Implementation) -> str:
    """What it takes, how fast each seed is, and where the slowest paths go of the best seed and the
    worst.
    """
    lines = [f"{made.name} on an ECP5 {made.device.upper()}, speed grade {made.speed}"]
    for kind, used in made.used.items():
        total = made.available[kind]
        lines.append(f"  {kind:<11} {used:>7,} of {total:,} ({used / total:.1%})")
    lines.append(f"  of the flip-flops {made.box_registers:,} only stand at its ports")
    ports = (made.absorbed.ram_outputs, made.absorbed.dsp_outputs, made.absorbed.dsp_inputs)
    lines.append(
        "  registers inside {} outputs of block RAM, {} of DSPs, before {} DSPs".format(*ports)
    )
    speeds = ", ".join(f"{one.fmax_hertz / 1e6:.1f}" for one in made.placed)
    how = "" if made.routed else ", estimated behind placement"
    lines.append(
        f"  MHz by seed {speeds}: {made.worst.fmax_hertz / 1e6:.1f} to "
        f"{made.best.fmax_hertz / 1e6:.1f}{how}"
    )
    if made.unfinished:
        lines.append(f"  not ended in time: seed {', '.join(map(str, made.unfinished))}")
    if not made.routed:
        return "\n".join(lines)
    for one in dict.fromkeys((made.best, made.worst)):
        lines.append(f"  slowest path of seed {one.seed}, ns of logic + routing:")
        lines += [f"    {s.logic:5.2f} + {s.routing:5.2f}  {s.part}" for s in one.path]
    return "\n".join(lines)


def mux_text(made: Sequence[Implementation], labels: Sequence[str]) -> str:
    """Two machines that differ in ``array.mux_width`` side by side, and what the first has more."""
    heads = (*labels, "more")
    lines = [f"{'array.mux_width':<16}" + "".join(f"{head:>12}" for head in heads)]
    for kind, first in made[0].used.items():
        counts = "".join(f"{one.used[kind]:>12,}" for one in made)
        more = f"{first / made[1].used[kind] - 1:.1%}" if made[1].used[kind] else "-"
        lines.append(f"{kind:<16}{counts}{more:>12}")
    for name, speeds in (
        ("MHz, best seed", [one.best.fmax_hertz for one in made]),
        ("MHz, worst seed", [one.worst.fmax_hertz for one in made]),
    ):
        lines.append(f"{name:<16}" + "".join(f"{speed / 1e6:>12.1f}" for speed in speeds))
    return "\n".join(lines)


def gates_data(rows: Sequence[tuple[int, str, int, GateCount]]) -> list[dict[str, Any]]:
    """Plain data: ``depth kind number gates flip_flops memory_bits transistors`` of each module."""
    return [
        {
            "depth": depth,
            "kind": _shown(kind),
            "number": number,
            "gates": one.gates,
            "flip_flops": one.flip_flops,
            "memory_bits": one.memory_bits,
            "transistors": one.transistors,
        }
        for depth, kind, number, one in rows
    ]


def gates_text(rows: Sequence[tuple[int, str, int, GateCount]], without: int) -> str:
    """Modules, each as often as it stands there; the whole against ``without`` input muxes."""
    names = [f"{'  ' * depth}{_shown(kind)}" for depth, kind, *_ in rows]
    wide = max(map(len, names))
    heads = ("number", "gates each", "flip-flops", "memory bits", "transistors", "all")
    lines = [f"{'module':<{wide}}" + "".join(f"{head:>13}" for head in heads)]
    for name, (_, _, number, one) in zip(names, rows, strict=True):
        each = (one.gates, one.flip_flops, one.memory_bits, one.transistors)
        values = (number, *each, number * one.transistors)
        lines.append(f"{name:<{wide}}" + "".join(f"{value:>13,}" for value in values))
    whole = rows[0][3].transistors
    lines.append(
        f"with array.mux_width 1: {without:,} transistors; combining inputs adds "
        f"{whole / without - 1:.1%}"
    )
    return "\n".join(lines)


def _shown(kind: str) -> str:
    """Without the number by which Amaranth tells modules of one name apart."""
    return kind.partition("$")[0]
