"""Follow a launcher step by step, from a program's file to its interpreter. Pure.

Nothing is executed, and no other program's wrapper is ever looked at: each step is what the one
before it starts.
"""

import itertools
import os
import re
from collections.abc import Mapping
from enum import StrEnum

from nixenv.road.launcher.end import (
    PYPY_NAME,
    PYTHON_NAME,
    Look,
    Place,
    find_python,
    find_version,
)
from nixenv.road.launcher.recipe import find_recipe, follow_recipe
from nixenv.road.launcher.script import parse_shebang
from nixenv.road.launcher.shell import SHELLS, follow_shell
from nixenv.road.launcher.state import UNKNOWN, Run, Scope, Stop, list_entries
from nixenv.storepath import enclosing_store_path
from nixenv.text import decode
from nixenv.typed import NamedTuple

MOST_STEPS = 50
"""So many steps are followed; real launchers have up to six."""

SCRIPT_LIMIT = 4 << 20
"""Bytes that are read of a program: a module list has about 100 an entry, so room for 40,000."""

BINARY_LIMIT = 1 << 20
"""Bytes that are read of a compiled one: makeBinaryWrapper's have some 20,000."""

_ASSIGNMENT = r"(?s)([A-Za-z_]\w*)=(.*)"

# Whose values belong to a launcher's own works, or to what nixenv does by itself.
_NOT_CARRIED = re.compile(
    r"(?:LD|NIX|FLOX|_FLOX|XDG)(?:_.*)?|PYTHON.*|PATH|IFS|ENV|BASH_ENV|PROMPT_COMMAND|"
    r"SHELLOPTS|BASHOPTS|PS4|HOME|SHELL|USER|PWD|OLDPWD|_"
)


class Kind(StrEnum):
    """What a step of a launcher is."""

    SHELL = "shell script"
    COMPILED = "compiled wrapper"
    FLOX = "Flox's environment wrapper"
    SCRIPT = "script"
    INTERPRETER = "Python interpreter"
    BINARY = "compiled program"
    OTHER = "other file"


class Step(NamedTuple):
    """One step of a launcher.

    Attributes:
        file: Its path, links not followed.
        kind: What it is.
    """

    file: str
    kind: Kind


class Launcher(NamedTuple):
    """What a program's launcher says.

    Attributes:
        steps: The way from the program's file to what it runs on.
        interpreter: The Python interpreter at its end, behind all links; None where there is none.
        version: That one's version; None where nothing tells it.
        environment: The interpreter of the environment that the program runs in, where that is
            another one.
        places: What is on sys.path, in its order, and is there.
        missing: What the program's own list names, and is not there.
        carried: The variables that the launcher sets to a value as it stands, and the values.
        pypy: The PyPy at its end, which nixenv does not know how to serve.
        note: Why the way could not be followed to its end; None where it was.
    """

    steps: tuple[Step, ...]
    interpreter: str | None = None
    version: str | None = None
    environment: str | None = None
    places: tuple[Place, ...] = ()
    missing: tuple[str, ...] = ()
    carried: tuple[tuple[str, str], ...] = ()
    pypy: str | None = None
    note: str | None = None


def read_launcher(file: str, store_dir: str, look: Look) -> Launcher:
    """Follow a program's launcher to its end.

    Args:
        file: The program's file.
        store_dir: The store directory, which is not left.
        look: How to look at the disk.
    """
    run = Run(file, (UNKNOWN,), file)
    steps: list[Step] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while True:
        here = run.file, run.arguments
        if here in seen or len(steps) == MOST_STEPS:
            return _end(steps, run, look, "it goes in a circle, or has too many steps")
        seen.add(here)
        found = _locate(run, store_dir, look)
        if found is None:
            steps.append(Step(run.file.replace(UNKNOWN, "…"), Kind.OTHER))
            if enclosing_store_path(run.file, store_dir) is None:
                run = run._replace(file="")  # whatever it is called, it is not the program's
            return _end(steps, run, look, f"{steps[-1].file} is not there, or not in the store")
        run = run._replace(file=found)
        kind, after = _follow(run, look)
        steps.append(Step(found, kind))
        if after is None or isinstance(after, Stop):
            return _end(steps, run, look, None if after is None else f"{found}: {after.detail}")
        run = after


def _locate(run: Run, store_dir: str, look: Look) -> str | None:
    """Find the file that a run means, in the store; a bare name is looked up on PATH."""
    if "/" in run.file:
        candidates = [run.file]
    else:
        candidates = [f"{entry}/{run.file}" for entry in list_entries(run.variables, "PATH")]
    for candidate in candidates:
        if UNKNOWN in candidate or not candidate.startswith("/"):
            return None
        real = look.file(candidate)
        if real is not None:
            is_inside = any(enclosing_store_path(path, store_dir) for path in (candidate, real))
            return candidate if is_inside else None
    return None


def _follow(run: Run, look: Look) -> tuple[Kind, Run | Stop | None]:
    head = look.head(run.file) or b""
    name = os.path.basename(run.file)
    real_name = os.path.basename(look.file(run.file) or run.file)
    if head.startswith(b"\x7fELF"):
        recipe = find_recipe(head[:BINARY_LIMIT])
        if recipe is not None:
            return Kind.COMPILED, follow_recipe(recipe, run)
        is_python = PYTHON_NAME.fullmatch(real_name) or PYTHON_NAME.fullmatch(name)
        if is_python or PYPY_NAME.fullmatch(real_name):
            return Kind.INTERPRETER, None
        is_cut = len(head) >= SCRIPT_LIMIT
        return Kind.BINARY, Stop("only the first bytes of it were read") if is_cut else None
    kind, after = _follow_script(head, run, look)
    if isinstance(after, Stop) and PYTHON_NAME.fullmatch(real_name):
        return Kind.INTERPRETER, None
    return kind, after


def _follow_script(head: bytes, run: Run, look: Look) -> tuple[Kind, Run | Stop]:
    text = decode(head)
    shebang = parse_shebang(text)
    if shebang is None:
        return Kind.OTHER, Stop("it is neither a script nor a compiled program")
    interpreter, argument = shebang
    name = os.path.basename(interpreter)
    if name == "env":
        words = argument.removeprefix("-S").split()
        interpreter, given = (words[0], tuple(words[1:])) if words else ("", ())
        name = os.path.basename(interpreter)
    else:
        given = (argument,) if argument else ()
    if name in SHELLS:
        if UNKNOWN in text:
            return Kind.SHELL, Stop("there are NUL bytes in it")
        if "FLOX_ENV" in text and (started := _follow_flox(run, look)):
            return Kind.FLOX, started
        after = follow_shell(text, run)
        return Kind.SHELL, _through_env(after) if isinstance(after, Run) else after
    if PYTHON_NAME.fullmatch(name) or PYPY_NAME.fullmatch(name):
        after = run._replace(file=interpreter, name=interpreter)
        return Kind.SCRIPT, after._replace(arguments=(*given, run.file, *run.arguments))
    return Kind.SCRIPT, Stop(f"it is for {name or 'no program'}")


def _through_env(run: Run) -> Run:
    """Go on with what ``env [-u NAME] [NAME=VALUE] PROGRAM`` starts."""
    if os.path.basename(run.file) != "env":
        return run
    scope = Scope(run)
    words = list(run.arguments)
    while words:
        word = words.pop(0)
        if word in ("-u", "--unset") and words:
            scope.unset(words.pop(0))
        elif word in ("-C", "--chdir") and words:
            del words[0]
        elif word in ("-i", "-"):
            scope = Scope(run._replace(variables={}, literals={}))
        elif match := re.fullmatch(_ASSIGNMENT, word):
            scope.assign(match[1], match[2])
            scope.export(match[1])
        elif not word.startswith("-"):
            return scope.start(word, tuple(words), word)
    return run


def _follow_flox(run: Run, look: Look) -> Run | None:
    """Do what the wrapper of a Flox environment does, on paper; None where this is no such call.

    A build's program is ``exec -a "$0" "ENV/wrapper" --env ENV -- ENV/bin/.prog-wrapped "$@"``
    (Flox, ``package-builder/build-manifest.nix``), before that ``ENV/activate --turbo -- …`` with
    FLOX_ENV set. The wrapper puts the environment's ``bin`` and ``sbin`` on PATH, and where it has
    a ``bin/python3`` its site-packages on PYTHONPATH (``profile.d/0500_python.sh``).
    """
    words = run.arguments
    if os.path.basename(run.file) not in ("wrapper", "activate") or "--" not in words:
        return None
    place = words.index("--")
    options, command = words[:place], words[place + 1 :]
    named = dict(itertools.pairwise(options))
    home = named.get("--env") or named.get("-e") or run.variables.get("FLOX_ENV", "")
    if not home.startswith("/") or UNKNOWN in home or not command:
        return None
    scope = Scope(run)
    scope.assign("FLOX_ENV", home)
    scope.assign("PATH", f"{home}/bin:{home}/sbin:{scope.get('PATH') or ''}")
    scope.export("FLOX_ENV")
    python = look.file(f"{home}/bin/python3")
    version = find_version(python, look) if python else None
    site = f"{home}/lib/python{version}/site-packages"
    if version and site not in list_entries(scope.values, "PYTHONPATH"):
        scope.suffix("PYTHONPATH", ":", site)
        scope.export("PYTHONPATH")
    return scope.start(command[0], command[1:], command[0])


def _end(steps: list[Step], run: Run, look: Look, note: str | None) -> Launcher:
    launcher = Launcher(tuple(steps), carried=_list_carried(run.literals), note=note)
    name = os.path.basename(look.file(run.file) or run.file)
    if PYPY_NAME.fullmatch(name):
        return launcher._replace(pypy=run.file)
    is_python = PYTHON_NAME.fullmatch(name) or PYTHON_NAME.fullmatch(os.path.basename(run.file))
    if is_python and UNKNOWN not in run.file:
        python = find_python(run, look)
        launcher = launcher._replace(
            interpreter=python.executable, version=python.version, environment=python.environment
        )
        places = python.places
    else:
        # Python may be within a compiled program, which reads the same variables.
        names = ("PYTHONPATH", "NIX_PYTHONPATH")
        entries = ((one, name) for name in names for one in list_entries(run.variables, name))
        places = tuple(
            Place(one, is_site=name == names[1]) for one, name in entries if UNKNOWN not in one
        )
    places = tuple(map(_normalized, places))
    # One look at each: there may be hundreds, and more than one of a name.
    is_there = {p.directory: look.is_directory(p.directory) for p in places}
    there = tuple(place for place in places if is_there[place.directory])
    missing = (p.directory for p in places if p.is_listed and not is_there[p.directory])
    return launcher._replace(places=there, missing=tuple(dict.fromkeys(missing)))


def _normalized(place: Place) -> Place:
    directory = os.path.normpath(place.directory)
    return place if directory == place.directory else place._replace(directory=directory)


def _list_carried(literals: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value)
        for name, value in sorted(literals.items())
        if not _NOT_CARRIED.fullmatch(name)
    )
