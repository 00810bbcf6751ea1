"""The names of `import nixenv`: that they are there, typed, documented and cheap."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import assert_type

import pytest

import nixenv
from fixtures.closure import SglangClosure
from nixenv.inspect.examination import Examination
from nixenv.road.classify import Inventory
from nixenv.road.plan import Operation
from nixenv.road.probe import Probe
from nixenv.road.profile import Profile
from nixenv.road.query import Closure
from nixenv.road.root import Root
from tests.documents import ROOT, blocks


def test_each_public_name_is_documented_with_a_reason() -> None:
    """In the tables of docs/library.md, and no other is there."""
    rows = re.findall(
        r"^\| (`.*`) \| (.+) \|$", (ROOT / "docs/library.md").read_text(), re.MULTILINE
    )
    told = {name for names, reason in rows if reason for name in re.findall(r"`(\w+)`", names)}
    assert told == {*dir(nixenv)} - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = nixenv.nonsense


def test_the_stations_have_their_types(environ: dict[str, str]) -> None:
    """As a program that goes from one to the next sees them; mypy holds what is pinned here."""
    store_dir = assert_type(nixenv.find_store_dir(environ), str)
    root = assert_type(nixenv.find_program_root("sglang", environ["PATH"], store_dir), Root)
    patience = nixenv.Patience(limit=600)
    closure = assert_type(nixenv.query_closure(root.path, store_dir, environ, patience), Closure)
    probe = assert_type(nixenv.probe_closure(closure, root.program), Probe)
    assert_type(nixenv.require_complete(probe), None)
    inventory = assert_type(nixenv.classify(closure, probe), Inventory)
    profile = assert_type(nixenv.load_profile("python-cuda"), Profile)
    environment = assert_type(
        nixenv.plan_environment(inventory, profile, "/cache"), nixenv.Environment
    )
    assert_type(environment[0], Operation)
    assert_type(nixenv.resolve(environment, environ), dict[str, str | None])
    assert_type(nixenv.render(environment, "bash", environ), str)


def test_the_whole_way_has_its_types(environ: dict[str, str]) -> None:
    """In one call, with the same result."""
    selection = nixenv.Selection(binary="sglang")
    prepared = assert_type(nixenv.prepare(selection, environ), nixenv.Prepared)
    assert_type(prepared.environment, nixenv.Environment)
    assert_type(prepared.findings, tuple[nixenv.Finding, ...])
    text, again = assert_type(
        nixenv.export(selection, "json", environ), tuple[str, nixenv.Prepared]
    )
    assert again.environment == prepared.environment
    assert text == nixenv.render(prepared.environment, "json", environ)
    examined = assert_type(nixenv.examine(selection, environ), Examination)
    assert_type(examined.report.findings, tuple[nixenv.Finding, ...])
    with pytest.raises(nixenv.NixenvError) as caught:
        nixenv.prepare(nixenv.Selection(binary="nosuch"), environ)
    assert_type(caught.value.reason, str)
    assert_type(caught.value.remedy, str)


def describe(operation: Operation) -> str:
    """Match on every kind; mypy says when one is missing."""
    match operation:
        case nixenv.Set(name, value) | nixenv.Default(name, value):
            return f"{name}={value}"
        case nixenv.Prepend(name, entries):
            return f"{name}={os.pathsep.join(entries)}:"
        case nixenv.Append(name, entries):
            return f"{name}=:{os.pathsep.join(entries)}"
        case nixenv.Remove(name, entries):
            return f"{name} without {os.pathsep.join(entries)}"
        case nixenv.Unset(name):
            return name
        case nixenv.MakeDirectory(path):
            return path


def test_operations_are_there_to_match_on() -> None:
    """Each by its fields."""
    environment = nixenv.Environment(
        (
            nixenv.Set("A", "1"),
            nixenv.Default("B", "2"),
            nixenv.Prepend("C", ("/a", "/b")),
            nixenv.Append("C", ("/d",)),
            nixenv.Remove("C", ("/c",)),
            nixenv.Unset("D"),
            nixenv.MakeDirectory("/e"),
        )
    )
    assert [*map(describe, environment)] == [
        "A=1",
        "B=2",
        "C=/a:/b:",
        "C=:/d",
        "C without /c",
        "D",
        "/e",
    ]


def run_python(code: str, environ: Mapping[str, str]) -> str:
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_the_example_of_the_library_runs(environ: dict[str, str], sglang: SglangClosure) -> None:
    """As it is printed in docs/library.md."""
    (code,) = blocks("docs/library.md", "python")
    interpreter, path, cuda_home = run_python(code, environ).splitlines()
    assert path.split()[0] == os.path.dirname(interpreter)
    assert cuda_home.startswith(sglang.store.store_dir)


def test_importing_nixenv_imports_nothing_else(environ: dict[str, str]) -> None:
    """Names resolve when they are used."""
    loaded = run_python("import nixenv, sys; print(*sys.modules)", environ).split()
    assert [name for name in loaded if name.startswith("nixenv")] == ["nixenv"]
