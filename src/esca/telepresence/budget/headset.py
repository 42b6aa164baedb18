"""One headset of a call as processes of a discrete-event simulation; times in ms."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import simpy

from esca.telepresence.budget.plan import Plan, StageName, Work
from esca.telepresence.budget.trace import Fate, Trace

Process = Generator[simpy.Event, Any, Any]
_SLACK = 1e-9
"""Of a period: rounding of floats must not cost a whole one."""


@dataclass(frozen=True)
class Code:
    """A code under way: its camera frame's number, and the middle of that frame's exposure."""

    number: int
    captured: float


@dataclass
class Box:
    """Holds what waits for a stage: one code, the newest."""

    code: Code | None = None

    def take(self) -> Code | None:
        """What is in the box, which is empty then."""
        code, self.code = self.code, None
        return code


class Headset:
    """Encodes its wearer, and decodes and shows ``plan.avatars`` others.

    The other end stands for all others: its codes come as many streams, each later by a constant
    of its own, of which its movements are later too. What waits for a stage is replaced by what is
    newer, so no queue grows. Devices take what is nearer to the display first (networks last), else
    what came first, and interrupt nothing.
    """

    def __init__(
        self, env: simpy.Environment, plan: Plan, trace: Trace, rng: np.random.Generator
    ) -> None:
        self.env, self.plan, self.trace, self.rng = env, plan, trace, rng
        self.other = self
        names = {work.device for work in (plan.encoder, plan.decoder, plan.warp, plan.rasterizer)}
        names |= {plan.compositor.device, plan.tracker.device}
        self.devices = {name: simpy.PriorityResource(env) for name in sorted(names)}
        self.frame = Box()
        self.newest = [-1] * plan.avatars
        self.received, self.decoded, self.ready = (
            [Box() for _ in range(plan.avatars)] for _ in range(3)
        )
        self.gaze: float | None = None
        self.later = rng.uniform(0, 1e3 / plan.capture_hertz, plan.avatars)

    def start(self, other: "Headset") -> None:
        """Begin a call with another headset."""
        self.other = other
        self.env.process(self.capture())
        self.env.process(self.show())
        if self.plan.gaze == "parallel":
            self.env.process(self.track())

    def serve(
        self, stage: StageName, work: Work, take: Callable[[], Any] = lambda: None
    ) -> Process:
        """Wait for the device and work; returns what ``take`` gave when it began."""
        urgent = stage not in ("encoder", "decoder")
        with self.devices[work.device].request(0 if urgent else 1) as turn:
            yield turn
            began, taken = self.env.now, take()
            yield self.env.timeout(work.ms)
            self.trace.worked(stage, work, began, self.env.now)
        return taken

    def hand(self, box: Box, code: Code, replaced: Fate, stage: StageName, work: Work) -> Process:
        """Work on the newest code of a box; None where this one takes the place of another."""
        waits, box.code = box.code is not None, code
        if waits:
            self.trace.fates[replaced] += 1
            return None
        taken: Code = yield from self.serve(stage, work, box.take)
        return taken

    def capture(self) -> Process:
        """Camera frames until the window ends."""
        period = 1e3 / self.plan.capture_hertz
        yield self.env.timeout(self.rng.uniform(0, period))
        number = 0
        while self.env.now < self.trace.end:
            self.trace.fates["captured"] += 1
            self.env.process(self.encode(Code(number, self.env.now)))
            number += 1
            yield self.env.timeout(period)

    def encode(self, code: Code) -> Process:
        """One camera frame, until its code is sent."""
        yield self.env.timeout(self.plan.camera_ms)
        taken = yield from self.hand(self.frame, code, "skipped", "encoder", self.plan.encoder)
        if taken is None:
            return
        for avatar, later in enumerate(self.later):
            self.trace.fates["sent"] += 1
            code = Code(taken.number, taken.captured + later)
            self.env.process(self.other.receive(avatar, code, later))

    def receive(self, avatar: int, code: Code, later: float) -> Process:
        """One code from the network to a texture on the GPU."""
        fates = self.trace.fates
        if self.rng.random() < self.plan.loss:
            fates["lost"] += 1
            return
        waited = max(self.rng.exponential(self.plan.jitter_ms), self.plan.playout_ms)
        yield self.env.timeout(later + self.plan.network_ms + waited)
        if code.number < self.newest[avatar]:
            fates["stale"] += 1
            return
        self.newest[avatar] = code.number
        box, work = self.received[avatar], self.plan.decoding(avatar)
        code = yield from self.hand(box, code, "superseded", "decoder", work)
        if code is None:
            return
        box, work = self.decoded[avatar], self.plan.warp
        code = yield from self.hand(box, code, "superseded", "warp", work)
        if code is None:
            return
        fates["unseen"] += self.ready[avatar].code is not None
        self.ready[avatar].code = code

    def track(self) -> Process:
        """Gaze all the time; a tracker that is too slow leaves ticks out."""
        period = 1e3 / self.plan.gaze_hertz
        phase = self.rng.uniform(0, period)
        while True:
            yield self._tick(phase, period)
            sampled = self.env.now
            yield from self.serve("gaze", self.plan.tracker)
            self.gaze = sampled

    def show(self) -> Process:
        """Frames: each begins at a vertical synchronization and is shown at the next it reaches."""
        plan, trace = self.plan, self.trace
        period = 1e3 / plan.refresh_hertz
        phase = self.rng.uniform(0, period)
        yield self._tick(phase, period)
        while True:
            pose = self.env.now
            if plan.gaze == "series":
                yield from self.serve("gaze", plan.tracker)
                self.gaze = pose
            looked = self.gaze
            shown: list[Code] = yield from self.serve("rasterizer", plan.rastering, self._textures)
            late = self.env.now
            yield from self.serve("compositor", plan.compositor)
            yield self._tick(phase, period, after=pose)
            photons = self.env.now + plan.display_ms
            trace.fates["shown"] += len(shown)
            if trace.inside(self.env.now):
                trace.rendered += 1
                trace.shown += len(shown)
                trace.face += [photons - code.captured for code in shown]
                trace.head.append(photons - pose)
                trace.late.append(photons - late)
                trace.gaze += [] if looked is None else [photons - looked]

    def _textures(self) -> list[Code]:
        taken = [box.take() for box in self.ready]
        return [code for code in taken if code is not None]

    def _tick(self, phase: float, period: float, after: float | None = None) -> simpy.Event:
        """The next moment ``phase + k period`` that is not past, and not ``after`` itself."""
        least = 0 if after is None else round((after - phase) / period) + 1
        count = max(least, ceil((self.env.now - phase) / period - _SLACK))
        return self.env.timeout(max(0.0, phase + count * period - self.env.now))
