"""Which outputs the raster places of a unit make, as arithmetic that hardware does."""

from dataclasses import dataclass

from esca.accelerator.mappings import Pass, Tiling


@dataclass(frozen=True)
class OutputAxis:
    """Outputs of position q in raster row r are ``r * step + first + q``."""

    first: int
    step: int


def output_axes(tiling: Tiling, p: Pass) -> tuple[OutputAxis, OutputAxis]:
    """Those of y and x."""
    found = []
    for axis in (p.y, p.x):
        if tiling.mapping == "compressed":
            found.append(OutputAxis(int(axis.output[0, 0]), tiling.layer.stride))
        else:
            found.append(OutputAxis(0, axis.positions))
    return found[0], found[1]
