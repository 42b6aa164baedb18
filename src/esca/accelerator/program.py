"""A compiled program: instructions, tables of layers, DRAM image; as text and as a file.

The file is a safetensors file: the DRAM image and the constants of layers as tensors; in its header
the configuration with its hash, the layers, the regions and the instructions as text.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from esca.accelerator.allocate import Region, RegionKey
from esca.accelerator.config import AcceleratorConfig, config_data, config_from_data, config_hash
from esca.accelerator.constants import LayerConstants
from esca.accelerator.isa import Instruction, instruction, instructions_text, parse_instructions
from esca.accelerator.mappings import Tiling, tile_layer
from esca.accelerator.plan import Engine
from esca.accelerator.schedule import Program
from esca.accelerator.weights import Part, WeightParts, weight_parts
from esca.accelerator.workload import ARRAY_KINDS, WorkLayer, Workload
from esca.errors import EscaError
from esca.files import contents_sha256, written_beside

FORMAT = "esca-program-2"


NO_CONSTANTS = LayerConstants({}, {})
"""Of a layer without data."""


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, its engine, its place in DRAM and its constants.

    ``weights``: (address, bytes) in the DRAM image by part; ``shared``: the part that stands for
    each tile's; ``texel_biases``: one address a bias.
    """

    layer: WorkLayer
    engine: Engine
    tiling: Tiling | None
    constants: LayerConstants = NO_CONSTANTS
    weights: Mapping[Part, tuple[int, int]] = field(default_factory=dict)
    shared: Mapping[Part, Part] = field(default_factory=dict)
    texel_biases: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class MachineProgram:
    """One frame's work. ``labels``: outputs' names for users -> tensors. ``image``: (bytes,) uint8
    weights and texel biases as they lie in DRAM.
    """

    config: AcceleratorConfig
    workload: Workload
    labels: Mapping[str, str]
    steps: tuple[Step, ...]
    regions: Mapping[RegionKey, Region]
    instructions: tuple[Instruction, ...]
    image: NDArray[np.uint8]


def outlined(workload: Workload, config: AcceleratorConfig, scheduled: Program) -> MachineProgram:
    """A schedule as a program without any data: what is done, when and where."""
    steps = []
    for plan in scheduled.plans:
        parts = weight_parts(plan) if plan.layer.kind in ARRAY_KINDS else WeightParts({}, {})
        places = {part: (0, size) for part, size in parts.sizes.items()}
        steps.append(
            Step(plan.layer, plan.engine, plan.tiling, weights=places, shared=parts.shared)
        )
    instructions = tuple(
        instruction(job, entry, scheduled.plans[entry.layer])
        for job, entry in zip(scheduled.jobs, scheduled.entries, strict=True)
    )
    ordered = replace(workload, layers=tuple(plan.layer for plan in scheduled.plans))
    regions, nothing = scheduled.regions, np.zeros(0, np.uint8)
    return MachineProgram(config, ordered, {}, tuple(steps), regions, instructions, nothing)


def program_text(program: MachineProgram) -> str:
    """Configuration, layers, regions and instructions, for people."""
    lines = [f"# {program.workload.name} for {program.config.name} {config_hash(program.config)}"]
    for number, step in enumerate(program.steps):
        mapping = ""
        if step.tiling is not None:
            block = "x".join(map(str, step.tiling.block))
            mapping = f" in {step.tiling.mode} by {step.tiling.mapping} {block}"
        shapes = " ".join("x".join(map(str, t.shape)) for t in step.layer.inputs)
        made = "x".join(map(str, step.layer.output.shape))
        lines.append(
            f"# layer {number}: {step.layer.name} {step.layer.kind} on {step.engine}{mapping} "
            f"{shapes} -> {made}"
        )
    for region in program.regions.values():
        reader = f" of layer {region.reader}" if region.reader >= 0 else ""
        lines.append(
            f"# region {region.address:#08x}: {region.rows} rows of {region.row_bytes} bytes of "
            f"{region.tensor}{reader}"
        )
    return "\n".join(lines) + "\n" + instructions_text(program.instructions)


_WORKLOAD = TypeAdapter(Workload)


def save_program(program: MachineProgram, path: Path) -> None:
    """Write the program, beside first and then renamed."""
    tensors = {"image": program.image}
    steps = []
    for number, step in enumerate(program.steps):
        for name, table in step.constants.tables.items():
            tensors[f"{number}.{name}"] = np.ascontiguousarray(table)
        tiling = step.tiling
        steps.append(
            {
                "engine": step.engine,
                "tiling": None if tiling is None else [tiling.mapping, list(tiling.block)],
                "scalars": dict(step.constants.scalars),
                "tables": list(step.constants.tables),
                "weights": [[*part, *where] for part, where in step.weights.items()],
                "shared": [[*part, *first] for part, first in step.shared.items()],
                "texel_biases": list(step.texel_biases),
            }
        )
    header = {
        "format": FORMAT,
        "config": config_data(program.config),
        "config_sha256": config_hash(program.config),
        "workload": _WORKLOAD.dump_python(program.workload, mode="json"),
        "labels": dict(program.labels),
        "steps": steps,
        "regions": [asdict(region) for region in program.regions.values()],
        "instructions": instructions_text(program.instructions),
    }
    sealed = header | {"sha256": contents_sha256(header, tensors)}
    with written_beside(path) as beside:
        beside.write_bytes(save(tensors, {"esca": json.dumps(sealed, sort_keys=True)}))


def load_program(path: Path, config: AcceleratorConfig | None = None) -> MachineProgram:
    """Read a program; EscaError for a damaged one, or one for another configuration."""
    path = Path(path)
    if not path.is_file():
        raise EscaError(f"{path}: no such program")
    try:
        with safe_open(path, framework="np") as stored:
            text = (stored.metadata() or {}).get("esca", "")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EscaError(f"{path}: damaged or no program ({error})") from error
    try:
        header = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise EscaError(f"{path}: no program of esca (header field 'esca')") from error
    if header.get("format") != FORMAT:
        raise EscaError(f"{path}: format is {header.get('format')!r}, expected {FORMAT!r}")
    if header.pop("sha256", None) != contents_sha256(header, tensors):
        raise EscaError(f"{path}: damaged program, its contents do not match field 'sha256'")
    own = config_from_data(header["config"], f"{path}: config")
    if config_hash(own) != header["config_sha256"]:
        raise EscaError(f"{path}: config does not match its config_sha256")
    if config is not None and config_hash(config) != config_hash(own):
        raise EscaError(
            f"{path}: compiled for {own.name} ({config_hash(own)[:12]}), not for {config.name} "
            f"({config_hash(config)[:12]})"
        )
    try:
        workload = _WORKLOAD.validate_python(_tuples(header["workload"]))
        steps = tuple(
            _step(number, data, layer, own, tensors)
            for number, (data, layer) in enumerate(
                zip(header["steps"], workload.layers, strict=True)
            )
        )
        regions = [Region(**data) for data in header["regions"]]
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise EscaError(f"{path}: damaged program ({str(error).splitlines()[0]})") from error
    return MachineProgram(
        own,
        workload,
        header["labels"],
        steps,
        {(region.reader, region.tensor): region for region in regions},
        parse_instructions(header["instructions"], str(path)),
        tensors["image"],
    )


def is_program(path: Path) -> bool:
    """Whether a file says that it is a program (and not, say, an artifact)."""
    try:
        with safe_open(path, framework="np") as stored:
            text = (stored.metadata() or {}).get("esca", "{}")
        return bool(json.loads(text).get("format") == FORMAT)
    except (SafetensorError, OSError, ValueError, AttributeError):
        return False


def _step(
    number: int,
    data: Mapping[str, Any],
    layer: WorkLayer,
    config: AcceleratorConfig,
    tensors: Mapping[str, NDArray[Any]],
) -> Step:
    tiling = None
    if data["tiling"] is not None:
        mapping, block = data["tiling"]
        tiling = tile_layer(layer, config, mapping, tuple(block) if mapping == "phases" else None)
    tables = {name: tensors[f"{number}.{name}"] for name in data["tables"]}
    return Step(
        layer,
        data["engine"],
        tiling,
        LayerConstants(data["scalars"], tables),
        {(a, b): (address, size) for a, b, address, size in data["weights"]},
        {(a, b): (c, d) for a, b, c, d in data["shared"]},
        tuple(data["texel_biases"]),
    )


def _tuples(data: Any) -> Any:
    """Plain data with tuples for lists, as frozen dataclasses hold them."""
    if isinstance(data, list):
        return tuple(map(_tuples, data))
    if isinstance(data, dict):
        return {key: _tuples(value) for key, value in data.items()}
    return data
