"""Event-driven simulation of engines that work side by side.

Jobs stand in queues, each served in order. Several queues may share one server (loads and stores
share DRAM): of their ready heads the job that comes first in the program is served, so that what is
needed next is not kept waiting by what is fetched ahead. A job starts when all it waits for has
happened and its server is free.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from esca.errors import EscaError


@dataclass(slots=True)
class Job:
    """One piece of work.

    ``after``: jobs whose results it needs, which come ``latency`` cycles behind their work;
    ``reuses``: jobs that must have ended, whose buffer it takes over. ``cycles``: time on the
    server. ``background``: served only where no other job of the server is ready.
    """

    queue: str
    cycles: int
    latency: int = 0
    after: list[int] = field(default_factory=list)
    reuses: list[int] = field(default_factory=list)
    background: bool = False


Later = Callable[[int, int, Sequence[int]], int]
"""(job, cycle ``now`` in which its result is due, starts so far): the cycle in which it is there,
or, where that is not decided yet, one behind ``now`` in which to ask again.
"""


def simulate(
    jobs: Sequence[Job], servers: dict[str, str], later: Later | None = None, control: int = 0
) -> list[int]:
    """Start cycle of every job. ``servers``: queue -> server, for queues that share one. ``later``:
    what holds results up that jobs do not know of. ``control``: cycles from an end or a result to
    the first start of what waited for it.

    Raises :class:`EscaError` if jobs wait for each other in a circle.
    """
    waiting = [len(job.after) + len(job.reuses) for job in jobs]
    on_result: list[list[int]] = [[] for _ in jobs]
    on_end: list[list[int]] = [[] for _ in jobs]
    queues: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        queues.setdefault(job.queue, []).append(index)
        for other in job.after:
            on_result[other].append(index)
        for other in job.reuses:
            on_end[other].append(index)
    owner = {queue: servers.get(queue, queue) for queue in queues}
    mine: dict[str, list[str]] = {}
    for queue, server in owner.items():
        mine.setdefault(server, []).append(queue)
    head = dict.fromkeys(queues, 0)
    start = [-1] * len(jobs)
    busy = dict.fromkeys(mine, False)
    events: list[tuple[int, int, int]] = []  # (cycle, job, 0 end | 1 result)

    def serve(server: str, now: int) -> None:
        ready = [
            queues[queue][head[queue]]
            for queue in mine[server]
            if head[queue] < len(queues[queue]) and not waiting[queues[queue][head[queue]]]
        ]
        if not ready:
            return
        index = min(ready, key=lambda index: (jobs[index].background, index))
        head[jobs[index].queue] += 1
        start[index], busy[server] = now, True
        end = now + jobs[index].cycles + control
        heapq.heappush(events, (end, index, 0))
        heapq.heappush(events, (end + jobs[index].latency, index, 1))

    for server in mine:
        serve(server, 0)
    while events:
        now = events[0][0]
        touched: dict[str, None] = {}
        while events and events[0][0] == now:
            _, index, kind = heapq.heappop(events)
            if kind == 1 and later is not None:
                there = later(index, now - control, start)
                if there > now - control:
                    heapq.heappush(events, (there + control, index, 1))
                    continue
            if kind == 0:
                server = owner[jobs[index].queue]
                busy[server] = False
                touched[server] = None
            for other in on_result[index] if kind else on_end[index]:
                waiting[other] -= 1
                if not waiting[other]:
                    touched[owner[jobs[other].queue]] = None
        for server in touched:
            if not busy[server]:
                serve(server, now)
    if -1 in start:
        raise EscaError(f"schedule: job {start.index(-1)} waits for itself")
    return start
