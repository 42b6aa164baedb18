"""The accelerator: what a frame costs on a 4/8-bit systolic array, from one configuration.

* ``config``: the frozen configuration, presets, hash.
* ``workload``, ``bits``, ``shapes``: typed layers with shapes and bits, of a graph, of a quantized
  graph, or of an avatar without weights.
* ``axes``, ``mappings``: which input, tap and output every place of the array meets in every row;
  counts of useful and occupied MAC slots follow from these tables.
* ``overlap``: banks of accumulators in which the overlapping outputs of ``scatter`` are added.
* ``plan``: a layer as chunks of rows and units of work; the search over mappings and blocks.
* ``order``: order of layers, tensors that stay on chip, groups that hand over in strips.
* ``schedule``, ``weight_ring``: jobs on engines, with every transfer and buffer they wait for.
* ``events``: event-driven simulation; ``closed_form``: the same by formula for two engines.
* ``compiler``: passes from a quantized graph to a ``program`` of ``isa`` instructions, which
  ``machine`` executes bit for bit through modelled ``memory``; ``check`` holds it to the runtime.
* ``hardware``: jobs and cycles of a machine with banked buffers, as it is built; ``rtl``: its
  hardware itself, generated.
* ``timing``: all of it for one frame, with MACs and bytes checked; ``results``: as plain data,
  table and trace.
"""

from esca.accelerator.config import (
    AcceleratorConfig,
    config_data,
    config_from_data,
    config_hash,
    load_config,
    parse_config,
    preset_names,
)
from esca.accelerator.mappings import Tiling, candidate_tilings, scale_sim_cycles, tile_layer
from esca.accelerator.plan import LayerPlan, plan_layer, plan_tiling
from esca.accelerator.results import chrome_trace, frame_data, frame_text
from esca.accelerator.shapes import avatar_workload
from esca.accelerator.timing import FrameTiming, LayerTiming, Span, time_workload
from esca.accelerator.workload import (
    TensorShape,
    WorkLayer,
    Workload,
    graph_workload,
    quantized_workload,
)

__all__ = [
    "AcceleratorConfig",
    "FrameTiming",
    "LayerPlan",
    "LayerTiming",
    "Span",
    "TensorShape",
    "Tiling",
    "WorkLayer",
    "Workload",
    "avatar_workload",
    "candidate_tilings",
    "chrome_trace",
    "config_data",
    "config_from_data",
    "config_hash",
    "frame_data",
    "frame_text",
    "graph_workload",
    "load_config",
    "parse_config",
    "plan_layer",
    "plan_tiling",
    "preset_names",
    "quantized_workload",
    "scale_sim_cycles",
    "tile_layer",
    "time_workload",
]
