"""What an interpreter puts on sys.path, against the CPython that runs this, and on its disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.road.disk import LOOK
from nixenv.road.launcher.end import Place, Python, find_python, find_version
from nixenv.road.launcher.state import UNKNOWN, Run
from tests.closures import store_path
from tests.road.test_launcher import ELF, ENV, LIB, PLAIN, PYTHON, SITE, Disk, look_at

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TELL = "import json, sys; json.dump(sys.path, sys.stdout)\n"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment, two directories of modules, and scripts with and without modules."""
    home = tmp_path_factory.mktemp("home")
    site = f"venv/lib/python{VERSION}/site-packages"
    for file in (f"{site}/m.py", "one/m.py", "two/m.py", "beside/m.py"):
        (home / file).parent.mkdir(parents=True)
        (home / file).touch()
    for file in ("beside/tell", "alone/tell"):
        (home / file).parent.mkdir(exist_ok=True)
        (home / file).write_text(TELL)
    (home / "venv/bin").mkdir()
    (home / "venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    return home


options = st.lists(
    st.sampled_from(
        [
            *(("-I",), ("-E",), ("-s",), ("-S",), ("-B",), ("-Es",), ("-P",), ("-uBIs",)),
            *(("-W", "ignore"), ("-Wignore",), ("-BW", "ignore"), ("-WIgnore",), ("-WE",)),
            *(("-X", "utf8"), ("-Xutf8",), ("-uX", "utf8"), ("-XI",), ("-XS",)),
            *(("--check-hash-based-pycs", "never"),),
        ]
    ),
    max_size=3,
).map(lambda lists: tuple(word for words in lists for word in words))


@settings(max_examples=60, deadline=None)
@given(
    options,
    st.sampled_from([("beside/tell",), ("alone/tell", "-I"), ("-c", TELL, "-E"), ("-Bc", TELL)]),
    st.sampled_from(["", "include-system-site-packages = false\n"]),
    st.sampled_from([(), ("one",), ("two", "one")]),
)
def test_the_order_of_modules_is_what_python_makes_of_it(
    home: Path,
    given_options: tuple[str, ...],
    program: tuple[str, ...],
    configuration: str,
    listed: tuple[str, ...],
) -> None:
    """Whatever options it is given, and however its virtual environment is set up."""
    base = os.path.realpath(sys.executable)
    (home / "venv/pyvenv.cfg").write_text(f"home = {os.path.dirname(base)}\n{configuration}")
    first, *others = program
    arguments = (*given_options, f"{home}/{first}" if "/tell" in first else first, *others)
    variables = {"PYTHONPATH": ":".join(f"{home}/{name}" for name in listed)} if listed else {}
    python = f"{home}/venv/bin/python"
    done = subprocess.run(
        [python, *arguments], env=variables, cwd="/", capture_output=True, check=True
    )
    path = json.loads(done.stdout)
    found = find_python(Run(python, arguments, python, variables), LOOK)
    assert found.version == VERSION
    own = [place.directory for place in found.places]
    held = [one for one in path if one.startswith(str(home)) and one != f"{home}/alone"]
    assert [one for one in own if one.startswith(str(home))] == held
    site = f"{os.path.dirname(os.path.dirname(base))}/lib/python{VERSION}/site-packages"
    assert (site in own) == (site in path)
    assert found.executable.startswith(os.path.dirname(base))


# On a disk in memory ------------------------------------------------------------------------------

BASE: Disk = {**PLAIN, f"{PYTHON}/{SITE}/base.py": b""}
VENV = store_path("venv")


def start(disk: Disk, *arguments: str, file: str = f"{PYTHON}/bin/python3", **extra: str) -> Python:
    return find_python(Run(file, arguments, extra.pop("name", file), extra), look_at(disk))


def listed(found: Python) -> list[str]:
    return [place.directory for place in found.places]


@pytest.mark.parametrize(
    ("file", "configuration", "sites"),
    [
        ("pyvenv.cfg", f"home = {PYTHON}/bin\n", [VENV, PYTHON]),
        ("pyvenv.cfg", f"home = {PYTHON}/bin\ninclude-system-site-packages = false", [VENV]),
        ("pyvenv.cfg", "home = /none\n", [VENV, PYTHON]),
        ("pyvenv.cfg", "", [VENV, PYTHON]),
        ("bin/pyvenv.cfg", f"home = {PYTHON}/bin\n", [f"{VENV}/bin", PYTHON]),
        ("lib/pyvenv.cfg", f"home = {PYTHON}/bin\n", [PYTHON]),
    ],
)
def test_a_virtual_environment_is_set_up_beside_or_above(
    file: str, configuration: str, sites: list[str]
) -> None:
    """Its modules come before those of its base, which it may leave out."""
    disk = {
        **BASE,
        f"{VENV}/{file}": configuration.encode(),
        f"{VENV}/bin/python3": f"{PYTHON}/bin/python3.12",
        f"{VENV}/bin/python3.12": f"{PYTHON}/bin/python3.12",
        f"{VENV}/{SITE}/m.py": b"",
        f"{VENV}/bin/{SITE}/m.py": b"",
    }
    found = start(disk, file=f"{VENV}/bin/python3")
    assert (found.executable, found.version) == (f"{PYTHON}/bin/python3.12", "3.12")
    assert listed(found) == [f"{site}/{SITE}" for site in sites]
    assert all(place.is_site and not place.is_listed for place in found.places)
    assert found.environment == (f"{VENV}/bin/python3.12" if sites[0] == VENV else None)


def test_the_interpreter_of_a_home_is_the_first_that_is_one() -> None:
    """Other programs, and links that lead nowhere, are none."""
    home = store_path("home")
    disk: Disk = {
        f"{VENV}/pyvenv.cfg": f"home = {home}/bin".encode(),
        f"{VENV}/bin/python3": ELF,
        f"{home}/bin/2to3": ELF,
        f"{home}/bin/python": "none",
        f"{home}/bin/python-config": ELF,
        f"{home}/bin/python3": "python3.12",
        f"{home}/bin/python3.11": ELF,
        f"{home}/bin/python3.12": ELF,
    }
    found = start(disk, file=f"{VENV}/bin/python3")
    assert found.executable == f"{home}/bin/python3.12"


@pytest.mark.parametrize(
    ("name", "libraries", "version"),
    [
        ("python3.12", ["python3.12", "python3.13"], "3.12"),
        ("python3.12", ["python3.12", "python3.12t"], "3.12"),
        ("python3.12", ["python3.12t", "python3.11"], "3.12t"),
        ("python3.12", ["python3.11"], "3.12"),
        ("python3.12", [], "3.12"),
        ("python3.13t", ["python3.13"], "3.13t"),
        ("python3", ["python3.12"], "3.12"),
        ("python3", ["python3.13t", "python3", "pkgconfig"], "3.13t"),
        ("python3", ["python3.12", "python3.13"], None),
        ("python3", [], None),
    ],
)
def test_a_version_is_told_by_the_name_or_the_library(
    name: str, libraries: list[str], version: str | None
) -> None:
    """Behind a link, by those of the file."""
    home = store_path("home")
    disk: Disk = {
        f"{home}/bin/{name}": ELF,
        f"{LIB}/bin/python3": f"{home}/bin/{name}",
        f"{LIB}/bin/python3.10": f"{home}/bin/{name}",
        **{f"{home}/lib/{library}/os.py": b"" for library in libraries},
    }
    for executable in (f"{home}/bin/{name}", f"{LIB}/bin/python3", f"{LIB}/bin/python3.10"):
        assert find_version(executable, look_at(disk)) == version


@pytest.mark.parametrize(
    ("names", "holds"),
    [
        (["m.py"], True),
        (["m.so"], True),
        (["m.cpython-312-x86_64-linux-gnu.so"], True),
        (["package/m.txt"], True),
        (["no-package/m.py"], False),
        (["file", "m.txt"], False),
        ([".m.py", ".hidden/m.py"], False),
        (["__pycache__/m.py"], False),
        (["main.py"], False),
        ([], False),
    ],
)
def test_a_scripts_directory_counts_if_it_holds_modules(names: list[str], *, holds: bool) -> None:
    """Beside the script itself."""
    home = store_path("home")
    disk = {**BASE, f"{home}/main.py": b"", **{f"{home}/{name}": b"" for name in names}}
    found = start(disk, f"{home}/main.py")
    assert listed(found) == [*([home] if holds else []), f"{PYTHON}/{SITE}"]
    assert found.places[0].is_site is not holds


@pytest.mark.parametrize(
    "name", ["README.txt", "sitecustomize.py", "usercustomize.py", "__pycache__"]
)
def test_what_every_interpreter_has_is_no_module(name: str) -> None:
    """In its own site-packages."""
    assert listed(start({**PLAIN, f"{PYTHON}/{SITE}/{name}": b""})) == []
    assert listed(start({**PLAIN, f"{PYTHON}/{SITE}/{name}": b"", f"{PYTHON}/{SITE}/m": b""}))


def test_the_order_is_of_the_script_the_variables_and_the_list() -> None:
    """Each once, where it is first; what nobody knows is left out."""
    home = store_path("home")
    line = f"site.addsitedir(p, k), ['{LIB}','/a','/l'], site._init_pathinfo()"
    disk = {**BASE, f"{home}/main.py": line.encode(), f"{home}/m.py": b""}
    variables = {"PYTHONPATH": f"/a::{UNKNOWN}:/b:{home}", "NIX_PYTHONPATH": f"/c:{UNKNOWN}/x:/a"}
    found = start(disk, f"{home}/main.py", **variables)
    assert found.places == (
        *(Place(one, is_site=False) for one in (home, "/a", "/b")),
        Place(f"{PYTHON}/{SITE}", is_site=True),
        *(Place(one, is_site=True) for one in ("/c", "/a")),
        *(Place(one, is_site=True, is_listed=True) for one in (LIB, "/a", "/l")),
    )
    base = f"{PYTHON}/{SITE}"
    assert listed(start(disk, "-S", "-m", "m", **variables)) == ["/a", "/b", home]
    assert listed(start(disk, "-Ic", "x", **variables)) == [base, "/c", "/a"]
    assert listed(start(disk, "-", f"{home}/main.py", **variables))[0] == "/a"
    assert listed(start(disk, f"{UNKNOWN}/main.py", **variables))[0] == "/a"
    assert listed(start(disk, UNKNOWN, "-I", **variables))[0] == "/a"
    pycs = ("--check-hash-based-pycs", "never", f"{home}/main.py")
    assert listed(start(disk, *pycs))[0] == home
    assert listed(start(disk, "-E")) == listed(start(disk, "-W")) == [base]


@pytest.mark.parametrize(
    ("told", "environment"),
    [
        (f"{ENV}/bin/python3", f"{ENV}/bin/python3"),
        (f"{ENV}/bin/none", f"{ENV}/bin/python3.12"),
        (f"{UNKNOWN}/bin/python3", f"{ENV}/bin/python3.12"),
        ("", f"{ENV}/bin/python3.12"),
    ],
)
def test_an_environment_is_told_by_its_variable_or_its_name(told: str, environment: str) -> None:
    """The name counts where it has a slash; then the library is beside it."""
    file = f"{PYTHON}/bin/python3"
    disk = {**BASE, f"{ENV}/lib/python3.12/os.py": b"", f"{ENV}/bin/python3.12": ELF}
    disk[f"{ENV}/bin/python3"] = "python3.12"
    extra = {"NIX_PYTHONEXECUTABLE": told} if told else {}
    assert start(disk, name=f"{ENV}/bin/python3", **extra).environment == environment
    assert start(disk, file=file, name="python3").environment is None
    del disk[f"{ENV}/lib/python3.12/os.py"]
    assert start(disk, name=f"{ENV}/bin/python3").environment is None


def test_an_interpreter_without_a_version_has_no_modules_of_its_own() -> None:
    """Where they would be nobody knows."""
    file = f"{LIB}/bin/python3"
    found = start({file: ELF, f"{LIB}/lib/x": b""}, file=file, NIX_PYTHONPATH="/a", PYTHONPATH="/b")
    assert found == Python(file, None, None, (Place("/b", is_site=False),))
