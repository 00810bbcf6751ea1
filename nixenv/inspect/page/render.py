"""From the report to the page. Reads the package's own files, no others."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from string import Template
from xml.etree.ElementTree import Element

from nixenv.inspect.page import sections
from nixenv.inspect.page.markup import element, to_html
from nixenv.inspect.report import Report


def render_page(report: Report) -> str:
    """Give the page as HTML.

    Args:
        report: What is to be shown.
    """
    style, script = _read("page.css"), _read("page.js")
    parts = list(_sections(report))
    name = report.root.program or report.root.path
    return Template(_read("page.html")).substitute(
        policy=_policy(style, script),
        title=to_html(element("title", f"{name}: {report.verdict} - nixenv inspect")),
        style=style,
        script=script,
        summary=to_html(sections.summary(report)),
        nav=to_html(sections.links(parts)),
        sections=to_html(*parts),
    )


def _sections(report: Report) -> Iterator[Element]:
    yield sections.findings(report.findings)
    members = sections.largest_first(report.members)
    yield sections.sizes(members)
    yield sections.objects(members)
    yield sections.distributions(report.modules, members)
    if report.inventory is not None:
        yield sections.cuda(report.inventory)
    yield sections.variables(report.variables, report.machine, report.overridden)
    yield sections.machine(report.machine)


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
