"""A frame's timing as plain data, as a trace that browsers open, and as a table."""

from typing import Any

from esca.accelerator.timing import FrameTiming, LayerTiming


def frame_data(frame: FrameTiming) -> dict[str, Any]:
    """Plain data for JSON: the frame's figures, and the same by layer under ``layers``.

    A layer's ``cycles`` are those of its engine and, on the array, those it stood waiting for the
    layer; other engines work beside the array, so the layers need not sum to the frame.
    """
    per_cycle = frame.latency_ms / frame.cycles
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
        "layers": [_layer_data(layer, per_cycle) for layer in frame.layers],
    }


def _layer_data(layer: LayerTiming, milliseconds_per_cycle: float) -> dict[str, Any]:
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
        "start": layer.start,
        "end": layer.end,
        "cycles": cycles,
        "stalled_cycles": layer.stalled_cycles,
        "waited_cycles": dict(layer.waited_cycles),
        "latency_ms": cycles * milliseconds_per_cycle,
        "useful_utilization": layer.useful_utilization * share,
        "occupied_utilization": layer.occupied_utilization * share,
        "macs": layer.macs,
        "dram_bytes": sum(layer.dram_bytes.values()),
        "traffic": dict(layer.dram_bytes),
    }


def chrome_trace(frame: FrameTiming) -> dict[str, Any]:
    """The timeline in the Chrome trace format, one row an engine; times in microseconds."""
    per_cycle = 1e3 * frame.latency_ms / frame.cycles
    rows = {span.engine: index for index, span in enumerate(frame.timeline)}
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
        }
        for span in frame.timeline
    ]
    return {"traceEvents": [*named, *spans], "otherData": {"config": frame.config_sha256}}


def frame_text(frame: FrameTiming) -> str:
    """A table of the layers and the frame's totals."""
    data = frame_data(frame)
    width = max(len(layer["name"]) for layer in data["layers"])
    lines = [
        f"{frame.workload} on {frame.config} ({frame.config_sha256[:12]})",
        f"{'layer':{width}}  {'engine':11} {'mapping':16} {'cycles':>10} {'useful':>7} "
        f"{'stalled':>8} {'waited':>8} {'DRAM bytes':>11}",
    ]
    for layer in data["layers"]:
        block = "x".join(map(str, layer["block"])) if layer["mapping"] == "phases" else ""
        mapping = f"{layer['mapping'] or '-'} {block}"
        lines.append(
            f"{layer['name']:{width}}  {layer['engine']:11} {mapping:16} {layer['cycles']:>10,} "
            f"{layer['useful_utilization']:>7.1%} {layer['stalled_cycles']:>8,} "
            f"{sum(layer['waited_cycles'].values()):>8,} {layer['dram_bytes']:>11,}"
        )
    lines.append(
        f"{frame.cycles:,} cycles, {frame.latency_ms:.3f} ms; useful "
        f"{frame.useful_utilization:.1%}, occupied {frame.occupied_utilization:.1%}; "
        f"{frame.dram_bytes:,} bytes of DRAM traffic"
    )
    return "\n".join(lines)
