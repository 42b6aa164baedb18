"""Seeded bugs of the hardware: each must make the tests of its component fail.

    python benchmarks/seeded_bugs.py [--bug NAME ...]

Puts one wrong line at a time into a copy of the sources, runs the tests of its component,
and prints what they said. Ends with 1 if a bug is not caught, or if the unchanged sources fail.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RTL = Path("src/esca/accelerator/rtl")
TESTS = Path("tests/accelerator/rtl")


@dataclass(frozen=True)
class Bug:
    """``right`` becomes ``wrong`` in ``module``; ``tests`` of that component are to notice."""

    name: str
    module: str
    right: str
    wrong: str
    tests: str


BUGS = (
    Bug(
        "the upper digit of a wide product is shifted too little",
        "pe",
        "Cat(0, 0, 0, 0, value)",
        "Cat(0, 0, 0, value)",
        "pe",
    ),
    Bug("the input mux is stuck", "pe", "self.offer[select] if p.mux > 1 else ", "", "pe"),
    Bug(
        "a row does not stop taking weights",
        "array",
        "row[c].fill & ~last",
        "row[c].fill",
        "array",
    ),
    Bug(
        "a first sum is added and not written",
        "accumulators",
        "Mux(added.first, 0, held)",
        "held",
        "accumulators",
    ),
    Bug(
        "a sum is written back a cycle early",
        "accumulators",
        "target.addr.eq(written.address)",
        "target.addr.eq(added.address)",
        "accumulators",
    ),
    Bug(
        "halves are rounded down",
        "requantize",
        "(x + 1) >> 1 for x in products",
        "x >> 1 for x in products",
        "requantize",
    ),
    Bug(
        "outputs wrap and do not saturate",
        "requantize",
        "Mux(high | over, top, low)",
        "low",
        "requantize",
    ),
    Bug(
        "a loaded word does not wait for the epilogue",
        "bank_writes",
        "valid & ~met",
        "valid",
        "load_rows",
    ),
    Bug(
        "the border of a map is one column too far",
        "window_axis",
        "(v < self.size)",
        "(v <= self.size)",
        "front",
    ),
    Bug(
        "colours of banks are not skewed",
        "hash_axis",
        "^ (self.hash.skew & high[bits])",
        "",
        "front",
    ),
    Bug(
        "a ring of rows wraps one row late",
        "place_outputs",
        "record.step_y - record.layout.ring_rows",
        "record.step_y - record.layout.ring_rows - 1",
        "drain",
    ),
    Bug(
        "bytes of a word are exchanged",
        "assemble",
        "Mux(later.odd, 2, 1)",
        "Mux(later.odd, 1, 2)",
        "drain",
    ),
    Bug(
        "a burst crosses 4 KiB",
        "bursts",
        "inside = row[: most.bit_length() - 1]",
        "inside = Const(0, most.bit_length() - 1)",
        "dma",
    ),
    Bug(
        "words of a store overtake their request",
        "dma",
        "any_asked & sender[index]",
        "sender[index]",
        "dma",
    ),
    Bug(
        "of two transfers the later is served",
        "dma_order",
        "lesser = places[other] < places[mine]",
        "lesser = places[other] > places[mine]",
        "control",
    ),
    Bug(
        "a job that ends and one that gives its result are taken for each other",
        "semaphores",
        "((self.ending, self.ended), (self.resulting, self.resulted))",
        "((self.resulting, self.ended), (self.ending, self.resulted))",
        "control",
    ),
    Bug(
        "a sum that is still on its way to its bank is not added to",
        "overlap_add",
        "known = Mux(one, total, known)",
        "known = Mux(one, held, known)",
        "overlap_add",
    ),
    Bug(
        "taps are turned to the banks of another line",
        "patch_places",
        "line + later.turn_y",
        "line - later.turn_y",
        "overlap_add",
    ),
    Bug(
        "what was carried is not added",
        "overlap_rows",
        "Mux(adds, more, 0)",
        "Mux(adds, 0, 0)",
        "overlap_add",
    ),
    Bug(
        "layers that take turns carry their lines over each other",
        "../hardware/carried_lines",
        "max(beside, default=0)",
        "0 * len(beside)",
        "overlap_programs",
    ),
)


def main() -> int:
    """One table; how many were missed decides the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bug", action="append", help="part of a name; all by default")
    chosen = parser.parse_args().bug or [""]
    bugs = [bug for bug in BUGS if any(part in bug.name for part in chosen)]
    print("| bug | in | found by | first failure | s |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("src", "tests", "pyproject.toml"):
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / part)
        sound = [_tell(copy, f"(none, tests of {name})", "", name) for name in _tests(bugs)]
        missed = [bug for bug in bugs if _seeded(copy, bug)]
    return 1 if missed or any(sound) else 0


def _tests(bugs: list[Bug]) -> list[str]:
    return list(dict.fromkeys(bug.tests for bug in bugs))


def _seeded(copy: Path, bug: Bug) -> bool:
    """Whether the bug is missed."""
    path = copy / RTL / f"{bug.module}.py"
    right = path.read_text()
    if right.count(bug.right) != 1:
        raise SystemExit(f"{path.name}: {bug.right!r} is there {right.count(bug.right)} times")
    path.write_text(right.replace(bug.right, bug.wrong))
    try:
        return not _tell(copy, bug.name, bug.module, bug.tests)
    finally:
        path.write_text(right)


def _tell(copy: Path, name: str, module: str, tests: str) -> bool:
    """Whether the tests fail; a row that says so."""
    began, file = time.monotonic(), TESTS / f"test_{tests}.py"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(file)]
    paths = os.pathsep.join([str(copy / "src"), str(copy)])
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{file}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
    lines = done.stdout.splitlines()
    failure = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), "none")
    failed = failure.rpartition("::")[2].split(" - ")[0].split("[")[0]
    print(
        f"| {name} | {module} | {tests} | {failed} | {time.monotonic() - began:.0f} |", flush=True
    )
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
