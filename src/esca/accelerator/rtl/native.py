"""Models of what stands around a compiled design, in C++: compiled once, kept by content."""

import hashlib
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from esca.accelerator.rtl.tools import cache_folder, cxx
from esca.errors import EscaError

_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-x", "c++", "-")


def native_library(package: str, name: str) -> Path:
    """The source ``name`` of a package as a shared library; EscaError where there is no compiler or
    it fails.
    """
    source = resources.files(package).joinpath(name).read_bytes()
    cache = cache_folder()
    made = cache / f"{Path(name).stem}-{hashlib.sha256(source).hexdigest()}.so"
    if made.is_file():
        return made
    compiler = cxx()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        beside = Path(folder) / "model.so"
        command = [compiler, "-o", str(beside), *_FLAGS]
        done = subprocess.run(command, input=source, capture_output=True)
        if done.returncode:
            raise EscaError(f"rtl: {compiler}: {done.stderr.decode().splitlines()[0]}")
        beside.replace(made)
    return made
