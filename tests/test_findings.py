"""The findings: every code is documented, and every documented one exists."""

import re
from pathlib import Path

import nixenv
from nixenv.cli.inspect import FINDINGS_PAGE
from nixenv.findings import Severity
from tests.conftest import Nixenv

SOURCES = "".join(
    file.read_text()
    for directory in ("inspect/diagnosis", "evidence", "linked", "road", "inspect", ".")
    for file in Path(nixenv.__file__).parent.joinpath(directory).glob("*.py")
)
AREAS = "store|nix|python|cuda|torch|gpu|environment|value|cache|port|cpu|farm"
PAGE = Path(FINDINGS_PAGE).read_text()
DOCUMENTED = dict(re.findall(r"^### (\S+)\n\n\*\*([a-z, ]+)\.\*\*", PAGE, re.MULTILINE))


def test_every_code_is_documented() -> None:
    """And no code that nobody reports."""
    codes = set(re.findall(rf'"((?:{AREAS})(?:-[a-z0-9]+)+)"', SOURCES))
    names_of_other_things = {"python-cuda", "nix-daemon", "nix-store", "nix-support"}
    assert codes - names_of_other_things == set(DOCUMENTED)


def test_each_has_its_severity() -> None:
    """One, or one or the other."""
    assert len(re.findall(r"^### ", PAGE, re.MULTILINE)) == len(DOCUMENTED)
    for told in DOCUMENTED.values():
        assert set(re.split(", | or ", told)) <= set(Severity)


def test_the_page_is_named_where_people_look(nixenv: Nixenv) -> None:
    """In the help, and under the verdict."""
    assert FINDINGS_PAGE in nixenv("inspect", "--help").stdout
    assert FINDINGS_PAGE in nixenv("inspect").stdout.partition("\n\n")[0]
