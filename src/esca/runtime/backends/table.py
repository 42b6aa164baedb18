"""A benchmark as text and as data."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esca.runtime.backends.bench import Measured

_CPUINFO = Path("/proc/cpuinfo")
_UNITS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
_NAMES = {
    "integer": "integer runtime",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


def bench_data(rows: Sequence[Measured], subject: dict[str, Any]) -> dict[str, Any]:
    """Plain data. ``speedup`` is against PyTorch float32 on the CPU in the same run."""
    base = baseline(rows)
    return {
        "subject": subject,
        "machine": machine(),
        "part": "whole decoder: texture and mesh",
        "rows": [
            {
                "engine": row.candidate.engine,
                "bits": row.candidate.bits,
                "form": row.candidate.form,
                "device": row.candidate.device,
                "threads": row.candidate.threads,
                "ms": row.median,
                "ms_quartiles": [row.low, row.high],
                "runs": row.runs,
                "memory_bytes": row.memory,
                "speedup": base / row.median,
            }
            for row in rows
        ],
    }


def bench_text(rows: Sequence[Measured], subject: dict[str, Any]) -> str:
    """A Markdown table, in the order of measurement."""
    base = baseline(rows)
    threads = rows[0].candidate.threads
    facts = machine()
    lines = [
        f"Whole decoder (texture and mesh), {subject['name']}, texture {subject['texture']}, "
        f"batch 1, {threads} threads; {facts['processor']} ({', '.join(facts['units'] or [])}).",
        "Median of runs taken in turn; quartiles; memory that the decoder adds while it decodes.",
        "",
        "| engine | bits | form | ms | quartiles | memory MB | against PyTorch fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = "" if row.memory is None else f"{row.memory / 1e6:.0f}"
        one = row.candidate
        lines.append(
            f"| {_NAMES[one.engine]} | {one.bits} | {one.form} | {row.median:.1f} | "
            f"{row.low:.1f} to {row.high:.1f} | {memory} | {base / row.median:.2f}x |"
        )
    return "\n".join(lines)


def baseline(rows: Sequence[Measured]) -> float:
    """Milliseconds of PyTorch float32 on the CPU."""
    return next(
        row.median
        for row in rows
        if row.candidate.engine == "torch" and row.candidate.device == "cpu"
    )


def machine() -> dict[str, Any]:
    """The processor's name, and which units for small numbers it has; None where unknown."""
    name, units = platform.processor() or platform.machine(), None
    if _CPUINFO.is_file():
        facts: dict[str, str] = {}
        for line in _CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
        name = facts.get("model name", name)
        units = [unit for unit in _UNITS if unit in facts.get("flags", "").split()]
    return {"processor": name, "units": units}
