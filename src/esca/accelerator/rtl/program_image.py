"""Record streams as they lie in memory: a directory, then each queue's records."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from esca.accelerator.rtl.fetch import ENTRY_WORDS, WORD_BYTES


def program_image(streams: Sequence[Sequence[Sequence[int]]], address: int) -> NDArray[np.uint8]:
    """Bytes from ``address`` on of the records (each in words) of every queue, queues in order of
    :func:`esca.accelerator.rtl.commands.command_queues`.
    """
    directory: list[int] = []
    words: list[int] = []
    first = address + len(streams) * ENTRY_WORDS * WORD_BYTES
    for records in streams:
        directory += [first + len(words) * WORD_BYTES, len(records)]
        words += [word for record in records for word in record]
    return np.array([*directory, *words], "<u4").view(np.uint8)
