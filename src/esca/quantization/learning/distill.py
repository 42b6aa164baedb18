"""Self-distillation: the quantized decoder learns to say what the float decoder says.

The teacher's own outputs on calibration codes and codes around them are the only goal; no recorded
texture is touched. Weights, biases, steps and zero points learn through straight-through rounding.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from esca.errors import EscaError
from esca.files import written_beside
from esca.graph.execute import run
from esca.graph.graph import Graph
from esca.graph.ops import TexelBias
from esca.quantization.learning.codes import CodeBook, sample_pairs
from esca.quantization.learning.grids import channels_last, innermost
from esca.quantization.learning.student import Student
from esca.quantization.quantize import QuantizedGraph
from esca.quantization.recipe import Distillation
from esca.quantization.statistics import resized

Progress = Callable[[int, int], None]


@dataclass(eq=False)
class Course:
    """How a distillation went: losses on the held-out codes by step, and the step that was kept."""

    losses: dict[int, float] = field(default_factory=dict)
    best: int = 0


def distill(
    quantized: QuantizedGraph,
    teacher: Graph,
    wanted: Graph,
    book: CodeBook,
    texel_weight: Tensor | None,
    config: Distillation,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[QuantizedGraph, Course]:
    """Train a quantized graph toward ``teacher``, never returning one that does worse.

    ``wanted``: the float graph that the integers stand for (the teacher, smoothed alike).
    ``texel_weight``: (T, T) or (3, T, T) weight of the texture's texels; None weighs all alike.
    ``checkpoint``: a file that lets an interrupted run go on to the same result; it is removed at
    the end.
    """
    student = Student(quantized, wanted)
    lesson = _Lesson(teacher, student, book, texel_weight, config)
    if checkpoint is not None and checkpoint.is_file():
        lesson.restore(checkpoint)
    else:
        lesson.examine()
    while lesson.step < config.steps:
        lesson.learn()
        if lesson.step % config.examine_every == 0 or lesson.step == config.steps:
            lesson.examine()
            if checkpoint is not None:
                lesson.save(checkpoint)
        if progress:
            progress(lesson.step, config.steps)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    student.load_state_dict(lesson.best_state)
    return student.frozen(), lesson.course


class _Lesson:
    """Everything that changes while learning."""

    def __init__(
        self,
        teacher: Graph,
        student: Student,
        book: CodeBook,
        texel_weight: Tensor | None,
        config: Distillation,
    ) -> None:
        self.teacher = _laid_out(teacher.leading_to(tuple(student.graph.outputs)))
        self.student, self.config = student, config
        self.book, self.held_out = book.split(config.hold_out)
        _, *size = student.graph.by_name[student.graph.outputs["texture"]].shape
        side = (size[0], size[1])
        weight = torch.ones(side) if texel_weight is None else texel_weight
        weight = torch.stack([resized(one, side) for one in weight.reshape(-1, *weight.shape[-2:])])
        self.weight = innermost(weight / weight.mean())
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizer = torch.optim.Adam(student.rates(config.rate), betas=(0.9, 0.99), fused=True)
        self.factors = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.course = Course()
        self.best_state = _copied(student.state_dict())
        self.origin = _fingerprint(self.best_state, config)

    def learn(self) -> None:
        """One step."""
        share = self.step / self.config.steps
        pace = 0.5 * (1 + math.cos(math.pi * share)) * min(1.0, (self.step + 1) / 20)
        for group, rate in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = rate * pace
        codes, views = sample_pairs(
            self.book, self.config.batch // 2, self.config.spread, self.generator
        )
        feeds = {"z": codes, "view": views}
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self._said(feeds), self.student(feeds))
        if not bool(torch.isfinite(loss)):
            raise EscaError(f"distill: the loss is not finite at step {self.step}; lower the rate")
        loss.backward()
        self.optimizer.step()
        self.step += 1

    @torch.no_grad()
    def _said(self, feeds: dict[str, Tensor]) -> dict[str, Tensor]:
        """The teacher's outputs."""
        return run(self.teacher, feeds, channels_last)

    def _loss(self, goal: dict[str, Tensor], got: dict[str, Tensor]) -> Tensor:
        # Channels last, so that gradients come with their channels innermost.
        error = (got["texture"] - goal["texture"]).movedim(1, -1)
        weight = self.weight.movedim(0, -1)
        still = (error.square() * weight).mean()
        first, later = error.chunk(2)
        moving = ((later - first).square() * weight).mean()
        return still + self.config.temporal * moving

    @torch.no_grad()
    def examine(self) -> None:
        """Loss on the held-out codes; keeps the parameters where it is the least so far."""
        total = 0.0
        for start in range(0, len(self.held_out.codes), 4):
            part = slice(start, start + 4)
            feeds = {"z": self.held_out.codes[part], "view": self.held_out.views[part]}
            goal = self._said(feeds)["texture"]
            got = self.student(feeds)["texture"]
            total += float(((got - goal).square() * self.weight).mean((1, 2, 3)).sum())
        loss = total / len(self.held_out.codes)
        if loss < min(self.course.losses.values(), default=math.inf):
            self.course.best, self.best_state = self.step, _copied(self.student.state_dict())
        self.course.losses[self.step] = loss

    def save(self, path: Path) -> None:
        """Write everything that a later run needs to go on."""
        state = {
            "origin": self.origin,
            "student": self.student.state_dict(),
            "best": self.best_state,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "losses": self.course.losses,
            "best_step": self.course.best,
        }
        with written_beside(path) as beside:
            torch.save(state, beside)

    def restore(self, path: Path) -> None:
        """Go on from :meth:`save`."""
        try:
            state = torch.load(path, weights_only=True)
            if state["origin"] != self.origin:
                raise ValueError("another start or another configuration")
            self.student.load_state_dict(state["student"])
            self.best_state = state["best"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
            self.step = state["step"]
            self.course = Course(state["losses"], state["best_step"])
        except (RuntimeError, KeyError, ValueError, EOFError, IndexError, UnpicklingError) as error:
            raise EscaError(
                f"{path}: no checkpoint of this distillation; remove it to start anew"
            ) from error


def _laid_out(graph: Graph) -> Graph:
    """The same graph, its texel biases with their channels innermost."""
    return graph.with_ops(
        {
            node.name: TexelBias(innermost(node.op.bias))
            for node in graph.nodes
            if isinstance(node.op, TexelBias)
        }
    )


def _fingerprint(start: dict[str, Tensor], config: Distillation) -> str:
    """Hash of all that decides how a run goes, but the teacher and the codes."""
    digest = hashlib.sha256(repr(config).encode())
    for name, value in sorted(start.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
