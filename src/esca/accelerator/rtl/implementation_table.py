"""An implementation as data and as lines for people."""

from typing import Any

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
