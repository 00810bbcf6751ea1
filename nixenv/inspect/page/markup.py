"""HTML elements of hostile text. The standard library's tree escapes it; no markup is text here."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

from nixenv.text import printable, split_code

Child = Element | str
"""What an element may hold."""

# Up to the hash: what store paths have in common, and what nobody reads.
_STORE_PREFIX = re.compile(r"((?:/[^/\s:]{1,64}){1,8}/[0-9a-df-np-sv-z]{32}-)")


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Make an element.

    Characters that could turn the text around or are no text at all are shown as escapes.

    Args:
        tag: Its name.
        children: Its elements and texts, in order.
        attributes: ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``.
    """
    made = Element(
        tag,
        {name.strip("_").replace("_", "-"): printable(text) for name, text in attributes.items()},
    )
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + printable(child)
        else:
            made.text = (made.text or "") + printable(child)
    return made


def to_html(*elements: Element) -> str:
    """Write elements as HTML."""
    return "\n".join(tostring(made, encoding="unicode", method="html") for made in elements)


def code(text: str) -> Element:
    """Make code of a path, a value or a line; the hash of a store path is set apart."""
    parts = enumerate(_STORE_PREFIX.split(text))
    return element(
        "code",
        *(element("span", part, class_="store") if number % 2 else part for number, part in parts),
    )


def listed(lines: Iterable[str]) -> Element:
    """List lines of code."""
    return element("ul", *(element("li", code(line)) for line in lines))


def prose(text: str) -> tuple[Child, ...]:
    """Give a sentence with what stands between backticks as code."""
    return tuple(element("code", part) if is_code else part for part, is_code in split_code(text))


def advice(text: str) -> tuple[Child, ...]:
    """Give a sentence that says what to do, with what is to be pasted marked for the script.

    That is the code at its end, which stands by itself then; else every code that is a line, and
    neither a word nor an option.
    """
    children = prose(text)
    *_, last = children
    if isinstance(last, Element):
        last.set("class", "paste last")
        return children
    for child in children:
        line = child.text or "" if isinstance(child, Element) else ""
        if isinstance(child, Element) and " " in line and not line.startswith("-"):
            child.set("class", "paste")
    return children
