"""Record streams as they lie in memory: a directory, then each queue's records."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.rtl.fetch import BEAT_BYTES, BEAT_WORDS, ENTRY_WORDS, beats


def program_image(streams: Sequence[Sequence[Sequence[int]]], address: int) -> NDArray[np.uint8]:
    """Bytes from ``address`` on of the records (each in words) of every queue, queues in order of
    :func:`esca.accelerator.rtl.commands.command_queues`. ``address``: a multiple of a beat.
    """
    directory: list[int] = []
    words: list[int] = []
    first = address + beats(ENTRY_WORDS * len(streams)) * BEAT_BYTES
    for records in streams:
        directory += [first + len(words) // BEAT_WORDS * BEAT_BYTES, len(records)]
        for record in records:
            words += _filled(record)
    return np.array([*_filled(directory), *words], "<u4").view(np.uint8)


def _filled(words: Sequence[int]) -> list[int]:
    """Words up to the end of their last beat."""
    return [*words, *[0] * (beats(len(words)) * BEAT_WORDS - len(words))]
