"""One subject, opened once: its clips are shared by all rows."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from esca.avatars import Avatar, load_avatar
from esca.captures import Capture, open_capture
from esca.evaluation import Clips, Protocol, evaluate, prepare_clips
from esca.evaluation.evaluate import Ideal, ideal_of
from esca.evaluation.videos import Method
from esca.files import sha256
from esca.study.config import Subject
from esca.study.store import capture_digest


@dataclass(frozen=True)
class Scored:
    """Rows of an evaluation as plain data: of the fp32 avatar and of one method."""

    fp32: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    protocol: str


class Bench:
    """A subject's capture, avatar and clips, each read when it is first needed."""

    def __init__(self, subject: Subject, protocol: Protocol) -> None:
        self.subject, self.protocol = subject, protocol

    @cached_property
    def capture(self) -> Capture:
        """The opened capture."""
        return open_capture(self.subject.capture)

    @cached_property
    def avatar(self) -> Avatar:
        """The fp32 avatar."""
        return load_avatar(self.subject.avatar)

    @cached_property
    def clips(self) -> Clips:
        """The held-out clips with their rendered references."""
        folder = self.subject.regions
        regions = None if folder is None else self.capture.regions(folder)
        return prepare_clips(self.capture, self.avatar, self.protocol, regions=regions)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Hashes of the capture and of the checkpoint."""
        return {
            "capture": capture_digest(self.capture, self.subject.regions),
            "avatar": sha256(self.subject.avatar),
        }

    @cached_property
    def ideal(self) -> Ideal:
        """The fp32 avatar on the clips."""
        return ideal_of(self.clips)

    def score(self, method: Method) -> Scored:
        """Run a method over the clips and score it, fp32 beside it."""
        fp32 = self.ideal.rows
        rows = [asdict(row) for row in evaluate([method], self.clips, ideal=self.ideal)]
        return Scored(rows[: len(fp32)], rows[len(fp32) :], self.clips.protocol.describe())
