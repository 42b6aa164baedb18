"""One convolution through SCALE-Sim, for `accelerator.py --scale-sim`; run by a Python that has it.

    python scale_sim_layer.py ROWS COLUMNS SIDE KERNEL CHANNELS FILTERS

Weight stationary, no padding, stride 1, no traces; prints cycles and seconds of processor time.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from scalesim.scale_sim import scalesim

CONFIG = """
[general]
run_name = layer
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 512
FilterSramSzkB = 256
OfmapSramSzkB = 128
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = ws
Bandwidth = 32
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""
HEADER = "name, ifmap h, ifmap w, filter h, filter w, channels, filters, stride,\n"


def main() -> None:
    rows, columns, side, kernel, channels, filters = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        config, topology = Path(folder, "scale.cfg"), Path(folder, "layer.csv")
        config.write_text(CONFIG.format(rows=rows, columns=columns))
        sizes = (side, side, kernel, kernel, channels, filters, 1)
        topology.write_text(f"{HEADER}layer, {', '.join(map(str, sizes))},\n")
        layout = Path(folder, "layout.csv")
        layout.write_text(f"{HEADER}layer, {', '.join(['1'] * 25)},\n")
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            began = time.process_time()
            run = scalesim(True, False, str(config), str(topology), str(layout), False)
            run.run_scale(top_path=folder)
            seconds = time.process_time() - began
        layer = run.runner.single_layer_sim_object_list[0]
        print(json.dumps({"cycles": layer.total_cycles, "seconds": seconds}))


if __name__ == "__main__":
    main()
