"""A page as blocks, written twice: Markdown with figures as files, and one HTML file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from markupsafe import Markup, escape

import esca
from esca.files import written_beside
from esca.report.section import Section, render


@dataclass(frozen=True)
class Table:
    """``rows`` of as many cells as ``head``; the first ``names`` columns are text.

    ``best``: (row, column) of the cells to mark. ``caption``: what it shows.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    best: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Figure:
    """``name``: of its file, unique on the page. ``svg``: as :mod:`esca.report.theme` draws it."""

    name: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class Part:
    """A titled part of the page; text blocks are paragraphs."""

    title: str
    anchor: str
    blocks: tuple[str | Table | Figure, ...]


def write_page(title: str, lead: str, parts: Sequence[Part], folder: Path, date: str) -> Path:
    """Write ``study.html``, ``study.md`` and ``figures/*.svg``; returns the HTML file."""
    page = folder / "study.html"
    sections = [Section(part.title, part.anchor, html_of(part)) for part in parts]
    html = render(
        "page.html",
        title=title,
        lead=Markup("<p>{}</p>").format(lead),
        sections=sections,
        version=esca.__version__,
        date=date,
    )
    for part in parts:
        for block in part.blocks:
            if isinstance(block, Figure):
                _write(folder / "figures" / f"{block.name}.svg", standalone(block.svg))
    _write(folder / "study.md", markdown_of(title, lead, parts))
    _write(page, html)
    return page


def _write(path: Path, text: str) -> None:
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def html_of(part: Part) -> Markup:
    """Inner HTML of a part."""
    return Markup("\n").join(_html(block) for block in part.blocks)


def _html(block: str | Table | Figure) -> Markup:
    if isinstance(block, str):
        return Markup("<p>{}</p>").format(block)
    if isinstance(block, Figure):
        caption = Markup('<p class="note">{}</p>').format(block.caption)
        return Markup('<figure class="scroll">{}</figure>{}').format(block.svg, caption)
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_class(column, block, False), title)
        for column, title in enumerate(block.head)
    )
    body = Markup("\n").join(_html_row(block, number) for number in range(len(block.rows)))
    return Markup(
        '<h3>{}</h3><div class="scroll"><table class="numbers"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(block.caption, head, body)


def _html_row(table: Table, number: int) -> Markup:
    cells = []
    for column, text in enumerate(table.rows[number]):
        attributes = _class(column, table, (number, column) in table.best)
        cell = '<th scope="row"{}>{}</th>' if column == 0 else "<td{}>{}</td>"
        cells.append(Markup(cell).format(attributes, text))
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _class(column: int, table: Table, best: bool) -> Markup:
    names = (["name"] if column < table.names else []) + (["best"] if best else [])
    return Markup(' class="{}"').format(" ".join(names)) if names else Markup("")


def markdown_of(title: str, lead: str, parts: Sequence[Part]) -> str:
    """The page as GitHub Markdown; figures are links to their files, best cells are bold."""
    lines = [f"# {title}", "", lead, ""]
    for part in parts:
        lines += [f"## {part.title}", ""]
        for block in part.blocks:
            lines += [_markdown(block), ""]
    return "\n".join(lines)


def _markdown(block: str | Table | Figure) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Figure):
        return f"![{block.caption}](figures/{block.name}.svg)\n\n{block.caption}"
    rule = [":--" if column < block.names else "--:" for column in range(len(block.head))]
    lines = [f"**{block.caption}**", "", _line(block.head), _line(rule)]
    for number, row in enumerate(block.rows):
        cells = [
            f"**{text}**" if (number, column) in block.best else text
            for column, text in enumerate(row)
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def standalone(svg: Markup) -> str:
    """A drawing of :mod:`esca.report.theme` as a file of its own, in the page's two schemes."""
    namespaces = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    )
    style = f"<style>{_palette()} svg {{ background: var(--surface) }}</style>"
    opened = re.sub(r"\A<svg ", lambda _: namespaces, str(svg))
    return re.sub(r">", lambda _: f">{style}", opened, count=1) + "\n"


@cache
def _palette() -> str:
    """The custom properties of the page's style sheet, for both schemes."""
    css = (resources.files("esca.report") / "templates" / "page.css").read_text(encoding="utf-8")
    pattern = r":root \{.*?\n\}|@media \(prefers-color-scheme: dark\) \{.*?\n\}"
    return str(escape("\n".join(re.findall(pattern, css, flags=re.DOTALL)[:2]))).replace(
        "&#34;", '"'
    )
