"""Headers of records: semaphores as counts of the jobs of other queues."""

from collections.abc import Sequence

from esca.accelerator.events import Job
from esca.accelerator.rtl.commands import CommandQueue, Kind, Source
from esca.accelerator.rtl.records import COUNT_BITS
from esca.errors import EscaError

Header = dict[str, object]
"""Values of :func:`esca.accelerator.rtl.records.header`."""


def job_headers(
    jobs: Sequence[Job],
    queues: Sequence[CommandQueue],
    numbers: Sequence[int] | None = None,
) -> list[Header]:
    """The header of every job. Of one source the latest job stands for all, a result stands for its
    job's end, and a queue's own order for the ends of its jobs. ``numbers``: of the instructions,
    not falling, 0, 1, 2 .. by default.

    EscaError for a job of no queue, of no cycles, or that waits for what its queue does not see.
    """
    known = {queue.name: queue for queue in queues}
    counts = dict.fromkeys(known, 0)
    places: list[tuple[str, int]] = []
    made = []
    for number, job in zip(numbers or range(len(jobs)), jobs, strict=True):
        where = f"instruction {number}"
        if job.queue not in known:
            raise EscaError(f"{where}: queue is {job.queue!r}, expected one of {', '.join(known)}")
        if job.cycles < 1:
            raise EscaError(f"{where}: takes {job.cycles} cycles, expected 1 or more")
        counts[job.queue] += 1
        if counts[job.queue] >= 1 << COUNT_BITS:
            raise EscaError(f"{where}: queue {job.queue!r} has more than {counts[job.queue] - 1}")
        places.append((job.queue, counts[job.queue]))
        latest = _latest(job, places)
        sources = known[job.queue].sources
        for source in latest:
            if source not in sources:
                raise EscaError(
                    f"{where}: queue {job.queue!r} waits for {source.kind} of {source.queue!r}, "
                    "which it does not see"
                )
        waits = [
            {"valid": int(source in latest), "count": latest.get(source, 0)} for source in sources
        ]
        made.append({"number": number, "background": int(job.background), "waits": waits})
    return made


def _latest(job: Job, places: Sequence[tuple[str, int]]) -> dict[Source, int]:
    """Count of each source that a job waits for."""
    found: dict[Source, int] = {}
    kinds: tuple[tuple[Kind, list[int]], ...] = (("result", job.after), ("end", job.reuses))
    for kind, others in kinds:
        for other in others:
            queue, count = places[other]
            if kind == "end" and (
                queue == job.queue or found.get(Source("result", queue), 0) >= count
            ):
                continue
            source = Source(kind, queue)
            found[source] = max(found.get(source, 0), count)
    return found
