"""Tables that read well without the script, and that tell it how to sort; long ones packed."""

import json
import os
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from xml.etree.ElementTree import Element

from attrs import frozen

from nixenv.inspect.page.markup import Child, code, element, listed, prose
from nixenv.inspect.views.lines import size_text
from nixenv.text import printable

LISTED = 1_000
"""So many rows are in the page as they are; the others are packed, for the script."""

_LONG = 160
_ENTRIES = 1_000

NOWHERE: Mapping[str, int] = {}

Row = tuple[str | int | None, ...]
"""What a row of data shows: texts, and in a column of sizes bytes, or None where not known."""


class Kind(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    CODE = "code"
    SIZE = "size"


@frozen
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        kind: What its cells are.
        order: How the rows come, if by this column: ``ascending`` or ``descending``.
    """

    title: str
    kind: Kind = Kind.TEXT
    order: str = "none"


def section(name: str, title: str, *children: Element, count: int | None = None) -> Element:
    """Make a section of the page that can be linked to by name."""
    counted: list[Child] = (
        [] if count is None else [" ", element("span", str(count), class_="count")]
    )
    heading = element("h2", title, *counted, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def data_section(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *above: Element,
    places: Mapping[str, int] = NOWHERE,
) -> Element:
    """Make a section with one table, below what else is to be said.

    Args:
        name: Its id.
        title: Its heading.
        columns: The columns of the table.
        rows: The rows, in the order of the columns.
        above: What is to be said above the table.
        places: Where store paths are in the table of store objects: the rows that are packed refer
            to it. Not for that table itself.
    """
    if not rows:
        return section(name, title, *above, element("p", "None.", class_="none"))
    shown, packed = rows[:LISTED], rows[LISTED:]
    made = (row(*map(_cell, columns, values)) for values in shown)
    rest = {"data_rest": _pack(packed, places)} if packed else {}
    told = f"{len(packed)} more rows are packed, for the script; `nixenv inspect --json` lists all."
    missing = [element("p", *prose(told), class_="packed")] if packed else []
    table = scrollable(name, columns, made, **rest)
    return section(name, title, *above, *missing, table, count=len(rows))


def scrollable(
    name: str, columns: Sequence[Column], rows: Iterable[Element], **attributes: str
) -> Element:
    """Make a section's table, which scrolls by itself, so that the page need not."""
    head = element("thead", element("tr", *map(_heading, columns)))
    label = f"{name}-title"
    return element(
        "div",
        element("table", head, element("tbody", *rows), aria_labelledby=label, **attributes),
        class_="table",
        role="region",
        aria_labelledby=label,
        tabindex="0",
    )


def row(head: Element, *cells: Element, **attributes: str) -> Element:
    """Make a row; its first cell names it."""
    head.tag = "th"
    head.set("scope", "row")
    return element("tr", head, *cells, **attributes)


def cell(*children: Child, **attributes: str) -> Element:
    """Make a cell."""
    return element("td", *children, **attributes)


def size_cell(size: int | None) -> Element:
    """Make a cell with a number of bytes; those that are not known come last, however sorted."""
    if size is None:
        return cell("not known", class_="number")
    return cell(size_text(size), class_="number", data_value=str(size))


def value_parts(value: str | None) -> tuple[Child, ...]:
    """Show a variable's value; a long list is folded away, its entries one a line."""
    if value is None:
        return (element("em", "unset"),)
    if len(value) <= _LONG:
        return (code(value),)
    entries = value.split(os.pathsep) if value.startswith("/") else [value]
    told = f"{len(entries)} entries" if len(entries) > 1 else "one long value"
    summary = element("summary", f"{told}, {len(value)} characters")
    return (element("details", summary, *lines_of(entries, _ENTRIES)),)


def lines_of(lines: Sequence[str], most: int) -> Iterable[Element]:
    """List lines up to a number: nobody reads on, and a page must open."""
    if lines:
        yield listed(lines[:most])
    if lines[most:]:
        told = f"and {len(lines) - most} more, which `nixenv inspect --json` lists"
        yield element("p", *prose(told))


def _cell(column: Column, value: str | int | None) -> Element:
    if not isinstance(value, str):
        return size_cell(value)
    if column.kind is Kind.CODE:
        return cell(element("code", value), class_="path")
    return cell(value)


def _heading(column: Column) -> Element:
    kind = {"class_": "number", "data_kind": "number"} if column.kind is Kind.SIZE else {}
    return element("th", column.title, scope="col", aria_sort=column.order, **kind)


def _pack(rows: Sequence[Row], places: Mapping[str, int]) -> str:
    """Pack rows for the script, as JSON that is deflated."""
    shown = [[_packed(value, places) for value in values] for values in rows]
    text = json.dumps(shown, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode())).decode()


def _packed(value: str | int | None, places: Mapping[str, int]) -> object:
    """Give a value; a path in a store object as the number of that, and the rest."""
    if not isinstance(value, str):
        return value
    end = len(value)
    while end > 0 and value[:end] not in places:
        end = value.rfind("/", 0, end)
    return [places[value[:end]], printable(value[end:])] if end > 0 else printable(value)
