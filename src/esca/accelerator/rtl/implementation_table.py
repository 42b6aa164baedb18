"""An implementation, and counts of gates, as data and as lines for people."""

from collections.abc import Sequence
from typing import Any

from esca.accelerator.rtl.gates import GateCount
from esca.accelerator.rtl.implement import Implementation, Placed


def implementation_data(made: Implementation) -> dict[str, Any]:
    """Plain data: ``name device used available box_registers fmax_mhz placed``."""
    return {
        "name": made.name,
        "device": f"ECP5 {made.device}",
        "used": dict(made.used),
        "available": dict(made.available),
        "box_registers": made.box_registers,
        "fmax_mhz": round(made.fmax_hertz / 1e6, 2),
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
    """What it takes, how fast each seed is, and where the best seed's slowest path goes."""
    lines = [f"{made.name} on an ECP5 {made.device.upper()}"]
    for kind, used in made.used.items():
        total = made.available[kind]
        lines.append(f"  {kind:<11} {used:>7,} of {total:,} ({used / total:.1%})")
    lines.append(f"  of the flip-flops {made.box_registers:,} only stand at its ports")
    speeds = ", ".join(f"{one.fmax_hertz / 1e6:.1f}" for one in made.placed)
    lines.append(f"  MHz by seed {speeds}")
    best = max(made.placed, key=lambda one: one.fmax_hertz)
    lines.append(f"  slowest path of seed {best.seed}, ns of logic + routing:")
    lines += [f"    {s.logic:5.2f} + {s.routing:5.2f}  {s.part}" for s in best.path]
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
