"""What the scheduler keeps in mind: halves of double buffers, and who brought which rows."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Turns:
    """The two halves of a buffer, taken in turn."""

    taken: int = 0
    freed: deque[int] = field(default_factory=lambda: deque(maxlen=2))

    @property
    def half(self) -> int:
        """The half that is taken next."""
        return self.taken % 2

    def waits(self) -> list[int]:
        """The job after which that half is free."""
        return [self.freed[0]] if len(self.freed) == 2 else []

    def take(self, until: int) -> None:
        """The half is in use until a job has ended."""
        self.taken += 1
        self.freed.append(until)


@dataclass
class BroughtRows:
    """Jobs that bring a tensor's rows: ``ends`` rows, available from ``jobs``."""

    ends: list[int] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)

    def covering(self, rows: int) -> int:
        """The job after which the first ``rows`` rows are there."""
        return self.jobs[bisect_left(self.ends, rows)]
