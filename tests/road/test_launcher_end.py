"""What an interpreter puts on sys.path, against the CPython that runs this."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.road.disk import LOOK
from nixenv.road.launcher.end import find_python
from nixenv.road.launcher.state import Run

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
    ).filter(lambda words: words != ("-P",) or sys.version_info >= (3, 11)),
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
