"""From the document of ``inspect --json`` to the page. Reads the package's own files, no others."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Any
from xml.etree.ElementTree import Element

from nixenv.inspect.page import sections
from nixenv.inspect.page.markup import element, to_html


def render_page(document: Mapping[str, Any]) -> str:
    """Give the page as HTML.

    Args:
        document: What ``inspect --json`` writes, schema 3 (docs/inspect.md).
    """
    style, script = _read("page.css"), _read("page.js")
    parts = list(_sections(document))
    name = document["root"]["program"] or document["root"]["path"]
    return Template(_read("page.html")).substitute(
        policy=_policy(style, script),
        title=to_html(element("title", f"{name}: {document['verdict']} - nixenv inspect")),
        style=style,
        script=script,
        summary=to_html(sections.summary(document)),
        nav=to_html(sections.links(parts)),
        sections=to_html(*parts),
    )


def _sections(document: Mapping[str, Any]) -> Iterator[Element]:
    yield sections.findings(document["findings"])
    yield sections.sizes(document["members"])
    yield sections.objects(document["members"])
    yield sections.distributions(document["modules"])
    if document["inventory"] is not None:
        yield sections.cuda(document["inventory"])
    yield sections.variables(document["variables"], document["machine"])
    yield sections.machine(document["machine"])


def _policy(style: str, script: str) -> str:
    """Allow the page's own style and script, and nothing else: no load, no form, no frame."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return files("nixenv.inspect.page").joinpath(name).read_text("utf-8")
