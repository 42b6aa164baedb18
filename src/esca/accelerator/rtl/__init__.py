"""The accelerator in hardware: components in Amaranth from the simulator's own configuration.

* ``params``: what of a configuration the hardware is built from, and which widths follow.
* ``top``: the machine. ``control``, ``fetch``, ``dma``: command queues and the memory port.
* ``path``: banks of activations, front end (``front``), weight ring and ``feed``, ``array`` of
  ``pe`` and ``accumulators`` or, where outputs overlap, ``overlap_add``. ``drain``: ``requantize``
  lanes, texel biases, results.
* ``hardware_program``: a compiled program as records, constants and an image of DRAM; its jobs and
  cycles are those of :mod:`esca.accelerator.hardware`.
* ``compiled``: a component as a compiled simulation; ``verify``, ``frames``: programs and frames on
  it, held against simulator and runtime; ``random_programs``, ``coverage``: what it is tried with.
* ``board``: a board around the machine, its host's protocol, and a simulation of both.
* ``emit``: Verilog, reproducible by hash; ``implement``: place and route.

Needs the extra ``rtl`` (Amaranth, YoWASP Yosys and nextpnr); ``compiled`` a C++ compiler, too.
"""
