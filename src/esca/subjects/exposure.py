"""One frame of a subject under the studio's light: shading and visibility of the covered texels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import Camera, FloatArray, Topology
from esca.rendering.atlas import BIAS
from esca.rendering.display import from_display
from esca.rendering.raster import Scene
from esca.subjects.lighting import Lighting, tone
from esca.subjects.rig import rest_transform
from esca.subjects.subject import Skin, Subject
from esca.subjects.surface import (
    Texels,
    bump,
    cross,
    slopes,
    tangents,
    texels_of,
    turned,
    unit,
    vertex_normals,
    welded,
)

Floats = NDArray[np.float32]

_BLOCK = 1 << 14
"""Texels shaded at once: few enough that their values stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class FramePlan:
    """What all frames share. ``covered``: (T, T) texels inside charts; ``weld`` as in surface."""

    topology: Topology
    texels: Texels
    covered: NDArray[np.bool_]
    weld: NDArray[np.intp]
    lighting: Lighting


def frame_plan(subject: Subject, size: int, lighting: Lighting) -> FramePlan:
    """Prepare a subject for ``size`` x ``size`` texels."""
    texels = texels_of(subject.topology, size)
    covered = np.zeros(size * size, bool)
    covered[texels.index] = True
    moved = subject.vertices(dict.fromkeys(subject.expressions, 0.31))
    weld = welded(subject.vertices({}), moved)
    return FramePlan(subject.topology, texels, covered.reshape(size, size), weld, lighting)


@dataclass(frozen=True, eq=False)
class ExposedFrame:
    """A lit frame that cameras can look at. All arrays are over the N covered texels.

    ``points``: mm, head-aligned. ``facets``: normals of the triangles, whose planes hold the points
    x with ``facets . x = offsets``. ``normals``: bump-mapped, in the axes of the studio's lights;
    ``turn``: (3, 3) head-aligned axes to those.
    """

    plan: FramePlan
    scene: Scene
    transform: FloatArray
    turn: FloatArray
    points: Floats
    facets: Floats
    offsets: Floats
    normals: Floats
    scattered: Floats
    specular: Floats
    roughness: Floats
    occlusion: Floats

    def seen_by(self, camera: Camera) -> tuple[NDArray[np.intp], Floats]:
        """Flat texel numbers that ``camera`` sees, (S,), and their raw values in [0, 1], (S, 3).

        Seen: inside the picture, on a triangle that faces the camera, nothing in between.
        """
        centre = self.transform[:, :3].T @ (camera.centre - self.transform[:, 3])
        ahead = np.einsum("ij,j->i", self.facets, centre.astype(np.float32))
        seen = np.flatnonzero(self.offsets < ahead)
        points = self.points[seen]
        projection = camera.projection(self.transform)
        x, y, depth = (turned(points, projection[:, :3]) + projection[:, 3].astype(np.float32)).T
        rows, columns = camera.size
        inside = (depth > 0) & (x >= 0) & (x < columns * depth) & (y >= 0) & (y < rows * depth)
        view = unit(centre.astype(np.float32) - points)
        shadowed = self.scene.occluded(points + np.float32(BIAS) * view, view)
        keep = inside & ~shadowed
        index, view = seen[keep], view[keep]
        raw = np.empty((len(index), 3), np.float32)
        for block in _blocks(len(index)):
            raw[block] = self._raw(index[block], view[block])
        return self.plan.texels.index[index], raw

    def _raw(self, index: NDArray[np.intp], view: Floats) -> Floats:
        mirrored = self.plan.lighting.specular(
            self.normals[index],
            turned(view, self.turn),
            self.specular[index],
            self.roughness[index],
            self.occlusion[index],
        )
        return from_display(tone(self.scattered[index] + mirrored))


def exposed_frame(
    plan: FramePlan, vertices: Floats, skin: Skin, transform: FloatArray, scene: Scene
) -> ExposedFrame:
    """Light a frame: ``vertices`` (V, 3) mm, ``transform`` (3, 4) head to world, ``scene`` of both.

    The lights stand still in the world, so a turning head moves under them.
    """
    topology, texels = plan.topology, plan.texels
    turn = rest_transform()[:, :3].T @ transform[:, :3]
    vertex = vertex_normals(vertices, topology.faces, plan.weld)
    smooth = unit(texels.interpolate(vertex, topology.faces))
    along_u, along_v = tangents(vertices, topology)
    owner = texels.triangle
    bumped = bump(
        smooth,
        along_u.astype(np.float32)[owner],
        along_v.astype(np.float32)[owner],
        texels.pick(slopes(skin.height, plan.covered)),
    )
    corners = vertices[topology.faces].astype(np.float64)
    facets = unit(cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    offsets = np.einsum("ij,ij->i", facets, corners[:, 0])
    normals = turned(bumped, turn)
    occlusion = texels.pick(skin.occlusion)
    albedo = texels.pick(skin.albedo)
    scattered = np.empty_like(albedo)
    for block in _blocks(len(albedo)):
        scattered[block] = plan.lighting.diffuse(
            turned(smooth[block], turn), normals[block], albedo[block], occlusion[block]
        )
    return ExposedFrame(
        plan=plan,
        scene=scene,
        transform=transform,
        turn=turn,
        points=texels.interpolate(vertices, topology.faces),
        facets=facets.astype(np.float32)[owner],
        offsets=offsets.astype(np.float32)[owner],
        normals=normals,
        scattered=scattered,
        specular=texels.pick(skin.specular),
        roughness=texels.pick(skin.roughness),
        occlusion=occlusion,
    )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, count, _BLOCK))
