"""The documentation site: what docs/site.py makes of the repository's pages."""

import re

import yaml

import nixenv
from docs.site import OUTSIDE, adapt, render_reference
from tests.documents import DOCUMENTS, ROOT


def test_every_document_has_its_place_on_the_site() -> None:
    """In the navigation of mkdocs.yml, and once."""
    pages = [*_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]
    assert len(pages) == len(set(pages))
    sources = {ROOT / OUTSIDE.get(page, f"docs/{page}") for page in pages}
    assert {*DOCUMENTS} <= sources
    assert all(source.exists() for source in sources - {ROOT / "docs/reference.md"})


def _pages(entry: object) -> "list[str]":
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    assert hasattr(entries, "__iter__")
    return [page for child in entries for page in _pages(child)]


def test_links_lead_to_where_a_page_is_on_the_site() -> None:
    """Out of docs/ and into it, with their anchors; others, and those in code, stay."""
    assert adapt("[a](docs/flox.md#x) ![b](docs/b.png)", "index.md") == "[a](flox.md#x) ![b](b.png)"
    assert adapt("[a](../benchmarks/results/activation.md)", "cost.md") == "[a](measurements.md)"
    assert adapt("[a](../../docs/cost.md)", "measurements.md") == "[a](cost.md)"
    for text in ("[a](#here)", "[a](https://flox.dev/docs)", "```\n[a](docs/flox.md)\n```"):
        assert adapt(text, "index.md") == text


def test_what_belongs_to_an_item_of_a_list_stays_in_it() -> None:
    """MkDocs wants it four columns in."""
    page = "1. First:\n   more\n\n   ```\n   a\n     b\n   ```\n- Second:\n  - third\n"
    told = "1. First:\n    more\n\n    ```\n    a\n      b\n    ```\n- Second:\n    - third\n"
    assert adapt(page, "index.md") == told


def test_the_reference_has_every_public_name() -> None:
    """From the module that defines it, under the headings of docs/library.md."""
    named = re.findall(r"^::: nixenv\.[\w.]+\.(\w+)$", render_reference(), re.MULTILINE)
    assert sorted(named) == sorted({*dir(nixenv)} - {"__version__"})
