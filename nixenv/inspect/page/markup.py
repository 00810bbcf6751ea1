"""HTML elements of hostile text. The standard library's tree escapes it; no markup is text here."""

from xml.etree.ElementTree import Element, tostring

from nixenv.text import printable, split_code

Child = Element | str
"""What an element may hold."""


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


def prose(text: str) -> tuple[Child, ...]:
    """Give a sentence with what stands between backticks as code."""
    return tuple(element("code", part) if is_code else part for part, is_code in split_code(text))
