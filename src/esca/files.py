"""Writing files so that nothing half-written is ever left behind."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target``; rename it to ``target`` on success, remove it on failure.

    The yielded path does not exist yet and may become a file or a directory. An existing file at
    ``target`` is replaced; an existing directory is replaced as a whole.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    remove(beside)
    try:
        yield beside
        if target.is_dir():
            remove(target)
        beside.replace(target)
    finally:
        remove(beside)


def write_json(data: Any, path: Path) -> None:
    """Write a JSON document, beside first."""
    with written_beside(path) as beside:
        beside.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def contents_sha256(header: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """Hex digest of a header of plain data and of named arrays or tensors."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()
