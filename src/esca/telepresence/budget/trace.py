"""What a simulation leaves: counts, latencies and busy time inside its window."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from esca.telepresence.budget.plan import StageName, Work

Fate = Literal["captured", "skipped", "sent", "lost", "stale", "superseded", "unseen", "shown"]


@dataclass
class Trace:
    """Records of all headsets of all calls; times in ms.

    ``begin`` and ``end``: window of each call in which rates, latencies and busy time count.
    ``fates`` counts over whole calls, so that frames are conserved: camera frames are ``captured``,
    then ``skipped`` (a newer one came while the encoder was busy) or ``sent`` once to each of the
    others; a packet is ``lost``, ``stale`` (a newer one came first), ``superseded`` (replaced
    before it was decoded or warped), ``unseen`` (replaced before it was rendered) or ``shown``.
    ``face``: from a movement of the face to its photons, once for each code shown. ``head``: from
    the pose that a frame was rendered for to its photons; ``late``: from the pose of the
    compositor. ``gaze``: age of the gaze at the photons.
    """

    begin: float
    end: float
    fates: Counter[Fate] = field(default_factory=Counter)
    rendered: int = 0
    shown: int = 0
    face: list[float] = field(default_factory=list)
    head: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    gaze: list[float] = field(default_factory=list)
    busy: dict[tuple[str, StageName], float] = field(default_factory=dict)
    millijoules: dict[StageName, float] = field(default_factory=dict)

    def inside(self, now: float) -> bool:
        """Whether a moment is in the window."""
        return self.begin <= now < self.end

    def worked(self, stage: StageName, work: Work, start: float, end: float) -> None:
        """Record finished work."""
        place, overlap = (work.device, stage), min(end, self.end) - max(start, self.begin)
        if overlap > 0:
            self.busy[place] = self.busy.get(place, 0) + overlap
        if self.inside(end) and work.millijoules is not None:
            self.millijoules[stage] = self.millijoules.get(stage, 0) + work.millijoules
