"""Pictures of a glTF file: PNG or JPEG, embedded or beside it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esca.errors import EscaError
from esca.subjects.gltf_data import Accessors, read_uri

Picture = NDArray[np.float32]

_LARGEST = 8192


class Images:
    """Pictures by number of their texture, decoded once."""

    def __init__(self, path: Path, document: Any, accessors: Accessors) -> None:
        self._path, self._document, self._accessors = path, document, accessors
        self._decoded: dict[int, Picture] = {}

    def read(self, texture: int) -> Picture:
        """(H, W, 4) RGBA in [0, 1], rows from top to bottom."""
        textures = self._document.textures or []
        source = textures[texture].source if 0 <= texture < len(textures) else None
        images = self._document.images or []
        if source is None or not 0 <= source < len(images):
            raise EscaError(f"{self._path}: texture {texture} has no PNG or JPEG image")
        if source not in self._decoded:
            image = images[source]
            if image.bufferView is not None:
                data = self._accessors.view(image.bufferView)
            elif image.uri:
                data = read_uri(self._path, image.uri)
            else:
                raise EscaError(f"{self._path}: image {source} has neither data nor a file")
            self._decoded[source] = self._decode(source, data)
        return self._decoded[source]

    def _decode(self, index: int, data: bytes) -> Picture:
        where = f"{self._path}: image {index}"
        try:
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
                if max(image.size) > _LARGEST:
                    raise EscaError(f"{where} is {image.size}; at most {_LARGEST} pixels a side")
                pixels = np.asarray(image.convert("RGBA"), np.float32)
        except (OSError, ValueError, SyntaxError) as error:
            raise EscaError(f"{where} is not a readable PNG or JPEG ({error})") from error
        return pixels / np.float32(255.0)
