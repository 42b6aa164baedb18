"""Codes to learn on: encoded frames, and codes sampled around them."""

from dataclasses import dataclass

import torch
from torch import Tensor

MOTION = 0.25
"""How far, at most, a code moves toward its neighbour in time from one frame to the next."""


@dataclass(frozen=True, eq=False)
class CodeBook:
    """Encoded frames in time order. ``codes``: (N, L). ``views``: (N, 3) view directions."""

    codes: Tensor
    views: Tensor

    def split(self, every: int) -> tuple["CodeBook", "CodeBook"]:
        """Codes to learn on, and every ``every``-th one held out."""
        held = torch.arange(len(self.codes)) % every == every // 2
        if held.all() or not held.any():
            return self, self
        return CodeBook(self.codes[~held], self.views[~held]), CodeBook(
            self.codes[held], self.views[held]
        )


def sample_pairs(
    book: CodeBook, pairs: int, spread: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Codes (2 P, L) and views (2 P, 3): the first P, and what they become a moment later.

    A code lies between a random frame and its neighbour in time, plus Gaussian noise of ``spread``
    times the codes' standard deviation; the later one is moved toward the neighbour. Views are
    drawn from all of the book's.
    """
    count = len(book.codes)
    at = torch.randint(count, (pairs,), generator=generator)
    towards = (at + 1) % count
    share = torch.rand(pairs, 1, generator=generator)
    step = torch.rand(pairs, 1, generator=generator) * MOTION
    noise = torch.randn(pairs, book.codes.shape[1], generator=generator)
    noise = noise * (spread * book.codes.std(0, unbiased=False))
    way = book.codes[towards] - book.codes[at]
    first = book.codes[at] + share * way + noise
    view = book.views[torch.randint(count, (pairs,), generator=generator)]
    return torch.cat([first, first + step * way]), torch.cat([view, view])
