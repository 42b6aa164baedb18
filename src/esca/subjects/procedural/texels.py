"""The texture seen from the texels: which part, which canonical point, which traits, and noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray
from esca.rendering.atlas import rasterize_uv
from esca.subjects.procedural.mesh import Assembly

Bool = NDArray[np.bool_]


def smooth(x: FloatArray) -> FloatArray:
    """Smooth step: 0 below 0, 1 above 1."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def bell(x: FloatArray, width: float) -> FloatArray:
    """Gaussian of height 1."""
    return np.exp(-((x / width) ** 2))


@dataclass(frozen=True, eq=False)
class Texels:
    """The P covered texels of a T x T atlas, in row order.

    ``mask``: (T, T). ``source``: (T, T) row that each texel shows, -1 far off. ``uv``: (P, 2).
    ``position``: (P, 3) canonical mm. ``traits``: (P,) by name. ``part``: (P,) number of the part
    in ``parts``.
    """

    size: int
    mask: Bool
    source: NDArray[np.int64]
    uv: FloatArray
    position: FloatArray
    traits: dict[str, FloatArray]
    part: NDArray[np.int64]
    parts: tuple[str, ...]

    def of(self, *names: str) -> Bool:
        """(P,) texels of the named parts."""
        return np.isin(self.part, [self.parts.index(name) for name in names])

    def spread(self, values: FloatArray, background: float = 0.0) -> NDArray[np.float32]:
        """Values (P,) or (P, C) as a map, carried on into the gutters."""
        grid = np.asarray(values, np.float32)[self.source]
        grid[self.source < 0] = background
        return grid

    def noise(self, seed: int, period: float, octaves: int = 1) -> FloatArray:
        """(P,) smooth noise about 0, of unit-like amplitude, over the canonical head.

        ``period`` mm; octaves too fine for the texels are left out.
        """
        total = np.zeros(len(self.uv))
        gain = 1.0
        for octave in range(octaves):
            length = period / 2**octave
            if length < 700 / self.size:
                break
            total += gain * _lattice(self.position, seed + 101 * octave, length)
            gain *= 0.55
        return total


def _lattice(position: FloatArray, seed: int, length: float) -> FloatArray:
    """Trilinear noise with smoothed corners; repeats after 32 cells."""
    table = np.random.default_rng(seed).standard_normal((32, 32, 32)).astype(np.float32)
    # Turned, so that no lattice plane lies along the face.
    turn = np.array([[0.8, 0.36, -0.48], [-0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
    low, high, blend = [], [], []
    for place in (position @ (turn / length)).T:
        floor = np.floor(place)
        share = (place - floor).astype(np.float32)
        cell = floor.astype(np.int32)
        low.append(cell & 31)
        high.append((cell + 1) & 31)
        blend.append(share * share * (3 - 2 * share))
    planes = []
    for x in (low[0], high[0]):
        rows = []
        for y in (low[1], high[1]):
            near, far = table[x, y, low[2]], table[x, y, high[2]]
            rows.append(near + blend[2] * (far - near))
        planes.append(rows[0] + blend[1] * (rows[1] - rows[0]))
    return 1.5 * (planes[0] + blend[0] * (planes[1] - planes[0])).astype(np.float64)


def _nearest(mask: Bool, texels: int) -> NDArray[np.int64]:
    """Row of the covered texel that each texel takes its value from, -1 beyond ``texels``."""
    source = np.full(np.add(mask.shape, 2), -1, np.int64)
    inner = source[1:-1, 1:-1]
    inner[mask] = np.arange(mask.sum())
    for _ in range(texels):
        around = (source[:-2, 1:-1], source[2:, 1:-1], source[1:-1, :-2], source[1:-1, 2:])
        best = np.maximum.reduce(around)
        inner[:] = np.where(inner < 0, best, inner)
    return inner.copy()


def build_texels(assembly: Assembly, size: int) -> Texels:
    """Look at the assembly's atlas at ``size`` x ``size`` texels."""
    topology = assembly.topology
    raster = rasterize_uv(topology, size)
    names = tuple(assembly.traits)
    values = np.column_stack([assembly.positions, *(assembly.traits[name] for name in names)])
    seen = raster.interpolate(values, topology.faces).astype(np.float64)
    rows, columns = np.nonzero(raster.foreground)
    owner = np.zeros(len(topology.faces), np.int64)
    for number, place in enumerate(assembly.face_slices.values()):
        owner[place] = number
    return Texels(
        size,
        raster.foreground,
        _nearest(raster.foreground, max(3, round(size * 0.012))),
        np.column_stack([columns + 0.5, rows + 0.5]) / size,
        seen[:, :3],
        {name: seen[:, 3 + i] for i, name in enumerate(names)},
        owner[raster.triangle[raster.foreground]],
        tuple(assembly.face_slices),
    )
