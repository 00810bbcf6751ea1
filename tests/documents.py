"""The documents, and the code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / "fixtures/README.md", *sorted((ROOT / "docs").glob("*.md"))),
)

_FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def blocks(document: str, language: str) -> list[str]:
    """Give a document's code in a language, ``""`` for that which is marked with none."""
    found = _FENCED.finditer((ROOT / document).read_text())
    return [match["code"] for match in found if match["language"] == language]


def commands(document: Path) -> Iterator[str]:
    """Give the lines of code and the spans in the text of a document."""
    text = document.read_text()
    for match in _FENCED.finditer(text):
        yield from match["code"].replace("\\\n", " ").splitlines()
    for span in _SPAN.findall(_FENCED.sub("", text)):
        yield " ".join(span.split())


def anchors(document: Path) -> set[str]:
    """Give the anchors of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCED.sub("", document.read_text()))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def links(document: Path) -> list[tuple[str, str]]:
    """Give what a document links to: a file or an address, and an anchor in it."""
    return _LINK.findall(_FENCED.sub("", document.read_text()))
