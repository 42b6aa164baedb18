"""Models of what stands around a compiled design, in C++: compiled once, kept by content."""

from importlib import resources
from pathlib import Path

from esca.accelerator.rtl.tools import kept_library, run_cxx

_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared")


def native_library(package: str, name: str) -> Path:
    """The source ``name`` of a package as a shared library; EscaError where there is no compiler or
    it fails.
    """
    source = resources.files(package).joinpath(name).read_text()

    def build(folder: Path) -> Path:
        (folder / "model.cc").write_text(source)
        run_cxx([*_FLAGS, "model.cc", "-o", "model.so"], folder)
        return folder / "model.so"

    return kept_library((source, *_FLAGS), build)
