"""Launchers as text: each format that starts Python, and what a hostile one can do."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.road.disk import LOOK
from nixenv.road.launcher import Kind, Launcher, Look, Place, parse_path_lines, read_launcher
from nixenv.road.launcher.chain import MOST_STEPS
from nixenv.road.launcher.recipe import find_recipe, follow_recipe
from nixenv.road.launcher.script import parse_home, parse_shebang
from nixenv.road.launcher.shell import follow_shell
from nixenv.road.launcher.state import UNKNOWN, Run, Stop
from nixenv.road.launcher.syntax import Unreadable, parse_commands, split_words
from tests.closures import store_path
from tests.real_shells import require_tool

STORE = "/nix/store"
PROGRAM = store_path("prog-1.0")
PYTHON = store_path("python3-3.12.12")
ENV = store_path("python3-3.12.12-env")
LIB = store_path("python3.12-lib-1.0")
SITE = "lib/python3.12/site-packages"
ELF = b"\x7fELF\x02\x01\0\0"

Disk = Mapping[str, bytes | str]
"""Files by path: what they hold, or where a link leads."""


def look_at(disk: Disk) -> Look:
    """Make a disk in memory."""

    def real(path: str) -> str:
        seen = 0
        while isinstance(target := disk.get(path), str) and (seen := seen + 1) < 40:
            path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        return path

    def names(directory: str) -> list[str]:
        prefix = f"{real(directory)}/"
        return list({path[len(prefix) :].split("/")[0] for path in disk if path.startswith(prefix)})

    def file(path: str) -> str | None:
        return real(path) if isinstance(disk.get(real(path)), bytes) else None

    def head(path: str) -> bytes | None:
        held = disk.get(real(path))
        return held if isinstance(held, bytes) else None

    return Look(head, file, lambda path: bool(names(path)), names)


PLAIN: Disk = {
    f"{PYTHON}/bin/python3.12": ELF,
    f"{PYTHON}/bin/python3": "python3.12",
    f"{PYTHON}/lib/python3.12/os.py": b"",
    f"{PYTHON}/{SITE}/README.txt": b"",
    f"{LIB}/{SITE}/lib/__init__.py": b"",
    f"{PROGRAM}/{SITE}/prog.py": b"",
}
SCRIPT = f"#!{PYTHON}/bin/python3.12\nimport prog\n".encode()


def recipe(target: str, *flags: str) -> bytes:
    """Compile a wrapper, as far as anybody looks at it."""
    text = " \\\n    ".join((f"makeCWrapper '{target}'", *flags))
    return ELF + b"\0main\0\n\n# The command:\n\n\n" + text.encode() + b"\n\n\n# (end)\n\0more\0"


def environment(**extra: bytes) -> Disk:
    """Make a withPackages environment, with an old interpreter's wrapper unless told otherwise."""
    sets = (
        "--inherit-argv0",
        f"--set 'NIX_PYTHONPREFIX' '{ENV}'",
        f"--set 'NIX_PYTHONEXECUTABLE' '{ENV}/bin/python3.12'",
        f"--set 'NIX_PYTHONPATH' '{ENV}/{SITE}'",
        "--set 'PYTHONNOUSERSITE' 'true'",
    )
    return {
        **PLAIN,
        f"{ENV}/bin/python3.12": extra.get("python", recipe(f"{PYTHON}/bin/python3.12", *sets)),
        f"{ENV}/bin/python3": "python3.12",
        f"{ENV}/lib/python3.12/os.py": f"{PYTHON}/lib/python3.12/os.py",
        f"{ENV}/{SITE}/lib/__init__.py": b"",
    }


def read(disk: Disk, file: str = f"{PROGRAM}/bin/prog") -> Launcher:
    return read_launcher(file, STORE, look_at(disk))


def kinds(found: Launcher) -> list[Kind]:
    return [step.kind for step in found.steps]


def directories(found: Launcher) -> list[str]:
    return [place.directory for place in found.places]


# The formats --------------------------------------------------------------------------------------


def test_a_script_is_run_by_the_interpreter_of_its_shebang() -> None:
    """Exactly that store object, and its version."""
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": SCRIPT})
    assert kinds(found) == [Kind.SCRIPT, Kind.INTERPRETER]
    assert (found.interpreter, found.version) == (f"{PYTHON}/bin/python3.12", "3.12")
    assert (found.environment, found.places, found.note) == (None, (), None)


def test_a_shebang_that_ends_in_python3_is_of_the_version_behind_the_link() -> None:
    """Or of the one that its library tells, where the file itself is called python3."""
    script = f"#!{PYTHON}/bin/python3 -s\nimport prog\n".encode()
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": script})
    assert (found.interpreter, found.version) == (f"{PYTHON}/bin/python3.12", "3.12")
    copied = {**PLAIN, f"{PYTHON}/bin/python3": ELF, f"{PROGRAM}/bin/prog": script}
    found = read(copied)
    assert (found.interpreter, found.version) == (f"{PYTHON}/bin/python3", "3.12")
    both = {**copied, f"{PYTHON}/lib/python3.13/os.py": b""}
    assert read(both).version is None


def test_a_shebang_outside_the_store_ends_the_chain() -> None:
    """The machine's Python is no part of the closure, and is not looked at."""
    disk: Disk = {"/usr/bin/python3.12": ELF, "/usr/lib/python3.12/os.py": b""}
    found = read({**PLAIN, **disk, f"{PROGRAM}/bin/prog": b"#!/usr/bin/python3.12\n"})
    assert (found.interpreter, found.version) == (None, None)
    assert found.note is not None


def test_the_module_list_is_read_and_what_is_gone_is_told() -> None:
    """In its order; a directory that is not there was there when the program was built."""
    gone = f"{store_path('gone')}/{SITE}"
    line = (
        "import sys;import site;import functools;sys.argv[0]='/r';functools.reduce(lambda k, p: "
        f"site.addsitedir(p, k), ['{LIB}/{SITE}','{gone}', '{PROGRAM}/{SITE}'], "
        "site._init_pathinfo());\n"
    )
    text = f"#!{PYTHON}/bin/python3.12\n# -*- coding: utf-8 -*-\n{line}import re\n"
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": text.encode()})
    assert directories(found) == [f"{LIB}/{SITE}", f"{PROGRAM}/{SITE}"]
    assert all(place.is_site and place.is_listed for place in found.places)
    assert found.missing == (gone,)


MAKE_WRAPPER = f"""\
#! /bin/bash -e
PATH=${{PATH:+':'$PATH':'}}
PATH=${{PATH/':''{LIB}/bin'':'/':'}}
PATH='{LIB}/bin'$PATH
PATH=${{PATH#':'}}
PATH=${{PATH%':'}}
export PATH
PYTHONPATH=${{PYTHONPATH:+':'$PYTHONPATH':'}}
if [[ $PYTHONPATH != *':''{LIB}/{SITE}'':'* ]]; then
    PYTHONPATH=$PYTHONPATH'{LIB}/{SITE}'
fi
PYTHONPATH=${{PYTHONPATH#':'}}
PYTHONPATH=${{PYTHONPATH%':'}}
export PYTHONPATH
export TOLD='it'\\''s "a" $value'
export LINES=$'one\\ntwo'
export GIVEN=${{GIVEN-'default'}}
export LD_LIBRARY_PATH='/x'
export COUNTED="$TOLD/$HOME"
unset LANG
cd '/tmp'
exec -a "$0" "{PROGRAM}/bin/.prog-wrapped"  --flag "$@"
"""


def test_a_wrapper_of_make_wrapper_is_followed() -> None:
    """Its list variables, its values as they stand, and its target."""
    disk = {
        **PLAIN,
        f"{PROGRAM}/bin/prog": MAKE_WRAPPER.encode(),
        f"{PROGRAM}/bin/.prog-wrapped": SCRIPT,
    }
    found = read(disk)
    assert kinds(found) == [Kind.SHELL, Kind.SCRIPT, Kind.INTERPRETER]
    assert directories(found) == [f"{LIB}/{SITE}"]
    assert dict(found.carried) == {
        "TOLD": 'it\'s "a" $value',
        "LINES": "one\ntwo",
        "GIVEN": "default",
    }


def test_a_compiled_wrapper_is_read_by_its_recipe() -> None:
    """The interpreter of an environment: sys.prefix is the environment's."""
    found = read(environment(), f"{ENV}/bin/python3")
    assert kinds(found) == [Kind.COMPILED, Kind.INTERPRETER]
    assert found.interpreter == f"{PYTHON}/bin/python3.12"
    assert found.environment == f"{ENV}/bin/python3.12"
    assert found.places == (Place(f"{ENV}/{SITE}", is_site=True),)


@pytest.mark.parametrize(
    ("flags", "is_environment"),
    [(("--inherit-argv0",), True), ((), False), (("--argv0 'x'",), False)],
)
def test_an_interpreter_finds_its_environment_by_its_name(
    flags: tuple[str, ...], *, is_environment: bool
) -> None:
    """nixpkgs of 2025 sets no variables: CPython looks beside the path that it is started by."""
    disk = environment(python=recipe(f"{PYTHON}/bin/python3.12", *flags))
    found = read(disk, f"{ENV}/bin/python3")
    assert bool(found.environment) is is_environment
    assert directories(found) == ([f"{ENV}/{SITE}"] if is_environment else [])


def test_a_plain_interpreter_runs_a_script_of_share() -> None:
    """The script's directory comes first where there is something to import in it."""
    disk = {
        **PLAIN,
        f"{PROGRAM}/bin/prog": recipe(
            f"{PYTHON}/bin/python3.12",
            "--inherit-argv0",
            f"--prefix 'PYTHONPATH' ':' '{LIB}/{SITE}:{PROGRAM}/{SITE}'",
            f"--add-flags '-u {PROGRAM}/share/main.py'",
            "--set-default 'HF_HOME' '/models'",
            "--chdir '/'",
        ),
        f"{PROGRAM}/share/main.py": b"import core",
        f"{PROGRAM}/share/core/__init__.py": b"",
    }
    found = read(disk)
    assert directories(found) == [f"{PROGRAM}/share", f"{LIB}/{SITE}", f"{PROGRAM}/{SITE}"]
    assert found.carried == (("HF_HOME", "/models"),)


@pytest.mark.parametrize("options", ["-I", "-Es", "-EsP"])
def test_an_isolated_interpreter_sees_less(options: str) -> None:
    """``-I`` and ``-E`` leave PYTHONPATH alone, ``-I`` and ``-P`` the script's directory."""
    command = f"{PYTHON}/bin/python3 {options} {PROGRAM}/x/m.py"
    text = f"#!/bin/sh\nexport PYTHONPATH={LIB}/{SITE}\nexec {command}"
    disk = {
        **PLAIN,
        f"{PROGRAM}/bin/prog": text.encode(),
        f"{PROGRAM}/x/m.py": b"",
        f"{PROGRAM}/x/n.py": b"",
    }
    assert directories(read(disk)) == ([f"{PROGRAM}/x"] if options == "-Es" else [])


def test_an_environment_on_path_is_found() -> None:
    """``exec python3`` means the first on the PATH that the script makes."""
    text = (
        "#!/usr/bin/env bash\nset -euo pipefail\n"
        f'export PATH="{LIB}/bin:{ENV}/bin:$PATH"\n\nexec python3 -m prog "$@"\n'
    )
    found = read({**environment(), f"{PROGRAM}/bin/prog": text.encode()})
    assert found.environment == f"{ENV}/bin/python3.12"
    assert directories(found) == [f"{ENV}/{SITE}"]


def test_a_virtual_environment_in_the_store_is_found_by_pyvenv_cfg() -> None:
    """Its interpreter is a link out of it, and ``home`` names the real one."""
    venv = store_path("quotes-1.0")
    disk = {
        **PLAIN,
        f"{venv}/pyvenv.cfg": f"home = {PYTHON}/bin\n".encode(),
        f"{venv}/bin/python3": f"{PYTHON}/bin/python3.12",
        f"{venv}/bin/python3.12": "python3",
        f"{venv}/{SITE}/quotes.py": b"",
        f"{venv}/bin/quotes": f"#!{venv}/bin/python3\nimport quotes".encode(),
    }
    found = read(disk, f"{venv}/bin/quotes")
    assert found.interpreter == f"{PYTHON}/bin/python3.12"
    assert found.environment == f"{venv}/bin/python3.12"
    assert found.places == (Place(f"{venv}/{SITE}", is_site=True),)


@pytest.mark.parametrize("arguments", [f"--env {ENV} -- ", "--turbo -- "])
def test_floxs_environment_wrapper_is_known(arguments: str) -> None:
    """It cannot be read as text: what it does is."""
    wrapper = "wrapper" if "--env" in arguments else "activate"
    text = f"""#! /bin/bash -e
export FLOX_ENV='{ENV}'
export FLOX_SET_ARG0="$0"
exec -a "$0" "{ENV}/{wrapper}"  {arguments} {PROGRAM}/bin/.prog-wrapped "$@"
"""
    disk = {
        **environment(),
        f"{ENV}/bin/python3": f"{PYTHON}/bin/python3.12",
        f"{ENV}/{wrapper}": b'#!/bin/bash\nwhile true; do shift; done\nexec "$FLOX_ENV/x" "$@"\n',
        f"{PROGRAM}/bin/prog": text.encode(),
        f"{PROGRAM}/bin/.prog-wrapped": f"#!{ENV}/bin/python3\n".encode(),
    }
    found = read(disk)
    assert kinds(found) == [Kind.SHELL, Kind.FLOX, Kind.SCRIPT, Kind.INTERPRETER]
    assert found.places == (Place(f"{ENV}/{SITE}", is_site=False),)
    assert found.carried == ()


FLOX = f"""#! /bin/bash -e
export FLOX_ENV='{ENV}' PATH={LIB}/bin PYTHONPATH={LIB}/{SITE}
exec "{ENV}/"LINE
"""


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("wrapper -e {0} -- tool", "{0}/bin/tool"),
        ("wrapper -x -e {0} -- tool", "{0}/bin/tool"),
        ("wrapper --env {1} -- tool", "{1}/bin/tool"),
        ("wrapper -e {1} -- tool", "{1}/bin/tool"),
        ("activate -- tool", "{0}/bin/tool"),
        ("wrapper -- admin", "{0}/sbin/admin"),
        ("wrapper -- other", "{1}/bin/other"),
    ],
)
def test_floxs_wrapper_finds_programs_in_its_environment(line: str, program: str) -> None:
    """In its ``bin`` and its ``sbin``, then on PATH as it was; its modules come last."""
    disk = {
        **environment(),
        f"{ENV}/wrapper": b"#!/bin/bash\n# FLOX_ENV\n",
        f"{ENV}/activate": b"#!/bin/bash\n# FLOX_ENV\n",
        f"{ENV}/bin/tool": ELF,
        f"{ENV}/sbin/tool": ELF,
        f"{ENV}/sbin/admin": ELF,
        **{f"{LIB}/bin/{name}": ELF for name in ("tool", "admin", "other")},
        f"{PROGRAM}/bin/prog": FLOX.replace("LINE", line.format(ENV, LIB)).encode(),
    }
    found = read(disk)
    assert kinds(found) == [Kind.SHELL, Kind.FLOX, Kind.BINARY]
    assert found.steps[-1].file == program.format(ENV, LIB)
    sites = [f"{LIB}/{SITE}", f"{ENV}/{SITE}"]
    assert directories(found) == (sites[:1] if "{1}" in line else sites)


@pytest.mark.parametrize(
    "line",
    [
        *("wrapper tool", "other -- tool", "wrapper -e x -- tool", "wrapper -e /$(x) -- tool"),
        *("wrapper --", "wrapper -e -- tool"),
    ],
)
def test_what_is_no_call_of_floxs_wrapper_is_read_as_it_stands(line: str) -> None:
    """A script like any other."""
    disk = {
        **environment(),
        **{f"{ENV}/{name}": b"#!/bin/sh\n# FLOX_ENV\nexit" for name in ("wrapper", "other")},
        f"{ENV}/bin/tool": ELF,
        f"{PROGRAM}/bin/prog": FLOX.replace("LINE", line).replace("FLOX_ENV=", "X=").encode(),
    }
    assert kinds(read(disk)) == [Kind.SHELL, Kind.SHELL]


def test_floxs_wrapper_tells_its_environment() -> None:
    """Whoever named it."""
    disk = {
        **environment(),
        f"{ENV}/wrapper": b"#!/bin/sh\n# FLOX_ENV\n",
        f"{PROGRAM}/bin/prog": f"#!/bin/sh\nexec {ENV}/wrapper -e {ENV} -- {LIB}/x".encode(),
        f"{LIB}/x": b"#!/bin/sh\nexec $FLOX_ENV/bin/python3",
    }
    assert read(disk).environment == f"{ENV}/bin/python3.12"


def test_floxs_wrapper_adds_no_modules_twice() -> None:
    """Where they were before, they stay."""
    text = f"""#!/bin/sh
export PYTHONPATH={ENV}/{SITE}:{LIB}/{SITE}
exec {ENV}/wrapper --env {ENV} -- {PYTHON}/bin/python3
"""
    disk = {
        **environment(),
        f"{ENV}/wrapper": b"#!/bin/sh\n# FLOX_ENV\n",
        f"{PROGRAM}/bin/prog": text.encode(),
    }
    assert directories(read(disk)) == [f"{ENV}/{SITE}", f"{LIB}/{SITE}"]


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("env {0}", True),
        ("env -- {0}", True),
        ("/usr/bin/env PYTHONPATH= {0}", False),
        ("env -i {0}", False),
        ("env - {0}", False),
        ("env -u PYTHONPATH {0}", False),
        ("env --unset PYTHONPATH {0}", False),
        ("env -u X -C / --chdir /tmp -v {0}", True),
        ("env -i PYTHONPATH={1} {0}", True),
        ("env -u PYTHONPATH X=1 PYTHONPATH={1} {0}", True),
    ],
)
def test_env_is_read_through(line: str, *, there: bool) -> None:
    """With what it sets and unsets."""
    site = f"{LIB}/{SITE}"
    command = line.format(f"{PYTHON}/bin/python3", site)
    text = f"#!/bin/sh\nexport PYTHONPATH={site} MINE=1\nexec {command}\n"
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": text.encode()})
    assert kinds(found) == [Kind.SHELL, Kind.INTERPRETER]
    assert directories(found) == ([site] if there else [])
    assert found.carried == (() if {"-i", "-"} & set(line.split()) else (("MINE", "1"),))


@pytest.mark.parametrize("line", ["env", "env -u X", "env A=b", "env -C", "env -u"])
def test_env_without_a_program_starts_none(line: str) -> None:
    """It shows what is set."""
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": f"#!/bin/sh\nexec /usr/bin/{line}\n".encode()})
    assert found.steps[-1] == ("/usr/bin/env", Kind.OTHER)
    assert found.interpreter is None


@pytest.mark.parametrize(
    ("shebang", "options"),
    [
        ("/usr/bin/env python3", ""),
        ("/usr/bin/env -S python3 -I", "I"),
        ("/bin/env -SPYTHON/bin/python3 -E -I", "I"),
        ("PYTHON/bin/python3 -I", "I"),
        ("PYTHON/bin/python3 -E", "E"),
    ],
)
def test_a_shebang_goes_through_env(shebang: str, options: str) -> None:
    """A bare name is looked up on PATH; options hold."""
    lines = (
        "#!/bin/sh",
        f"export PATH={PYTHON}/bin PYTHONPATH={LIB}/{SITE}",
        f"exec {PROGRAM}/bin/.p",
    )
    disk = {
        **PLAIN,
        f"{PROGRAM}/bin/.p": f"#!{shebang.replace('PYTHON', PYTHON)}\n".encode(),
        f"{PROGRAM}/bin/p.py": b"",
        f"{PROGRAM}/bin/prog": "\n".join(lines).encode(),
    }
    found = read(disk)
    assert kinds(found) == [Kind.SHELL, Kind.SCRIPT, Kind.INTERPRETER]
    beside = [] if options == "I" else [f"{PROGRAM}/bin"]
    assert directories(found) == [*beside, *([] if options else [f"{LIB}/{SITE}"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/usr/bin/perl\n", "it is for perl"),
        (b"#!/usr/bin/env\n", "it is for no program"),
        (b"#!/usr/bin/env -S\n", "it is for no program"),
        (b"text", "neither a script nor a compiled program"),
        (b"#!/bin/sh\n\0", "NUL bytes"),
        (b"#!/bin/sh\n:", "starts no program"),
    ],
)
def test_what_is_no_launcher_of_python_is_told(content: bytes, said: str) -> None:
    """With its file."""
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": content})
    assert found.note is not None
    assert found.note.startswith(f"{PROGRAM}/bin/prog: ")
    assert said in found.note


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/none:{0}/bin", True),
        ("::{0}/bin:{1}/bin", True),
        ("{1}/bin:{0}/bin", False),
        ("/usr/bin:{0}/bin", False),
        ("relative:{0}/bin", False),
        ("$(x):{0}/bin", False),
        ("", False),
    ],
)
def test_a_bare_name_is_the_first_on_path(path: str, *, is_found: bool) -> None:
    """Unless something in front of it may hold another."""
    text = f"#!/bin/sh\nPATH={path.format(PYTHON, PROGRAM)}\nexec python3\n"
    disk: Disk = {
        **PLAIN,
        "/usr/bin/python3": ELF,
        f"{PROGRAM}/bin/python3": b"",
        f"{PROGRAM}/bin/prog": text.encode(),
    }
    found = read(disk)
    assert (found.interpreter == f"{PYTHON}/bin/python3.12") is is_found
    assert (found.note is None) is (found.interpreter is not None)


@pytest.mark.parametrize("file", ["/run/prog", f"{LIB}/bin/prog"])
def test_a_program_may_be_linked_from_elsewhere(file: str) -> None:
    """It is in the store all the same."""
    disk = {**PLAIN, f"{PROGRAM}/bin/prog": SCRIPT, file: f"{PROGRAM}/bin/prog"}
    found = read(disk, file)
    assert found.steps[0] == (file, Kind.SCRIPT)
    assert found.interpreter == f"{PYTHON}/bin/python3.12"


def test_a_wrapper_of_an_interpreter_that_cannot_be_read_is_taken_for_it() -> None:
    """By its file's name: it is what the program runs on."""
    disk = {**PLAIN, f"{LIB}/bin/python3.12": b"#!/bin/sh\n:", f"{PROGRAM}/bin/prog": b""}
    disk[f"{PROGRAM}/bin/prog"] = f"#!/bin/sh\nexec {LIB}/bin/python3.12".encode()
    found = read(disk)
    assert kinds(found) == [Kind.SHELL, Kind.INTERPRETER]
    assert (found.interpreter, found.note) == (f"{LIB}/bin/python3.12", None)


def test_a_script_of_python_may_hold_what_is_no_text() -> None:
    """An archive behind its first line."""
    disk = {**PLAIN, f"{PROGRAM}/bin/prog": SCRIPT + b"PK\0\xff"}
    assert kinds(read(disk)) == [Kind.SCRIPT, Kind.INTERPRETER]


def test_a_recipe_is_looked_for_in_the_first_mebibyte() -> None:
    """A wrapper is small, and a program may say anything."""
    wrapper = recipe(f"{PYTHON}/bin/python3")
    for size, kind in ((0, Kind.COMPILED), (1 << 20, Kind.BINARY)):
        found = read({**PLAIN, f"{PROGRAM}/bin/prog": ELF + b"\0" * size + wrapper})
        assert (found.steps[0].kind, found.note) == (kind, None)


def test_places_are_those_that_are_there() -> None:
    """However they are written; what the program's own list names is missed, once."""
    gone = f"{store_path('gone')}/{SITE}"
    line = f"site.addsitedir(p, k), ['{gone}','{gone}/','{LIB}/{SITE}'], site._init_pathinfo()"
    text = (
        f"#!/bin/sh\nexport PYTHONPATH={LIB}/bin/../{SITE}/:{gone}/a:$(x)/y\n"
        f"export NIX_PYTHONPATH={PROGRAM}/{SITE}:$(x)\nexec {PROGRAM}/bin/END\n"
    )
    disk = {
        **PLAIN,
        f"{LIB}/bin/x": b"",
        f"{PROGRAM}/bin/prog": text.replace("END", "end").encode(),
        f"{PROGRAM}/bin/other": text.replace("END", ".compiled").encode(),
        f"{PROGRAM}/bin/.compiled": ELF,
        f"{PROGRAM}/bin/end": SCRIPT + line.encode(),
    }
    places = (
        Place(f"{LIB}/{SITE}", is_site=False),
        Place(f"{PROGRAM}/{SITE}", is_site=True),
    )
    listed = Place(f"{LIB}/{SITE}", is_site=True, is_listed=True)
    found = read(disk)
    assert (found.places, found.missing) == ((*places, listed), (gone,))
    found = read(disk, f"{PROGRAM}/bin/other")
    assert (found.places, found.missing) == (places, ())


def test_a_shebang_that_would_be_too_long_is_read_through() -> None:
    """pip and uv write a script of two languages."""
    text = f"#!/bin/sh\n'''exec' {ENV}/bin/python3 \"$0\" \"$@\"\n' '''\nimport prog\n"
    assert read({**environment(), f"{PROGRAM}/bin/prog": text.encode()}).environment


@pytest.mark.parametrize(
    "line",
    [
        '{env}/bin/python3 -m prog "$@"',
        'env -u PYTHONHOME A=b {env}/bin/python3 "$@"',
        'A=b exec {env}/bin/python3 "$@"',
        'exec -- "{env}/bin/python3" ${{1+"$@"}}',
        'if [ -z "$X" ]; then\n  exec {env}/bin/python3\nfi\nexec /bin/false',
        "main() {{\n  exec /bin/false\n}}\nexec {env}/bin/python3",
        'if [ -n "$X" ]; then exec /bin/false; elif [ "$X" = "" ]; then exec {env}/bin/python3; fi',
        'cat <<END\nexec /bin/false\nEND\nexec {env}/bin/python3 "$@" 2>&1 # $(',
        'case "$1" in -x) echo x ;; *) : ;; esac\nexec {env}/bin/python3',
        'for x in a b; do echo "$x"; done; exec {env}/bin/python3',
        'P=$(dirname "$0"); X="$P/y"; exec {env}/bin/python3 "$X"',
        'set -- -m prog "$@"\n{env}/bin/python3 "$@"\nexit $?',
        f"set -- a; shift {'1' * 5000}; echo ${{{{{'1' * 5000}}}}}\nexec {{env}}/bin/python3",
    ],
)
def test_what_a_script_starts_without_a_doubt_is_followed(line: str) -> None:
    """Whatever else is in it."""
    text = f"#!/bin/sh\n{line.format(env=ENV)}\n"
    assert read({**environment(), f"{PROGRAM}/bin/prog": text.encode()}).environment


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("if [ -e /x ]; then exec {env}/bin/python3; fi\nexec /bin/false", "decides by itself"),
        ("[ -e /x ] && exec {env}/bin/python3\nexec {env}/bin/python3", "decides by itself"),
        ("case $1 in a) exec {env}/bin/python3 ;; esac", "decides by itself"),
        ('exec "$@"', "not there, or not in the store"),
        ('exec "$(x)/bin/python3"', "…/bin/python3 is not there, or not in the store"),
        ("exec ./python3", "not there, or not in the store"),
        ("exec /usr/bin/python3", "not there, or not in the store"),
        ("exec python3", "not there, or not in the store"),
        (". ./setup\nPATH=/x:{env}/bin\n. ./more\nexec python3", "not there, or not in the store"),
        ("exec {env}/bin/'python3", "cannot be read"),
        ("echo hello", "starts no program"),
        ("", "starts no program"),
    ],
)
def test_what_cannot_be_known_ends_the_chain_with_a_note(line: str, said: str) -> None:
    """Nothing is guessed at."""
    text = f"#!/bin/sh\n{line.format(env=ENV)}\n"
    found = read({**environment(), f"{PROGRAM}/bin/prog": text.encode()})
    assert found.interpreter is None
    assert found.note is not None
    assert said in found.note


def test_a_compiled_program_is_a_normal_end() -> None:
    """Python may be within it: PYTHONPATH counts all the same."""
    text = f"#!/bin/sh\nexport PYTHONPATH={LIB}/{SITE}\nexec {PROGRAM}/bin/.prog-wrapped"
    disk = {
        **PLAIN,
        f"{PROGRAM}/bin/prog": text.encode(),
        f"{PROGRAM}/bin/.prog-wrapped": ELF + b"blender",
    }
    found = read(disk)
    assert kinds(found)[-1] is Kind.BINARY
    assert (found.note, found.interpreter) == (None, None)
    assert directories(found) == [f"{LIB}/{SITE}"]


@pytest.mark.parametrize("name", ["python3", "interpreter"])
@pytest.mark.parametrize("real", ["python3.12", "other", "pypy3.11"])
def test_an_interpreter_is_told_by_either_name(name: str, real: str) -> None:
    """By the one that it is started by, or by that of its file."""
    disk: Disk = {
        f"{LIB}/bin/{real}": ELF,
        f"{LIB}/bin/{name}": real,
        f"{LIB}/lib/python3.12/os.py": b"",
        f"{PROGRAM}/bin/prog": f"#!/bin/sh\nexec {LIB}/bin/{name}\n".encode(),
    }
    found = read(disk)
    is_known = (name, real) != ("interpreter", "other")
    assert found.steps[-1] == (f"{LIB}/bin/{name}", Kind.INTERPRETER if is_known else Kind.BINARY)
    if real == "pypy3.11":
        assert (found.pypy, found.interpreter) == (f"{LIB}/bin/{name}", None)
    else:
        interpreter = f"{LIB}/bin/{real}" if is_known else None
        assert (found.pypy, found.interpreter) == (None, interpreter)


def test_a_free_threaded_build_is_told_by_the_file_behind_its_name() -> None:
    """``bin/python3.13`` is a link to ``python3.13t``."""
    free = store_path("python3.13t-3.13.1")
    disk: Disk = {
        f"{free}/bin/python3.13t": ELF,
        f"{free}/bin/python3.13": "python3.13t",
        f"{free}/lib/python3.13t/os.py": b"",
        f"{PROGRAM}/bin/prog": f"#!{free}/bin/python3.13\n".encode(),
    }
    found = read(disk)
    assert (found.version, found.interpreter) == ("3.13t", f"{free}/bin/python3.13t")


def test_pypy_is_told_by_its_name() -> None:
    """It is no interpreter that nixenv serves."""
    pypy = store_path("pypy3.11-7.3.20")
    disk = {f"{pypy}/bin/pypy3.11": ELF, f"{PROGRAM}/bin/prog": f"#!{pypy}/bin/pypy3.11\n".encode()}
    found = read(disk)
    assert (found.pypy, found.interpreter) == (f"{pypy}/bin/pypy3.11", None)


def test_no_value_of_the_machine_is_carried() -> None:
    """What decides where programs look for things is the launcher's own, or nixenv's."""
    names = ("LD_PRELOAD", "PYTHONHOME", "NIX_SSL", "FLOX_X", "XDG_DATA_DIRS", "PATH", "BASH_ENV")
    lines = "".join(f"export {name}='v'\n" for name in (*names, "MINE"))
    text = f"#!/bin/sh\n{lines}UNEXPORTED='v'\nexec {PYTHON}/bin/python3\n"
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": text.encode()})
    assert found.carried == (("MINE", "v"),)


# Parts --------------------------------------------------------------------------------------------


def test_a_shebang_has_one_argument() -> None:
    """As the kernel passes it."""
    assert parse_shebang("#! /x/env -S python3 -u\nfoo") == ("/x/env", "-S python3 -u")
    assert parse_shebang("#!/x/python\n") == ("/x/python", "")
    assert parse_shebang("#!\t/x/python\t-u \t\n-x") == ("/x/python", "-u")
    assert parse_shebang("#!python\n") is None
    assert parse_shebang("\n#!/x/python\n") is None


def test_path_lines_are_read_as_site_does() -> None:
    """Comments and code are none; the rest is relative to the directory."""
    text = "# x\n\nimport os\n../up\nsub/dir  \n/abs\nimport\tsys\n  \nimportant\n a\n\0\nlast"
    assert list(parse_path_lines("/s/p", text)) == [
        *("/s/up", "/s/p/sub/dir", "/abs", "/s/p/important", "/s/p/ a", "/s/p/last"),
    ]


def test_the_base_of_a_virtual_environment_is_its_home() -> None:
    """Keys are of any case, and the last of one counts."""
    assert parse_home("Home = /a\nhome=/b\nInclude-System-Site-Packages = True") == ("/b", True)
    assert parse_home("home\nother = x") == (None, True)
    assert parse_home(" home = /a = b \ninclude-system-site-packages=no") == ("/a = b", False)


def test_words_are_split_as_bash_quotes_them() -> None:
    """``${word@Q}``, and nothing that would have to be expanded."""
    assert split_words("a 'b c' 'it'\\''s' $'x\\ty\\x41' \"d e\"") == (
        *("a", "b c", "it's", "x\tyA", "d e"),
    )
    for text in ("'a", "$x", '"$(id)"'):
        with pytest.raises(Unreadable):
            split_words(text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from("abeEfnrtv\\'\"?qxuU z89").map("\\{}".format)
        | st.sampled_from(
            (r"\x41", r"\xe9", r"\xc3\xa9", r"\x4g", r"\101", r"\777", r"\08", r"\0z")
        )
        | st.sampled_from((r"\u00e9", r"\U1f40d", r"\ud800", r"\u20", "\u00e9", "x", "\n"))
    )
)
def test_escapes_are_what_bash_makes_of_them(escapes: list[str]) -> None:
    """Byte for byte: an unknown one stays, NUL ends the text, a surrogate breaks nothing."""
    word = f"$'{''.join(escapes)}'"
    done = subprocess.run(
        [require_tool("bash"), "-c", f"printf %s {word}".encode()],
        env={"LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    assert os.fsencode("".join(split_words(f"x{word}"))) == b"x" + done.stdout


def test_a_number_beyond_unicode_is_nothing() -> None:
    """Bash writes bytes for it that are no character."""
    assert split_words(r"a$'\U110000\U10ffff'") == ("a\U0010ffff",)


def test_a_recipe_ends_where_its_lines_end() -> None:
    """Each but the last goes on; what follows is text for people."""
    binary = recipe("/x", r"--set 'A' $'one\ntwo'", "--unset 'B'")
    text = find_recipe(binary)
    assert text is not None
    found = follow_recipe(text, Run("/w", (UNKNOWN,), "/w", {"B": "x"}))
    assert isinstance(found, Run)
    assert (found.file, found.name, found.arguments) == ("/x", "/x", (UNKNOWN,))
    assert found.variables == {"A": "one\ntwo"}
    assert find_recipe(ELF + b"makeCWrapperish") is None


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["C", "C.UTF-8"]),
    st.lists(st.binary(max_size=6).map(lambda data: data.replace(b"\0", b"\n")), min_size=1),
)
def test_values_of_a_recipe_are_what_bash_quoted(locale: str, values: list[bytes]) -> None:
    """Byte for byte, as ``docstring`` of make-binary-wrapper.sh writes them."""
    write = """printf 'makeCWrapper %s' "${1@Q}"
        shift
        for value; do printf ' \\\n    --add-flag %s' "${value@Q}"; done
        printf '\n\n\n# (Use `nix-shell`)\n'"""
    written = subprocess.run(
        [require_tool("bash"), "-c", write, "-", *values],
        env={"LC_ALL": locale},
        capture_output=True,
        check=True,
    ).stdout
    for binary in (b"\0\n\n" + written + b"\0more", written, written.split(b"\n\n\n")[0]):
        text = find_recipe(binary)
        assert text is not None
        found = follow_recipe(text, Run("/w", (), "/w"))
        assert isinstance(found, Run)
        assert [os.fsencode(word) for word in (found.file, *found.arguments)] == values


def test_a_recipe_does_with_variables_what_its_wrapper_does() -> None:
    """A value that is in a list already is moved; all others stay as they are."""
    given_ = {"OLD": "1", "GIVEN": "2", "LIST": "/b:/a:/c:/a", "TAIL": "/a:/b:/c", "ONE": "/a"}
    flags = (
        "--set 'SET' 'x y'",
        "--set-default 'GIVEN' 'x'",
        "--set-default 'NEW' ''",
        "--prefix 'LIST' ':' '/a'",
        "--prefix 'ONE' ':' '/a'",
        "--suffix 'ONE' ':' '/a'",
        "--prefix 'FRESH' ':' '/a:/b'",
        "--suffix 'TAIL' ':' '/a:/b'",
        "--suffix 'FRESH' ' ' '/c'",
        "--set 'BOTH' '/a'",
        "--suffix 'BOTH' ':' '/b'",
        "--unset 'OLD'",
        "--unset 'NONE'",
        "--chdir '/tmp'",
    )
    text = find_recipe(recipe("/x", *flags))
    assert text is not None
    found = follow_recipe(text, Run("/w", (UNKNOWN,), "/name", given_, {"GIVEN": "2", "OLD": "1"}))
    assert found == Run(
        "/x",
        (UNKNOWN,),
        "/x",
        {
            "GIVEN": "2",
            "LIST": "/a:/b:/c:/a",
            "TAIL": "/c:/a:/b",
            "ONE": "/a",
            "SET": "x y",
            "NEW": "",
            "FRESH": "/a:/b /c",
            "BOTH": "/a:/b",
        },
        {"GIVEN": "2", "SET": "x y", "NEW": ""},
    )


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ((), "/x"),
        (("--inherit-argv0",), "/name"),
        (("--argv0 'a'", "--inherit-argv0"), "/name"),
        (("--inherit-argv0", "--argv0 'a'"), "a"),
    ],
)
def test_the_last_flag_about_the_name_counts(flags: tuple[str, ...], name: str) -> None:
    """Without one it is the program's."""
    found = follow_recipe(f"makeCWrapper '/x' {' '.join(flags)}", Run("/w", (), "/name"))
    assert isinstance(found, Run)
    assert (found.file, found.name) == ("/x", name)


@pytest.mark.parametrize(
    "text", ["makeCWrapper ", "makeCWrapper '/x' --set 'A'", "makeCWrapper '/x' --odd 'A'", "'"]
)
def test_a_recipe_that_is_none_is_told(text: str) -> None:
    """Nothing is guessed of it."""
    assert isinstance(follow_recipe(text, Run("/w", (), "/w")), Stop)


def test_flags_of_a_recipe_stand_before_and_behind_the_users_arguments() -> None:
    """Split at blanks, where there may be several."""
    flags = ("--add-flag 'a b'", "--add-flags 'c d'", "--append-flag 'e f'", "--append-flags 'g h'")
    text = find_recipe(recipe("/x", *flags))
    assert text is not None
    found = follow_recipe(text, Run("/w", (UNKNOWN,), "/w"))
    assert isinstance(found, Run)
    assert found.arguments == ("a b", "c", "d", UNKNOWN, "e f", "g", "h")


# Hostile files ------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text() | st.text("'\"$`{}()[]|&;<>\\#!= \nax/", max_size=60))
def test_no_script_breaks_the_reader(text: str) -> None:
    """It gives a program or a reason."""
    for shebang in ("#!/bin/sh\n", f"#!{PYTHON}/bin/python3.12\n", ""):
        disk = {**PLAIN, f"{PROGRAM}/bin/prog": (shebang + text).encode("utf-8", "surrogatepass")}
        found = read(disk)
        assert found.interpreter or found.note
    assert isinstance(follow_shell(text.replace("\0", ""), Run("/x", (), "/x")), Run | Stop)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_binary_breaks_the_reader(data: bytes) -> None:
    """Unbalanced quotes, flags without a value, bytes that are no text."""
    disk = {**PLAIN, f"{PROGRAM}/bin/prog": ELF + b"makeCWrapper " + data}
    assert read(disk).steps


def test_a_recipe_with_unbalanced_quotes_ends_the_chain() -> None:
    """With a note."""
    disk = {**PLAIN, f"{PROGRAM}/bin/prog": ELF + b"makeCWrapper '/x' \\\n --set 'A\0"}
    note = read(disk).note
    assert note is not None
    assert "recipe" in note


def test_a_chain_of_ten_thousand_ends() -> None:
    """After as many steps as no real launcher has."""
    disk: dict[str, bytes | str] = {
        f"{PROGRAM}/bin/{number}": f"#!/bin/sh\nexec {PROGRAM}/bin/{number + 1}\n".encode()
        for number in range(10_000)
    }
    found = read(disk, f"{PROGRAM}/bin/0")
    assert len(found.steps) == MOST_STEPS
    assert found.note


def test_a_circle_ends() -> None:
    """Of two scripts that start each other."""
    disk: Disk = {
        f"{PROGRAM}/bin/prog": f'#!/bin/sh\nexec {PROGRAM}/bin/b "$@"'.encode(),
        f"{PROGRAM}/bin/b": f'#!/bin/sh\nexec {PROGRAM}/bin/prog "$@"'.encode(),
    }
    found = read(disk)
    assert len(found.steps) == 2
    assert found.note


def make_object(tmp_path: Path, name: str) -> Path:
    directory = tmp_path / f"{'a' * 32}-{name}"
    (directory / "bin").mkdir(parents=True)
    return directory


@pytest.mark.parametrize("content", [b"\x7fELF", b"#!/bin/sh\n", b"#!/bin/sh\nA=$A$A$A$A\n", b""])
def test_a_file_of_200_megabytes_is_read_from_its_start_only(
    tmp_path: Path, content: bytes
) -> None:
    """With a note that says why the chain ends there."""
    file = make_object(tmp_path, "huge") / "bin/prog"
    with file.open("wb") as stream:
        stream.write(content)
        stream.truncate(200 << 20)
    started = time.monotonic()
    found = read_launcher(str(file), str(tmp_path), LOOK)
    assert found.note
    assert time.monotonic() - started < 30, "bounded, however slow the machine"


@pytest.mark.parametrize(
    "lines",
    [
        "export A=aaaaaaaa\n" + "A=$A$A\n" * 60,
        "B=aaaaaaaa\n" + "B=$B$B\n" * 13 + 'export A="' + "$B" * 200_000 + '"\n',
        "B=aaaaaaaa\n" + "B=$B$B\n" * 13 + "export A=" + "${N:-" * 19 + "$B" * 9 + "}" * 19 + "\n",
        "B=aaaaaaaa\n" + "B=$B$B\n" * 13 + "export A=${B//a/$B}\n",
        "set -- a\n" + 'set -- "$@" "$@"\n' * 60 + 'export A="$1$@"\n',
        "B=' a'\n" + "B=$B$B\n" * 15 + "set -- $B $B\n" * 60 + 'export A="$@"\n',
    ],
)
def test_values_that_grow_without_end_are_given_up(lines: str) -> None:
    """Doubling forty times would take all memory."""
    text = f"#!/bin/sh\n{lines}exec {PYTHON}/bin/python3\n"
    found = read({**PLAIN, f"{PROGRAM}/bin/prog": text.encode()})
    assert found.interpreter
    assert found.carried == ()


@pytest.mark.parametrize(("value", "is_kept"), [("a" * 131_071, True), ("a" * 131_072, False)])
def test_a_value_that_linux_would_not_pass_on_is_given_up(value: str, *, is_kept: bool) -> None:
    """At once, and where it is added to."""
    for lines in (f"export A={value}", f"export A={value[:-1]}; B=a; A=${{A}}$B"):
        text = f"#!/bin/sh\n{lines}\nexec /x"
        found = follow_shell(text, Run("/s", (), "/s"))
        assert isinstance(found, Run)
        assert (found.variables["A"] == value) is is_kept
    recipes = (f"--set 'A' '{value}'", f"--set 'A' 'a' --prefix 'A' '' '{value[:-1]}'")
    for flags in recipes:
        found = follow_recipe(f"makeCWrapper '/x' {flags}", Run("/s", (), "/s"))
        assert isinstance(found, Run)
        assert found.variables["A"] == (value if is_kept else UNKNOWN)
        assert found.literals.get("A") in (value, None)


def test_links_in_a_circle_and_other_files_are_no_programs(tmp_path: Path) -> None:
    """Nor a pipe, which would never end, nor a directory."""
    directory = make_object(tmp_path, "odd") / "bin"
    (directory / "a").symlink_to("b")
    (directory / "b").symlink_to("a")
    os.mkfifo(directory / "pipe")
    (directory / "dir").mkdir()
    for name in ("a", "pipe", "dir", "none", "x" * 300):
        found = read_launcher(f"{directory}/{name}", str(tmp_path), LOOK)
        assert found.note, name


def test_nothing_is_executed(tmp_path: Path) -> None:
    """Whatever a script would do."""
    require_tool("sh")
    trace = tmp_path / "trace"
    file = make_object(tmp_path, "evil") / "bin/prog"
    file.write_text(f"#!/bin/sh\nA=$(touch {trace})\n`touch {trace}`\ntouch {trace}\nexec $A")
    file.chmod(0o755)
    assert read_launcher(str(file), str(tmp_path), LOOK).note
    assert not trace.exists()
    assert shutil.which("sh")


def test_commands_are_split_without_being_read_to_the_end() -> None:
    """What follows ``exec`` may be anything: Python, or an archive."""
    commands = parse_commands("exec x\n'''")
    assert len(next(commands).words) == 2
