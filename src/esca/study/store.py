"""Finished runs on disk: one JSON file each, named by the hash of everything that decides it."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import esca
from esca.captures import Capture
from esca.errors import EscaError
from esca.evaluation.table import finite
from esca.files import sha256, written_beside


def run_key(facts: Mapping[str, Any]) -> str:
    """Name of a run: 24 hex digits of the hash of plain data, independent of its order."""
    text = json.dumps(dict(facts) | {"esca": esca.__version__}, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not plain data")


def capture_digest(capture: Capture, regions: Path | None = None) -> str:
    """Hash of what a capture holds: frame list, cameras, means, variances and region masks.

    Means and variances stand for the textures and meshes they were taken over, of which there may
    be millions.
    """
    layout = capture.layout
    digest = hashlib.sha256()
    files = [layout.frame_list, layout.krt, layout.texture_mean, layout.texture_variance]
    files += [layout.vertex_mean, layout.vertex_variance]
    files += sorted((regions or layout.regions).glob("*.png"))
    for path in files:
        if path.is_file():
            digest.update(f"{path.name} {sha256(path)}\n".encode())
    return digest.hexdigest()


def code_digest() -> str:
    """Hash of esca's own source: rows of another one may differ."""
    digest = hashlib.sha256()
    _add_sources(resources.files("esca"), "", digest)
    return digest.hexdigest()[:12]


def _add_sources(folder: Traversable, prefix: str, digest: Any) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{prefix}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            _add_sources(entry, name, digest)
        elif entry.name.endswith((".py", ".yaml")):
            digest.update(name.encode() + b"\0" + entry.read_bytes())


class Store:
    """A folder of finished runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """File of a run."""
        return self.folder / f"{key}.json"

    def has(self, key: str) -> bool:
        """Whether a run is finished."""
        return self.path(key).is_file()

    def save(self, key: str, data: Mapping[str, Any]) -> None:
        """Keep a finished run; either all of it is there afterwards or nothing."""
        with written_beside(self.path(key)) as beside:
            text = json.dumps(finite(data), indent=1, sort_keys=True)
            beside.write_text(text + "\n", encoding="utf-8")

    def load(self, key: str) -> dict[str, Any]:
        """A finished run."""
        path = self.path(key)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EscaError(f"{path}: no finished run; delete it to run it again") from error
        if not isinstance(data, dict):
            raise EscaError(f"{path}: expected a JSON object; delete it to run it again")
        return data


def number(value: float | None) -> float:
    """A number of a stored row; infinity where JSON held none, as for PSNR without any error."""
    return math.inf if value is None else value
