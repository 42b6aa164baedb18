"""The accelerator in hardware: components in Amaranth from the simulator's own configuration.

* ``params``: what of a configuration the hardware is built from, and which widths follow.
* ``pe``, ``array``: the weight-stationary array with its weight registers.
* ``accumulators``: banks of int32 sums in two halves.
* ``requantize``: a lane of the epilogue.
* ``emit``: Verilog, reproducible by hash; ``compiled``: a component as a compiled simulation.

Needs the extra ``rtl`` (Amaranth, YoWASP Yosys); ``compiled`` a C++ compiler, too.
"""
