"""The binary side of glTF: loading the document and its buffers, reading accessors."""

import base64
import binascii
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from esca.errors import EscaError

_COMPONENTS: dict[int, np.dtype] = {
    5120: np.dtype("i1"),
    5121: np.dtype("u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def load_document(path: Path) -> tuple[Any, list[bytes]]:
    """The parsed document (``pygltflib.GLTF2``) and the bytes of its buffers."""
    try:
        import pygltflib
    except ImportError as error:
        raise EscaError(f"{path}: reading glTF needs pygltflib: pip install esca[gltf]") from error
    path = Path(path)
    if not path.is_file():
        raise EscaError(f"{path}: no such file; expected a .glb or .gltf head")
    try:
        if path.read_bytes()[:4] == b"glTF":
            document = pygltflib.GLTF2.load_binary(str(path))
        else:
            document = pygltflib.GLTF2.load_json(str(path))
    # pygltflib lets through whatever its JSON and struct decoding meet in a damaged file.
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        IndexError,
        json.JSONDecodeError,
        _struct_error(),
    ) as error:
        raise EscaError(f"{path}: not a readable glTF 2.0 file ({error})") from error
    if (
        document is None
        or document.asset is None
        or not str(document.asset.version).startswith("2")
    ):
        raise EscaError(f"{path}: not a glTF 2.0 file")
    blob = document.binary_blob()
    buffers = []
    for index, buffer in enumerate(document.buffers or []):
        data = blob if buffer.uri is None else read_uri(path, buffer.uri)
        if data is None or len(data) < buffer.byteLength:
            raise EscaError(f"{path}: buffer {index} is shorter than its {buffer.byteLength} bytes")
        buffers.append(data)
    return document, buffers


def _struct_error() -> type[Exception]:
    import struct

    return struct.error


def read_uri(path: Path, uri: str) -> bytes:
    """Bytes behind a URI of the file ``path``: embedded base64, or a file in the same folder."""
    if uri.startswith("data:"):
        head, _, payload = uri.partition(",")
        if not head.endswith(";base64"):
            raise EscaError(f"{path}: an embedded buffer is not base64")
        try:
            return base64.b64decode(payload, validate=True)
        except binascii.Error as error:
            raise EscaError(f"{path}: an embedded buffer is not base64 ({error})") from error
    if ":" in uri:
        raise EscaError(f"{path}: refers to {uri!r}; expected embedded data or a file beside it")
    folder = path.parent.resolve()
    target = (folder / unquote(uri)).resolve()
    if not target.is_relative_to(folder):
        raise EscaError(f"{path}: refers to {uri!r}, outside its own folder")
    if not target.is_file():
        raise EscaError(f"{path}: refers to {uri!r}, which is missing")
    return target.read_bytes()


class Accessors:
    """Typed arrays of a document."""

    def __init__(self, path: Path, document: Any, buffers: list[bytes]) -> None:
        self._path, self._document, self._buffers = path, document, buffers

    def read(self, index: int, kind: str) -> NDArray[np.float64]:
        """Accessor ``index`` as float64 (count, width); normalized integers are scaled."""
        accessors = self._document.accessors or []
        if not 0 <= index < len(accessors):
            raise self._error(index, "is not in the file")
        accessor = accessors[index]
        if accessor.type != kind or accessor.componentType not in _COMPONENTS:
            raise self._error(index, f"is {accessor.type} of {accessor.componentType}, not {kind}")
        dtype, width = _COMPONENTS[accessor.componentType], _WIDTHS[kind]
        if accessor.bufferView is None:
            values = np.zeros((accessor.count, width), dtype)
        else:
            values = self._strided(
                index, accessor.bufferView, accessor.byteOffset or 0, accessor.count, dtype, width
            )
        if accessor.sparse is not None:
            values = self._with_sparse(index, accessor.sparse, values)
        result = values.astype(np.float64)
        if accessor.normalized and dtype.kind != "f":
            result = np.maximum(result / np.iinfo(dtype).max, -1.0)
        if not np.isfinite(result).all():
            raise self._error(index, "holds values that are not finite")
        return result

    def view(self, index: int) -> bytes:
        """Bytes of a buffer view."""
        views = self._document.bufferViews or []
        if not 0 <= index < len(views) or not 0 <= views[index].buffer < len(self._buffers):
            raise EscaError(f"{self._path}: names buffer view {index}, which is not in the file")
        view = views[index]
        start = view.byteOffset or 0
        data = self._buffers[view.buffer][start : start + view.byteLength]
        if len(data) < view.byteLength:
            raise EscaError(f"{self._path}: buffer view {index} reaches beyond its buffer")
        return data

    def _strided(
        self, index: int, view: int, offset: int, count: int, dtype: np.dtype, width: int
    ) -> NDArray:
        data = self.view(view)
        stride = self._document.bufferViews[view].byteStride or dtype.itemsize * width
        if count and offset + stride * (count - 1) + dtype.itemsize * width > len(data):
            raise self._error(index, "reaches beyond its buffer view")
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize)).copy()

    def _with_sparse(self, index: int, sparse: Any, values: NDArray) -> NDArray:
        where, what = sparse.indices, sparse.values
        kind = _COMPONENTS.get(where.componentType)
        if kind is None or kind.kind != "u":
            raise self._error(index, f"has sparse indices of type {where.componentType}")
        rows = self._strided(
            index, where.bufferView, where.byteOffset or 0, sparse.count, kind, 1
        ).ravel()
        if len(rows) and rows.max() >= len(values):
            raise self._error(index, f"has the sparse index {rows.max()} beyond {len(values)}")
        values[rows] = self._strided(
            index,
            what.bufferView,
            what.byteOffset or 0,
            sparse.count,
            values.dtype,
            values.shape[1],
        )
        return values

    def _error(self, index: int, problem: str) -> EscaError:
        return EscaError(f"{self._path}: accessor {index} {problem}")
