"""What makes the site of the repository's pages: a hook of MkDocs (mkdocs.yml, `make docs`).

Links in the pages are those that a repository page follows. README and its like lie outside docs/,
and so are put among the pages, and links to them are turned. The reference is made of docstrings.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nixenv

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

# Pages that do not lie in docs/, by what they are called on the site.
OUTSIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "measurements.md": "benchmarks/results/activation.md",
    "fixtures.md": "fixtures/README.md",
}

_FENCED = re.compile(r"^( *```.*?^ *```)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
# What belongs to an item of a list: on repository pages it begins where the item's text does, in
# MkDocs in column 4.
_INDENTED = re.compile(r"^ {2,3}(?=\S)", re.MULTILINE)
_TABLE = re.compile(
    r"^\| (?P<title>[^`|]+) \| \|\n\|---\|---\|\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE
)


def on_config(config: "MkDocsConfig") -> None:
    """Have headings the anchors that they have on repository pages."""
    from pymdownx.slugs import slugify  # noqa: PLC0415 -- the linters do without MkDocs

    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages from outside docs/, and the reference."""
    from mkdocs.structure.files import File  # noqa: PLC0415 -- likewise

    for uri, source in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "reference.md", content=render_reference()))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Turn the links of a page to where their targets are on the site; indent lists for MkDocs."""
    return adapt(markdown, page.file.src_uri)


def adapt(markdown: str, uri: str) -> str:
    """Adapt a page of the repository to the place that it has on the site."""
    parts = _FENCED.split(markdown)
    parts[::2] = [_INDENTED.sub("    ", _turn_links(part, uri)) for part in parts[::2]]
    parts[1::2] = map(_indent_code, parts[1::2])
    return "".join(parts)


def _turn_links(text: str, uri: str) -> str:
    directory = os.path.dirname(OUTSIDE.get(uri, f"docs/{uri}"))
    sites = {source: uri for uri, source in OUTSIDE.items()}

    def turn(link: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(directory, link[1]))
        return f"]({sites.get(target, target.removeprefix('docs/'))}"

    return _LINK.sub(turn, text)


def _indent_code(block: str) -> str:
    """Indent a block of code in a list as the list is."""
    indent = _INDENTED.match(block)
    missing = 4 - len(indent[0]) if indent else 0
    return re.sub(r"^(?=.)", " " * missing, block, flags=re.MULTILINE)


def render_reference() -> str:
    """Render the page of the public names, in the groups that docs/library.md has."""
    return "\n".join(_reference(ROOT.joinpath("docs/library.md").read_text()))


def _reference(library: str) -> Iterator[str]:
    yield "# Reference\n"
    yield "The names of `import nixenv`; [the library](library.md) shows them at work.\n"
    for table in _TABLE.finditer(library):
        yield f"## {table['title'].capitalize()}\n"
        for names in re.findall(r"^\| (`.*?`) \|", table["rows"], re.MULTILINE):
            for name in re.findall(r"`(\w+)`", names):
                yield f"::: {getattr(nixenv, name).__module__}.{name}\n"
