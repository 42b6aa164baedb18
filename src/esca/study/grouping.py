"""Results by what they have in common."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from esca.study.study import Result

Key = TypeVar("Key", bound=Hashable)


def grouped(results: Iterable[Result], key: Callable[[Result], Key]) -> dict[Key, list[Result]]:
    """Results by a key, in order of first appearance."""
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def by_subject(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results of each subject."""
    return grouped(results, lambda result: result.run.subject.name)


def by_label(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results of each point: its label, with the bits where the results have several."""
    several = len({result.run.variant.recipe.label for result in results}) > 1

    def label(result: Result) -> str:
        variant = result.run.variant
        return f"{variant.label} {variant.recipe.label.upper()}" if several else variant.label

    return grouped(results, label)


def best_cells(
    columns: dict[int, list[float]], higher: dict[int, bool], texts: Sequence[tuple[str, ...]]
) -> frozenset[tuple[int, int]]:
    """(row, column) of the cells that print the best mean of a column; none if all print alike."""
    marked = set()
    for column, values in columns.items():
        known = [(value, row) for row, value in enumerate(values) if value == value]
        if not known:
            continue
        _, winner = (max if higher[column] else min)(known, key=lambda pair: pair[0])
        shown = [row[column] for row in texts]
        if len(set(shown)) > 1:
            marked |= {(row, column) for row, text in enumerate(shown) if text == shown[winner]}
    return frozenset(marked)
