"""Sweeps over a number: tables in the published form, a row a view, and curves."""

from collections.abc import Sequence

from esca.study.document import Figure, Part, Table
from esca.study.grouping import best_cells, by_subject, grouped
from esca.study.plots import Curve, curves
from esca.study.published import PUBLISHED_JOD, PUBLISHED_K
from esca.study.study import Result
from esca.study.summary import MEAN, Spread, fp32_vdp, loss, spread, spread_of, vdp, views_of


def curve_part(title: str, sweep: str, axis: str, results: Sequence[Result]) -> Part:
    """A table and a plot for each subject; for k also the published curve beside."""
    blocks: list[str | Table | Figure] = []
    for subject, members in by_subject(results).items():
        name = f"{sweep}-{subject}"
        points = _points(members)
        best = max(points, key=lambda value: spread_of(points[value], MEAN, vdp).mean)
        worst = min(points, key=lambda value: spread_of(points[value], MEAN, vdp).mean)
        gap = _mean(points[best]) - _mean(points[worst])
        blocks.append(
            f"{subject}: on the mean of the views the best is {best:g} "
            f"({_mean(points[best]):.3f} JOD) and the worst {worst:g}, {gap:.3f} JOD below."
        )
        blocks.append(_table(f"FovVideoVDP, subject {subject}", members))
        lines = [_curve(view, view, points) for view in [*views_of(members), MEAN]]
        caption = f"JOD against fp32 in the same view, subject {subject}."
        blocks.append(Figure(name, curves(name, lines, axis, "JOD to fp32", caption), caption))
    if sweep == "k":
        blocks += _published(axis, results)
    return Part(title, sweep, tuple(blocks))


def _points(results: Sequence[Result]) -> dict[float, list[Result]]:
    found = grouped(results, lambda result: float(result.run.variant.value or 0))
    return dict(sorted(found.items()))


def _mean(results: Sequence[Result]) -> float:
    return spread_of(results, MEAN, vdp).mean


def _curve(label: str, view: str, points: dict[float, list[Result]]) -> Curve:
    values = [spread_of(members, view, loss) for members in points.values()]
    return Curve(label, list(points), values)


def _table(caption: str, results: Sequence[Result]) -> Table:
    points = _points(results)
    head = ("view", "fp32", *(f"{value:g}" for value in points))
    rows, best = [], set()
    for number, view in enumerate([*views_of(results), MEAN]):
        figures = [spread_of(members, view, vdp) for members in points.values()]
        texts = [figure.text(3) for figure in figures]
        fp32 = spread_of(results, view, fp32_vdp).mean
        rows.append((view, f"{fp32:.3f}", *texts))
        # One row is one comparison here, so it is marked like a column elsewhere.
        upright = [(text,) for text in texts]
        marked = best_cells({0: [f.mean for f in figures]}, {0: True}, upright)
        best |= {(number, place + 2) for place, _ in marked}
    return Table(caption, head, tuple(rows), 1, frozenset(best))


def _published(axis: str, results: Sequence[Result]) -> list[str | Table | Figure]:
    """Every curve against its own best, since subjects and pictures differ."""
    lines = []
    for subject, members in by_subject(results).items():
        points = _points(members)
        means = [_mean(one) for one in points.values()]
        lines.append(Curve(f"{subject}, mean", list(points), _below_best(means)))
    mean = [sum(values) / len(values) for values in zip(*PUBLISHED_JOD.values(), strict=True)]
    lines.append(Curve("published, mean", PUBLISHED_K, _below_best(mean), dashed=True))
    caption = "Mean of the views against the best k of the same curve."
    rows = tuple((view, *(f"{v:.3f}" for v in values)) for view, values in PUBLISHED_JOD.items())
    best = frozenset(
        (row, values.index(max(values)) + 1) for row, values in enumerate(PUBLISHED_JOD.values())
    )
    return [
        "Published, on other subjects and pictures and with activation scales of their own for "
        "each row and channel, which no integer machine can run: best at 75 or 80. Only the shape "
        "can be compared.",
        Figure("k-shape", curves("k-shape", lines, axis, "JOD to the best k", caption), caption),
        Table("Published", ("view", *map(str, PUBLISHED_K)), rows, 1, best),
    ]


def _below_best(means: Sequence[float]) -> list[Spread]:
    return [spread([value - max(means)]) for value in means]
