"""The one table of findings: what each means, and what it has to do with others.

It is the data of ``findings.toml``, for `inspect`, `explain` and docs/findings.md, which is made of
it.
"""

import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files

from attrs import frozen

from nixenv.errors import UsageError
from nixenv.findings import Code
from nixenv.inspect.components import Group
from nixenv.inspect.lookup import Kind, suggest
from nixenv.plain import make_converter
from nixenv.text import printable


class NoSuchFinding(UsageError):
    """A code that no finding has."""

    name: str
    close: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        reason = f"there is no finding {printable(repr(self.name))}"
        if self.close:
            return reason, f"did you mean {' or '.join(self.close)}?"
        return reason, "`nixenv explain` lists them all"


class Harm(StrEnum):
    """What a finding keeps a program from, worst first: of one severity, the next step is that."""

    START = "start"
    WORK = "work"
    COMPILE = "compile"
    LITTLE = "little"


@frozen
class Area:
    """A part of docs/findings.md.

    Attributes:
        title: Its heading.
        harm: What its findings keep a program from, where they do not say it for themselves.
        text: What holds for all of its findings, in Markdown; may be empty.
    """

    title: str
    harm: Harm
    text: str = ""


@frozen
class Meaning:
    """What a finding means.

    Attributes:
        title: What it is, in a few words.
        area: The name of its area.
        text: What is wrong, how that was found out and what cures it, in Markdown.
        harm: What it keeps a program from; None for what its area says.
        follows_loss_of: It may be a mere consequence where a store object of these groups is lost.
        bears_on: It matters to whoever asks about a thing of these kinds, though it names none.
    """

    title: str
    area: str
    text: str
    harm: Harm | None = None
    follows_loss_of: frozenset[Group] = frozenset()
    bears_on: frozenset[Kind] = frozenset()


@frozen
class Table:
    """All of it.

    Attributes:
        text: What holds for all findings, in Markdown.
        areas: The areas by name, in the order of docs/findings.md.
        findings: The meanings, likewise.
    """

    text: str
    areas: Mapping[str, Area]
    findings: Mapping[Code, Meaning]

    def harm_of(self, code: Code) -> Harm:
        """Say what a finding keeps a program from."""
        meaning = self.findings[code]
        return meaning.harm or self.areas[meaning.area].harm


@cache
def load_table() -> Table:
    """Read the table."""
    text = files("nixenv.inspect.diagnosis").joinpath("findings.toml").read_text("utf-8")
    table: Table = make_converter().structure(tomllib.loads(text), Table)
    return table


def render_page(table: Table) -> str:
    """Write docs/findings.md. Pure."""
    return "\n\n".join(_page_parts(table)) + "\n"


def render_list(table: Table) -> str:
    """List the findings by area, each with its title. Pure."""
    blocks = (
        "\n".join((area.title, *(f"  {code}: {meaning.title}" for code, meaning in known)))
        for name, area in table.areas.items()
        for known in [[(c, m) for c, m in table.findings.items() if m.area == name]]
    )
    return "\n\n".join(blocks) + "\n"


def render_meaning(table: Table, code: Code) -> str:
    """Write what one finding means, for a terminal. Pure."""
    meaning = table.findings[code]
    head = f"{code}: {meaning.title}\n{' or '.join(code.severities)}, {_area_of(table, meaning)}"
    return f"{head}\n\n{_fold(_without_links(meaning.text))}\n"


def find_code(name: str) -> Code:
    """Find the code of that name.

    Raises:
        NoSuchFinding: there is none.
    """
    try:
        return Code(name)
    except ValueError:
        raise NoSuchFinding(name, suggest(name, Code)) from None


def _area_of(table: Table, meaning: Meaning) -> str:
    return table.areas[meaning.area].title


def _without_links(text: str) -> str:
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)


def _page_parts(table: Table) -> Iterator[str]:
    yield f"# Findings\n\n{table.text}"
    for name, area in table.areas.items():
        yield f"## {area.title}"
        yield from filter(None, [area.text])
        for code, meaning in table.findings.items():
            if meaning.area == name:
                yield f"### {code}"
                severities = " or ".join(code.severities)
                yield _fold(f"**{meaning.title}** ({severities}). {meaning.text}")


def _fold(text: str) -> str:
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(p, 100, break_on_hyphens=False) for p in paragraphs)
