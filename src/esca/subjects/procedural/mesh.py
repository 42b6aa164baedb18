"""Parts of the head and how they become one mesh."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from esca.captures.geometry import FloatArray, Topology

Index = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Part:
    """One connected piece, in canonical neutral shape.

    ``positions``: (V, 3) mm. ``faces``: (F, 3) vertex numbers. ``uvs``: (T, 2) atlas coordinates.
    ``uv_faces``: (F, 3) rows of ``uvs``. ``traits``: (V,) values per vertex, by name; a part that
    lacks a trait has zeros.
    """

    name: str
    positions: FloatArray
    faces: Index
    uvs: FloatArray
    uv_faces: Index
    traits: Mapping[str, FloatArray] = field(default_factory=dict)


def grid_faces(rows: int, columns: int, wrap: bool = False) -> Index:
    """Triangles of a row-major vertex grid; ``wrap`` joins the last column to the first."""
    quads = (rows - 1, columns - (not wrap))
    i, j = (index.ravel() for index in np.indices(quads))
    right = (j + 1) % columns
    a, b, c, d = (
        i * columns + j,
        i * columns + right,
        (i + 1) * columns + right,
        (i + 1) * columns + j,
    )
    return np.vstack([np.column_stack([a, b, c]), np.column_stack([a, c, d])])


def face_normals(positions: FloatArray, faces: Index) -> FloatArray:
    """Area-weighted (F, 3) normals."""
    a, b, c = (positions[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(positions: FloatArray, faces: Index) -> FloatArray:
    """Unit (V, 3) normals, averaged by area."""
    normals = face_normals(positions, faces)
    total = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normals)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def outward(part: Part, centre: FloatArray) -> Part:
    """The part with its winding turned, if need be, so that most normals leave ``centre``."""
    normals = face_normals(part.positions, part.faces)
    away = part.positions[part.faces].mean(1) - centre
    if (normals * away).sum() >= 0:
        return part
    return Part(
        part.name,
        part.positions,
        part.faces[:, ::-1],
        part.uvs,
        part.uv_faces[:, ::-1],
        part.traits,
    )


@dataclass(frozen=True, eq=False)
class Assembly:
    """All parts as one mesh; ``slices`` and ``face_slices`` say where each part lies."""

    positions: FloatArray
    topology: Topology
    traits: Mapping[str, FloatArray]
    slices: Mapping[str, slice]
    face_slices: Mapping[str, slice]


def assemble(parts: Sequence[Part]) -> Assembly:
    """Join the parts, in order."""
    names = sorted({name for part in parts for name in part.traits})
    traits = {
        name: np.concatenate([p.traits.get(name, np.zeros(len(p.positions))) for p in parts])
        for name in names
    }
    slices, face_slices, faces, uv_faces = {}, {}, [], []
    vertex = face = uv = 0
    for part in parts:
        slices[part.name] = slice(vertex, vertex + len(part.positions))
        face_slices[part.name] = slice(face, face + len(part.faces))
        faces.append(part.faces + vertex)
        uv_faces.append(part.uv_faces + uv)
        vertex, face, uv = vertex + len(part.positions), face + len(part.faces), uv + len(part.uvs)
    topology = Topology(
        np.vstack(faces).astype(np.int32),
        np.vstack([p.uvs for p in parts]).astype(np.float32),
        np.vstack(uv_faces).astype(np.int32),
    )
    positions = np.vstack([p.positions for p in parts])
    return Assembly(positions, topology, traits, slices, face_slices)
