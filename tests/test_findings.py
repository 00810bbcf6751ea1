"""The findings: each is in the table, is reported, and is documented."""

import re
from pathlib import Path

import pytest

import nixenv
from docs.findings import PAGE
from nixenv.findings import Code, Severity
from nixenv.inspect.diagnosis.table import load_table, render_meaning, render_page
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


def test_the_explanation_is_named_where_people_look(nixenv: Nixenv) -> None:
    """In the help, and under the verdict."""
    assert "nixenv explain CODE" in nixenv("inspect", "--help").stdout
    assert "nixenv explain CODE" in nixenv("inspect").stdout.partition("\n\n")[0]


def test_each_finding_is_explained(nixenv: Nixenv) -> None:
    """From the table, for a terminal: without Markdown's links, and the list has them all."""
    listed = nixenv("explain").stdout
    for code in Code:
        assert f"\n  {code}: " in listed
        text = render_meaning(load_table(), code)
        assert text.startswith(f"{code}: {load_table().findings[code].title}\n{code.severities[0]}")
        assert "](" not in text
        assert max(map(len, text.splitlines())) <= 100
    done = nixenv("explain", "cache-dead-lock")
    assert (done.returncode, done.stdout) == (
        0,
        render_meaning(load_table(), Code.CACHE_DEAD_LOCK),
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("gpu-hiden", "did you mean gpu-hidden"), ("\x1b[2J", "`nixenv explain` lists them all")],
)
def test_a_code_that_no_finding_has(nixenv: Nixenv, name: str, words: str) -> None:
    """What is spelled nearly like it is named; nothing of it acts on a terminal."""
    done = nixenv("explain", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "\x1b" not in done.stderr


def test_inspect_leads_to_the_explanation_of_what_is_not_there(nixenv: Nixenv) -> None:
    """A code is no unknown name."""
    done = nixenv("inspect", "farm-conflicts")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`nixenv explain farm-conflicts`" in done.stderr
