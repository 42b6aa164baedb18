"""A page is a list of sections; each is made by one small module and one template."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

from esca.report.extra import needed
from esca.report.inputs import Label


@dataclass(frozen=True)
class Section:
    """A part of the page. ``anchor``: its id, unique on the page. ``html``: its inner HTML."""

    title: str
    anchor: str
    html: Markup


@cache
def _environment() -> Any:
    jinja2 = needed("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("esca.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"thousands": thousands, "size": size}
    environment.globals["figure"] = figure
    return environment


def render(template: str, **values: Any) -> Markup:
    """HTML of a template of this package; every value that is not Markup is escaped."""
    return Markup(_environment().get_template(template).render(**values))


def thousands(number: int) -> str:
    """Digits in groups of three with narrow spaces."""
    return f"{number:,}".replace(",", "\u202f")


def figure(value: float | None, digits: int) -> str:
    """A number with a true minus sign; a dash where there is none, infinity as its sign."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}".replace("-", "−")


def size(number: float) -> str:
    """Bytes for people."""
    for unit, name in ((1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.2f}\u202f{name}"
    return f"{number:.0f}\u202fB"


@dataclass(frozen=True)
class Option:
    """A choice of a chooser: ``key`` is unique within it."""

    key: int
    label: Label


def options(labels: Iterable[Label]) -> list[tuple[str, list[Option]]]:
    """Choices grouped by bits, in the order in which the bits first appear."""
    groups: dict[str, list[Option]] = {}
    for key, label in enumerate(labels):
        groups.setdefault(label.bits, []).append(Option(key, label))
    return list(groups.items())


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Layer names for plots: first and last three parts of a long path, if that stays unique."""
    full = list(dict.fromkeys(names))
    short = {}
    for name in full:
        parts = name.split(".")
        shortened = f"{parts[0]}…{'.'.join(parts[-3:])}" if len(parts) > 4 else name
        short[name] = shortened.removesuffix(".deconv")
    return short if len(set(short.values())) == len(full) else {name: name for name in full}
