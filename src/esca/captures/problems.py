"""Findings about a capture, collected one after the other without stopping at the first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

from esca.errors import EscaError

Severity = Literal["error", "warning"]
Result = TypeVar("Result")
Rest = ParamSpec("Rest")


@dataclass(frozen=True)
class Problem:
    """One finding. ``path`` is relative to the capture.

    An "error" breaks reading a sample or the whole capture; a "warning" does not.
    """

    severity: Severity
    path: str
    message: str


class Problems:
    """Collects findings about the capture in ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.found: list[Problem] = []

    def add(self, severity: Severity, path: Path, message: str) -> None:
        """Note one finding."""
        self.found.append(Problem(severity, self._name(path), message))

    def attempt(
        self,
        read: Callable[Concatenate[Path, Rest], Result],
        path: Path,
        *args: Rest.args,
        **kwargs: Rest.kwargs,
    ) -> Result | None:
        """``read(path, ...)``; None, and its ``EscaError`` noted, where it fails."""
        try:
            return read(path, *args, **kwargs)
        except EscaError as error:
            self.add("error", path, str(error).removeprefix(f"{path}: "))
            return None

    def several(
        self, severity: Severity, path: Path, what: str, names: Sequence[str], of: int | None = None
    ) -> None:
        """Note many findings of one kind in one line: how many, and the first few names."""
        if names:
            count = f"{len(names)}" if of is None else f"{len(names)} of {of}"
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            self.add(severity, path, f"{count} {what}: {shown}")

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)
