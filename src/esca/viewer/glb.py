"""A textured mesh as a binary glTF file that is shown as it is, without any light.

A display texture holds the light of the capture already; shading it again would be wrong, so the
material is unlit (glTF extension ``KHR_materials_unlit``). Texels are those of
:mod:`esca.viewer.tone`, which the page's tone mapping turns back into display values.
"""

import io
import json
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.captures.geometry import Topology
from esca.errors import EscaError
from esca.viewer.tone import FACTOR

JPEG_QUALITY = 90

_MAGIC, _VERSION = 0x46546C67, 2
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_ARRAY, _ELEMENTS = 34962, 34963


@dataclass(frozen=True, eq=False)
class Corners:
    """A mesh whose vertices are split wherever one of them has several texture coordinates.

    ``vertices``: (C,) vertex number of each corner. ``uvs``: (C, 2) uint16, 65535 is 1.
    ``triangles``: (F, 3) rows of both, uint16 where it is enough, else uint32.
    """

    vertices: NDArray[np.int64]
    uvs: NDArray[np.uint16]
    triangles: NDArray[np.uint16] | NDArray[np.uint32]


def corners(topology: Topology) -> Corners:
    """Pairs of vertex and texture coordinate that the triangles use, each once.

    Textures are held flipped, row 0 at v = 0, which is glTF's own convention.
    """
    pairs = np.stack([topology.faces.ravel(), topology.uv_faces.ravel()], axis=1)
    unique, numbers = np.unique(pairs, axis=0, return_inverse=True)
    uvs = np.rint(np.clip(topology.uvs[unique[:, 1]], 0, 1) * 65535).astype(np.uint16)
    triangles = numbers.reshape(-1, 3)
    small = len(unique) <= 65535
    return Corners(
        unique[:, 0].astype(np.int64),
        uvs,
        triangles.astype(np.uint16) if small else triangles.astype(np.uint32),
    )


def jpeg(picture: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """A JPEG file of (H, W, 3) uint8 or (H, W, 4), the last unused; colours at full resolution."""
    made = io.BytesIO()
    size = picture.shape[1::-1]
    mode = "RGB" if picture.shape[2] == 3 else "RGBX"
    Image.frombuffer(mode, size, np.ascontiguousarray(picture), "raw", mode, 0, 1).save(
        made, "JPEG", quality=quality, subsampling=0
    )
    return made.getvalue()


def textured_glb(mesh: Corners, vertices: NDArray[np.floating], texture: bytes) -> bytes:
    """A GLB of ``vertices`` (V, 3), in the unit of the scene, under a JPEG ``texture``."""
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) <= mesh.vertices.max():
        raise EscaError(
            f"vertices: shape {vertices.shape}, expected ({mesh.vertices.max() + 1} or more, 3)"
        )
    positions = vertices.astype(np.float32)[mesh.vertices]
    parts = (positions.tobytes(), mesh.uvs.tobytes(), mesh.triangles.tobytes(), texture)
    views, offset = [], 0
    for part, target in zip(parts, (_ARRAY, _ARRAY, _ELEMENTS, None), strict=True):
        view = {"buffer": 0, "byteOffset": offset, "byteLength": len(part)}
        views.append(view | ({} if target is None else {"target": target}))
        offset += _padded(len(part))
    index = _UINT16 if mesh.triangles.dtype == np.uint16 else _UINT32
    document = {
        "asset": {"version": "2.0", "generator": "esca"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
                        "indices": 2,
                        "material": 0,
                    }
                ]
            }
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(positions),
                "type": "VEC3",
                "min": positions.min(0).tolist(),
                "max": positions.max(0).tolist(),
            },
            {
                "bufferView": 1,
                "componentType": _UINT16,
                "normalized": True,
                "count": len(mesh.uvs),
                "type": "VEC2",
            },
            {
                "bufferView": 2,
                "componentType": index,
                "count": mesh.triangles.size,
                "type": "SCALAR",
            },
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "baseColorFactor": [FACTOR, FACTOR, FACTOR, 1],
                },
                "doubleSided": True,
                "extensions": {"KHR_materials_unlit": {}},
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        # Linear between texels, edges clamped. No mipmaps: a head that fills the page is hardly
        # made smaller than its texels, and they would be computed anew for each update.
        "samplers": [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": 3, "mimeType": "image/jpeg"}],
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (_padded(len(text)) - len(text))
    binary = b"".join(part + b"\0" * (_padded(len(part)) - len(part)) for part in parts)
    size = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<III", _MAGIC, _VERSION, size),
            struct.pack("<II", len(text), _JSON),
            text,
            struct.pack("<II", len(binary), _BIN),
            binary,
        )
    )


def _padded(length: int) -> int:
    """Parts of a GLB file start at multiples of four bytes."""
    return (length + 3) // 4 * 4
