"""A virtual environment on top of the program's Python: a real one, made by `python -m venv`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nixenv import plan_environment
from nixenv.findings import Severity
from nixenv.places import FARM_RECORD
from nixenv.road.classify import Inventory, find_ambiguities
from nixenv.road.on_top import OnTop, find_on_top
from nixenv.road.plan import Prepend, Set
from nixenv.road.profile import Profile
from nixenv.road.python import Interpreter, Part, SitePackages
from nixenv.storepath import StorePath
from tests.closures import store_path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
BASE = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def program(tmp_path: Path) -> Interpreter:
    """A store object whose interpreter is the one that runs this."""
    home = tmp_path / f"{'a' * 32}-python3-{VERSION}.1"
    (home / "bin").mkdir(parents=True)
    (home / f"bin/python{VERSION}").symlink_to(os.path.realpath(BASE))
    return Interpreter(StorePath(str(home)), VERSION, (), ())


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    place = tmp_path / "venv"
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(place)], check=True)
    return place


def test_one_made_with_the_programs_python_fits(program: Interpreter, venv: Path) -> None:
    """It is kept where the profile says so."""
    environ = {"VIRTUAL_ENV": str(venv)}
    found = OnTop(str(venv), os.path.realpath(BASE), fits=True, kept=True)
    assert find_on_top(environ, program, keep=True) == found
    assert find_on_top(environ, program, keep=False) == found._replace(kept=False)


def test_one_made_with_another_python_is_not_kept(program: Interpreter, venv: Path) -> None:
    """Nor is one whose Python is gone."""
    other = program._replace(path=store_path("python3-3.1.1"))
    environ = {"VIRTUAL_ENV": str(venv)}
    found = find_on_top(environ, other, keep=True)
    assert found is not None
    assert not found.fits
    assert not found.kept
    (venv / "pyvenv.cfg").write_text("home = /gone/bin\n")
    assert find_on_top(environ, program, keep=True) == OnTop(
        str(venv), None, fits=False, kept=False
    )


@pytest.mark.parametrize("value", [None, "", "venv", "/nowhere", "/"])
def test_where_there_is_none_there_is_none(program: Interpreter, value: str | None) -> None:
    """Whatever VIRTUAL_ENV holds."""
    environ = {} if value is None else {"VIRTUAL_ENV": value}
    assert find_on_top(environ, program, keep=True) is None


def test_a_farm_is_not_the_users(program: Interpreter, venv: Path) -> None:
    """It has a record."""
    (venv / FARM_RECORD).touch()
    assert find_on_top({"VIRTUAL_ENV": str(venv)}, program, keep=True) is None


def inventory_with(on_top: OnTop | None) -> Inventory:
    python = Interpreter(store_path("python3-3.12.12"), "3.12", (), ())
    site = SitePackages("/s/lib/python3.12/site-packages", own=True, part=Part.SITE)
    return Inventory(store_path("root"), python, (site,), None, None, None, on_top=on_top)


def test_what_is_kept_is_left_alone() -> None:
    """PYTHONPATH, VIRTUAL_ENV and PATH; the rest is set."""
    profile = Profile("p", defaults={"MINE": "1"})
    kept = OnTop("/v", "/p", fits=True, kept=True)
    names = {getattr(o, "name", "") for o in plan_environment(inventory_with(kept), profile, "/c")}
    assert names == {"MINE"}
    for on_top in (None, kept._replace(kept=False)):
        found = [*plan_environment(inventory_with(on_top), profile, "/c")]
        assert any(isinstance(o, Set) and o.name == "PYTHONPATH" for o in found)
        assert any(isinstance(o, Prepend) and o.name == "PATH" for o in found)


@pytest.mark.parametrize(
    ("on_top", "code", "severity", "evidence"),
    [
        (OnTop("/v", "/p", fits=True, kept=True), "kept", Severity.NOTE, ()),
        (OnTop("/v", "/p", fits=True, kept=False), "replaced", Severity.NOTE, ()),
        (OnTop("/v", "/q", fits=False, kept=False), "replaced", Severity.WARNING, ("/q",)),
        (
            *(OnTop("/v", None, fits=False, kept=False), "replaced", Severity.WARNING),
            ("which is gone",),
        ),
    ],
)
def test_a_line_tells_which(
    on_top: OnTop, code: str, severity: Severity, evidence: tuple[str, ...]
) -> None:
    """Kept or not, and why."""
    (found,) = find_ambiguities(inventory_with(on_top), linked=False)
    assert (found.code, found.severity) == (f"python-virtualenv-{code}", severity)
    assert found.evidence == evidence
    assert "/v" in found.summary
    assert found.remedy
    assert find_ambiguities(inventory_with(None), linked=False) == ()
