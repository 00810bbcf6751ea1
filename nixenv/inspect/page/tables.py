"""Tables that read well without the script, and that tell it how to sort."""

import os
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from attrs import frozen

from nixenv.inspect.page.markup import Child, element
from nixenv.inspect.views.text import size_text

_LONG = 160


@frozen
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        numeric: Whether its cells are `size_cell` or `number_cell`.
        order: How the rows come, if by this column: ``ascending`` or ``descending``.
    """

    title: str
    numeric: bool = False
    order: str = "none"


def section(name: str, title: str, *children: Element, count: int | None = None) -> Element:
    """Make a section of the page that can be linked to by name."""
    counted: list[Child] = (
        [] if count is None else [" ", element("span", str(count), class_="count")]
    )
    heading = element("h2", title, *counted, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def table_section(
    name: str, title: str, columns: Sequence[Column], rows: Sequence[Element], *above: Element
) -> Element:
    """Make a section with one table, below what else is to be said."""
    if not rows:
        return section(name, title, *above, element("p", "None.", class_="none"))
    table = scrollable(f"{name}-title", columns, rows)
    return section(name, title, *above, table, count=len(rows))


def scrollable(label: str, columns: Sequence[Column], rows: Iterable[Element]) -> Element:
    """Make a table that scrolls by itself, so that the page need not; ``label`` is an id."""
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", *map(_heading, columns))),
            element("tbody", *rows),
            aria_labelledby=label,
        ),
        class_="table short",
        role="region",
        aria_labelledby=label,
        tabindex="0",
    )


def row(head: Child, *cells: Element, **attributes: str) -> Element:
    """Make a row; its first cell names it."""
    return element("tr", element("th", head, scope="row"), *cells, **attributes)


def cell(*children: Child) -> Element:
    """Make a cell of text."""
    return element("td", *children)


def path_cell(path: str) -> Element:
    """Make a cell with a path."""
    return element("td", element("code", path), class_="path")


def size_cell(size: int | None) -> Element:
    """Make a cell with a number of bytes; those that are not known come last, however sorted."""
    if size is None:
        return element("td", "not known", class_="number")
    return element("td", size_text(size), class_="number", data_value=str(size))


def number_cell(number: int) -> Element:
    """Make a cell with a number."""
    return element("td", str(number), class_="number", data_value=str(number))


def value_cell(value: str | None) -> Element:
    """Make a cell with a variable's value; a long list shows its entries one a line."""
    if value is None:
        return element("td", element("em", "unset"))
    if len(value) <= _LONG:
        return path_cell(value)
    entries = value.split(os.pathsep) if value.startswith("/") else [value]
    summary = f"{len(entries)} entries" if len(entries) > 1 else "one long value"
    listed = element("ul", *(element("li", element("code", entry)) for entry in entries))
    return element(
        "td",
        element("details", element("summary", f"{summary}, {len(value)} characters"), listed),
        class_="path",
    )


def _heading(column: Column) -> Element:
    kind = {"class_": "number", "data_kind": "number"} if column.numeric else {}
    return element("th", column.title, scope="col", aria_sort=column.order, **kind)
