"""Writing files so that nothing half-written is ever left behind."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
