"""What the programs say names no file that only a checkout of the project has."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nixenv
from nixenv.cli import COMMANDS
from nixenv.findings import Code
from nixenv.inspect.diagnosis.table import load_table, render_meaning
from tests.documents import ROOT

PACKAGE = Path(nixenv.__file__).parent

# The README.txt of nixpkgs' site-packages is another's.
OF_A_CHECKOUT = re.compile(
    r"\b(?:docs|tests|fixtures|k8s|scripts|benchmarks|hooks)/\w|\w\.md\b|\bREADME\b(?!\.txt)"
)


def texts(source: str) -> Iterator[str]:
    """The strings of a module, without those that stand by themselves: documentation."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_a_reference_is_seen_in_a_text_and_not_in_documentation() -> None:
    """Else what follows would prove nothing."""
    source = '"""docs/a.md"""\nX = f"see docs/b.md#{1}"\n"""docs/c.md"""\n'
    assert [text for text in texts(source) if OF_A_CHECKOUT.search(text)] == ["see docs/b.md#"]


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_text_names_a_file_of_the_checkout(module: Path) -> None:
    """Messages, remedies, and what is written into files."""
    assert not [text for text in texts(module.read_text()) if OF_A_CHECKOUT.search(text)]


@pytest.mark.parametrize("file", ["page/page.html", "page/page.js"])
def test_no_part_of_the_page_does(file: str) -> None:
    """What a browser shows."""
    assert not OF_A_CHECKOUT.search((PACKAGE / "inspect" / file).read_text())


def test_the_hook_does_not() -> None:
    """Its comments are for who reads it in the checkout."""
    code = re.sub(r"(?m)^\s*#.*$", "", (ROOT / "hooks/on-activate.bash").read_text())
    assert not OF_A_CHECKOUT.search(code)


@pytest.mark.parametrize("code", Code)
def test_no_explanation_does(code: Code) -> None:
    """As `nixenv explain` writes it: without the links of the page."""
    assert not OF_A_CHECKOUT.search(render_meaning(load_table(), code))


def run_help(main: str, *arguments: str) -> str:
    code = f"import sys; from nixenv.entry import {main}; sys.argv[0] = {main!r}; {main}()"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("nixenv",),
        *(("nixenv", command) for command in COMMANDS),
        ("sglang_resolve_model",),
        ("sglang_serve",),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_no_help_does(arguments: tuple[str, ...]) -> None:
    """What is to be known is said there."""
    assert not OF_A_CHECKOUT.search(run_help(*arguments))


def test_the_help_of_sglang_serve_has_the_variables() -> None:
    """All those that the reference has, and no other."""
    table = (
        (ROOT / "docs/sglang.md").read_text().partition("## Variables")[2].partition("\n\n**")[0]
    )
    documented = {
        name
        for line in re.findall(r"^\| (SGLANG_[^|]*) \|", table, re.MULTILINE)
        for name in line.split(", ")
    }
    assert len(documented) > 10
    assert set(re.findall(r"SGLANG_[A-Z_]+", run_help("sglang_serve"))) == documented
