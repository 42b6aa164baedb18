"""A frame's timing as plain data, as a trace that browsers open, and as a table."""

from typing import Any

from esca.accelerator.activity import read_bytes_per_cycle
from esca.accelerator.area import area
from esca.accelerator.energy import (
    FRAMES_PER_SECOND,
    FrameEnergy,
    LayerEnergy,
    frame_energy,
)
from esca.accelerator.plan import LayerPlan
from esca.accelerator.structure import read_port_bytes
from esca.accelerator.technology import Estimate
from esca.accelerator.timing import FrameTiming, LayerTiming

CAUSES = {
    "loads": "inputs",
    "biases": "texel biases",
    "linear": "the linear engine",
    "move": "the move engine",
    "upsample": "the upsample engine",
    "grid_sample": "the grid-sample engine",
}
"""What the array waits for, by the queue whose job came last, where the name does not say it."""


def frame_data(frame: FrameTiming) -> dict[str, Any]:
    """Plain data for JSON: the frame's figures, and the same by layer under ``layers``.

    A layer's ``cycles`` are those of its engine and, on the array, those it stood waiting for the
    layer; other engines work beside the array, so the layers need not sum to the frame.
    """
    per_cycle = frame.latency_ms / frame.cycles
    energy = frame_energy(frame)
    return {
        "workload": frame.workload,
        "config": frame.config,
        "config_sha256": frame.config_sha256,
        "cycles": frame.cycles,
        "latency_ms": frame.latency_ms,
        "useful_utilization": frame.useful_utilization,
        "occupied_utilization": frame.occupied_utilization,
        "macs": frame.macs,
        "dram_bytes": frame.dram_bytes,
        "traffic": dict(frame.traffic),
        "engine_cycles": dict(frame.engine_cycles),
        "waited_cycles": dict(frame.waited_cycles),
        "read_port_bytes_per_cycle": read_port_bytes(frame.setup),
        **_energy_data(energy),
        "area_mm2": area(frame.setup).total.value,
        "layers": [
            _layer_data(layer, plan, per_cycle, spent)
            for layer, plan, spent in zip(frame.layers, frame.plans, energy.layers, strict=True)
        ],
    }


def _energy_data(energy: FrameEnergy) -> dict[str, Any]:
    """The frame's energy with its bounds, and what it was computed with."""
    return {
        "energy_uj": energy.total.value,
        "energy_bounds_uj": _bounds(energy.total),
        "energy_components_uj": {name: e.value for name, e in energy.components.items()},
        "energy_uj_per_texel": None if energy.per_texel is None else energy.per_texel.value,
        "watts_at_100_fps": energy.watts(FRAMES_PER_SECOND).value,
        "energy_excludes": list(energy.excluded),
        "node_nanometres": energy.node,
        "technology": energy.technology,
        "technology_sha256": energy.technology_sha256,
    }


def _bounds(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.high]


def _layer_data(
    layer: LayerTiming, plan: LayerPlan, milliseconds_per_cycle: float, energy: LayerEnergy
) -> dict[str, Any]:
    waited = sum(layer.waited_cycles.values())
    cycles = layer.engine_cycles + waited
    share = layer.engine_cycles / cycles if cycles else 0.0
    return {
        "name": layer.name,
        "kind": layer.kind,
        "engine": layer.engine,
        "mapping": layer.mapping,
        "block": None if layer.block is None else list(layer.block),
        "bits": layer.bits,
        "mode": layer.mode,
        "start": layer.start,
        "end": layer.end,
        "cycles": cycles,
        "stalled_cycles": layer.stalled_cycles,
        "waited_cycles": dict(layer.waited_cycles),
        "latency_ms": cycles * milliseconds_per_cycle,
        "useful_utilization": layer.useful_utilization * share,
        "occupied_utilization": layer.occupied_utilization * share,
        "macs": layer.macs,
        "read_bytes_per_cycle": None if plan.tiling is None else read_bytes_per_cycle(plan.tiling),
        "dram_bytes": sum(layer.dram_bytes.values()),
        "traffic": dict(layer.dram_bytes),
        "energy_uj": energy.total.value,
        "energy_components_uj": {name: e.value for name, e in energy.components.items()},
    }


def chrome_trace(frame: FrameTiming) -> dict[str, Any]:
    """The timeline in the Chrome trace format, one row an engine; times in microseconds."""
    per_cycle = 1e3 * frame.latency_ms / frame.cycles
    rows = {span.engine: index for index, span in enumerate(frame.timeline)}
    bits = {layer.name: layer.bits for layer in frame.layers}
    modes = {layer.name: layer.mode for layer in frame.layers}
    named = [
        {"ph": "M", "pid": 0, "tid": row, "name": "thread_name", "args": {"name": engine}}
        for engine, row in rows.items()
    ]
    spans = [
        {
            "ph": "X",
            "pid": 0,
            "tid": rows[span.engine],
            "name": span.layer,
            "cat": span.what,
            "ts": span.start * per_cycle,
            "dur": span.cycles * per_cycle,
            "args": {"bits": bits[span.layer]}
            | ({"mode": modes[span.layer]} if span.engine == "array" else {}),
        }
        for span in frame.timeline
    ]
    return {"traceEvents": [*named, *spans], "otherData": {"config": frame.config_sha256}}


def frame_text(frame: FrameTiming) -> str:
    """A table of the layers and the frame's totals.

    A ``!`` marks a layer that needs more from the activation buffer than its port gives, so that
    its cycles are too few.
    """
    data = frame_data(frame)
    names = [_fitted(layer["name"]) for layer in data["layers"]]
    width, port = max(map(len, names)), data["read_port_bytes_per_cycle"]
    lines = [
        f"{frame.workload} on {frame.config} ({frame.config_sha256[:12]})",
        f"{'layer':{width}}  {'engine':11} {'mode':4} {'mapping':14} {'cycles':>10} "
        f"{'useful':>7} "
        f"{'stalled':>8} {'waited':>8} {'read B/cycle':>13} {'DRAM bytes':>11} {'uJ':>7}",
    ]
    for name, layer in zip(names, data["layers"], strict=True):
        block = "x".join(map(str, layer["block"])) if layer["mapping"] == "phases" else ""
        mapping = f"{layer['mapping'] or '-'} {block}"
        useful = f"{layer['useful_utilization']:.1%}" if layer["mapping"] else "-"
        read = layer["read_bytes_per_cycle"]
        shown = "-" if read is None else f"{read}{'!' if read > port else ''}"
        lines.append(
            f"{name:{width}}  {layer['engine']:11} {layer['mode'] or '-':4} "
            f"{mapping:14} {layer['cycles']:>10,} "
            f"{useful:>7} {layer['stalled_cycles']:>8,} "
            f"{sum(layer['waited_cycles'].values()):>8,} {shown:>13} {layer['dram_bytes']:>11,} "
            f"{layer['energy_uj']:>7.1f}"
        )
    busy = frame.dram_bytes / frame.setup.dram_bytes_per_cycle / frame.cycles
    lines.append(
        f"{frame.cycles:,} cycles, {frame.latency_ms:.3f} ms; useful "
        f"{frame.useful_utilization:.1%}, occupied {frame.occupied_utilization:.1%}; "
        f"{frame.dram_bytes:,} bytes of DRAM traffic, {busy:.0%} of its bandwidth"
    )
    causes = sorted(frame.waited_cycles.items(), key=lambda item: -item[1])
    if causes:
        told = ", ".join(f"{CAUSES.get(cause, cause)} {cycles:,}" for cause, cycles in causes)
        waited = sum(frame.waited_cycles.values())
        lines.append(f"the array waited {waited:,} cycles for: {told}")
    low, high = data["energy_bounds_uj"]
    texel = data["energy_uj_per_texel"]
    lines.append(
        f"{data['energy_uj']:,.0f} uJ ({low:,.0f} to {high:,.0f}) at {data['node_nanometres']} nm"
        + ("" if texel is None else f", {1e3 * texel:.2f} nJ a texel")
        + f", {1e3 * data['watts_at_100_fps']:.0f} mW at 100 frames a second; "
        f"{data['area_mm2']:.2f} mm2"
    )
    lines.append(f"energy is without {', '.join(data['energy_excludes'])}")
    return "\n".join(lines)


def _fitted(name: str) -> str:
    """A layer's name in at most 43 characters: its two ends."""
    return name if len(name) <= 43 else f"{name[:17]}…{name[-25:]}"
