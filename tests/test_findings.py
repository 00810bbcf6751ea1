"""The findings: each is in the table, is reported, and is documented."""

import re
from pathlib import Path

import nixenv
from docs.findings import PAGE
from nixenv.cli.inspect import FINDINGS_PAGE
from nixenv.findings import Code, Severity
from nixenv.inspect.diagnosis.table import load_table, render_page
from tests.conftest import Nixenv


def test_the_table_has_every_finding() -> None:
    """In an area that is there, with a text; and no other."""
    table = load_table()
    assert set(table.findings) == set(Code)
    assert {meaning.area for meaning in table.findings.values()} == set(table.areas)
    assert all(meaning.text for meaning in table.findings.values())


def test_every_finding_is_reported_somewhere() -> None:
    """There is no code that nobody reports."""
    sources = "".join(path.read_text() for path in Path(nixenv.__file__).parent.rglob("*.py"))
    assert set(re.findall(r"\bCode\.([A-Z0-9_]+)", sources)) == set(Code.__members__)


def test_the_page_is_made_of_the_table() -> None:
    """`make findings` writes it."""
    assert PAGE.read_text() == render_page(load_table())


def test_severities_stand_worst_first() -> None:
    """A finding that is told no severity has the worst of its own."""
    order = list(Severity)
    for code in Code:
        assert list(code.severities) == sorted(set(code.severities), key=order.index)
    assert Code.NIX_MISSING.found("it").severity is Severity.ERROR


def test_the_page_is_named_where_people_look(nixenv: Nixenv) -> None:
    """In the help, and under the verdict."""
    assert FINDINGS_PAGE in nixenv("inspect", "--help").stdout
    assert FINDINGS_PAGE in nixenv("inspect").stdout.partition("\n\n")[0]
