"""How much of the surrounding light reaches each vertex, by casting rays."""

import numpy as np

from esca.captures.geometry import FloatArray
from esca.rendering.raster import Scene
from esca.subjects.procedural.mesh import Assembly, vertex_normals
from esca.subjects.procedural.sculpt import EYE
from esca.subjects.procedural.texels import smooth

_RAYS = 64


def _sphere(count: int) -> FloatArray:
    """Even directions (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    height, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - height**2)
    return np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])


def vertex_occlusion(assembly: Assembly, positions: FloatArray) -> FloatArray:
    """(V,) ambient visibility in [0, 1]: 1 = open.

    What lies inside the mouth gets a fixed share that falls towards the throat, since the neutral
    mouth is shut; eyeballs stay open, for they turn.
    """
    normals = vertex_normals(positions, assembly.topology.faces)
    scene = Scene(positions, assembly.topology.faces)
    open_sum, weight = np.zeros(len(positions)), np.zeros(len(positions))
    start = positions + 0.6 * normals
    for direction in _sphere(_RAYS):
        facing = np.clip(normals @ direction, 0, None)
        rows = np.flatnonzero(facing > 0.05)
        towards = np.broadcast_to(direction, (len(rows), 3))
        clear = ~scene.occluded(start[rows], towards)
        open_sum[rows] += facing[rows] * clear
        weight[rows] += facing[rows]
    share = open_sum / np.maximum(weight, 1e-9)
    depth = np.clip((97 - assembly.positions[:, 2]) / 42, 0, 1)
    inside = 0.85 * (1 - depth) ** 1.5 + 0.05
    bag, ring = assembly.traits["bag"], assembly.traits["mouth_ring"]
    share = np.where(ring > 4.5, 0.3, np.where(ring > 2.5, np.maximum(share, 0.6), share))
    share = np.where(bag > 0, np.minimum(inside, 0.5 * (1 - bag) + 0.06), share)
    for name in ("upper_teeth", "lower_teeth", "tongue"):
        share[assembly.slices[name]] = inside[assembly.slices[name]]
    lid = assembly.traits["lid_ring"]
    share = np.where(lid > 3.5, np.maximum(share, 0.62), share)
    for side in "LR":
        ball = assembly.slices[f"eye_{side}"]
        x, y = assembly.positions[ball, 0], assembly.positions[ball, 1]
        aside = np.abs(np.abs(x) - EYE[0]) - 7
        share[ball] = 0.92 - 0.5 * smooth((y - 1.5) / 5) - 0.3 * smooth(aside / 7)
    return share
