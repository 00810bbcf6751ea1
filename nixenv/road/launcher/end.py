"""Where a launcher ends: a Python interpreter, with what it will have on sys.path. Pure.

CPython finds its prefix by the name that it was started by (``Modules/getpath.py``), and its
modules in the order of the language reference ("The initialization of the sys.path module search
path"); nixpkgs' ``sitecustomize.py`` adds NIX_PYTHONPATH.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence

from nixenv.road.launcher.script import parse_home, parse_module_list
from nixenv.road.launcher.state import UNKNOWN, Run, list_entries
from nixenv.text import decode
from nixenv.typed import NamedTuple
from nixenv.versions import VERSIONED_PYTHON

PYTHON_NAME = re.compile(r"\.?python(?:\d*|\d+\.\d+t?)(?:-wrapped_*)?")
"""What an interpreter's file is called."""

PYPY_NAME = re.compile(r"pypy[\d.]*(?:-c)?")
"""What that of PyPy is called."""


# Modules that each interpreter has in its own site-packages, and no program imports.
_OWN = frozenset({"README.txt", "sitecustomize.py", "usercustomize.py", "__pycache__"})

# Options with a value of their own, and those that leave something off sys.path.
_WITH_VALUE = "XW"
_PROGRAM = "cm"


class Look(NamedTuple):
    """How to look at the disk: the probe's, or a test's.

    Attributes:
        head: Reads the start of a regular file; None where there is none.
        file: Gives the file behind all links; None where there is none.
        is_directory: Says whether there is a directory.
        names: Lists a directory; empty where there is none.
    """

    head: Callable[[str], bytes | None]
    file: Callable[[str], str | None]
    is_directory: Callable[[str], bool]
    names: Callable[[str], Sequence[str]]


class Place(NamedTuple):
    """A directory that the launcher puts on sys.path.

    Attributes:
        directory: Its path.
        is_site: Whether Python reads the ``.pth`` files in it.
        is_listed: Whether the program's own list names it: it was there when that was built.
    """

    directory: str
    is_site: bool
    is_listed: bool = False


class Python(NamedTuple):
    """An interpreter at the end of a launcher.

    Attributes:
        executable: Its file, behind all links and wrappers.
        version: ``X.Y``, ``X.Yt`` for a free-threaded build; None where nothing tells it.
        environment: What it was started as, where that is the interpreter of an environment.
        places: What it puts on sys.path, in this order, without its standard library.
    """

    executable: str
    version: str | None
    environment: str | None
    places: tuple[Place, ...]


def find_python(run: Run, look: Look) -> Python:
    """Say what an interpreter that is started so will have on sys.path."""
    name = run.name if "/" in run.name else run.file
    plain = look.file(run.file) or run.file
    virtual = _find_virtual(name, look)
    if virtual is not None:
        plain = _find_in(virtual.home, look) or plain
    version = find_version(plain, look) or find_version(name, look)
    prefix = virtual.prefix if virtual else _find_prefix(name, plain, version, look)
    options = _parse_options(run.arguments)
    script = look.file(options.script) if options.script else None
    places = dict.fromkeys(_before(run, options, script, look))
    if version is not None and "S" not in options.letters:
        base = [_prefix_of(plain)] if virtual is None or virtual.has_system else []
        places |= dict.fromkeys(_sites(prefix, base, version, look))
        nix = list_entries(run.variables, "NIX_PYTHONPATH")
        places |= dict.fromkeys(Place(entry, is_site=True) for entry in nix)
    listed = parse_module_list(decode(look.head(script) or b"")) if script else ()
    places |= dict.fromkeys(Place(entry, is_site=True, is_listed=True) for entry in listed)
    return Python(
        plain,
        version,
        _find_environment(run, prefix, plain, version, look),
        tuple(place for place in places if UNKNOWN not in place.directory),
    )


def _find_environment(
    run: Run, prefix: str, plain: str, version: str | None, look: Look
) -> str | None:
    """Find the interpreter whose sys.prefix the program has, where that is another than it runs."""
    told = run.variables.get("NIX_PYTHONEXECUTABLE", "")
    if UNKNOWN not in told and look.file(told):
        return told
    executable = f"{prefix}/bin/python{version}"
    return executable if prefix != _prefix_of(plain) and look.file(executable) else None


def find_version(executable: str, look: Look) -> str | None:
    """Tell an interpreter's version by its name, else by the standard library beside it.

    ``bin/python3.13`` of a free-threaded build is a link to ``python3.13t``, or a copy of it.
    """
    name = os.path.basename(look.file(executable) or executable)
    match = VERSIONED_PYTHON.fullmatch(name)
    prefix = _prefix_of(look.file(executable) or executable)
    if match and look.is_directory(f"{prefix}/lib/python{match[1]}"):
        return match[1]
    libraries = map(VERSIONED_PYTHON.fullmatch, look.names(f"{prefix}/lib"))
    found = [library[1] for library in libraries if library]
    if match:
        return f"{match[1]}t" if f"{match[1]}t" in found else match[1]
    return found[0] if len(found) == 1 else None


def _prefix_of(executable: str) -> str:
    return os.path.dirname(os.path.dirname(executable))


class _Virtual(NamedTuple):
    prefix: str
    home: str
    has_system: bool


def _find_virtual(name: str, look: Look) -> _Virtual | None:
    """Find the virtual environment that an interpreter is started in."""
    directory = os.path.dirname(name)
    for place in (directory, os.path.dirname(directory)):
        head = look.head(f"{place}/pyvenv.cfg")
        if head is not None:
            home, has_system = parse_home(decode(head))
            return _Virtual(place, home or directory, has_system)
    return None


def _find_in(home: str, look: Look) -> str | None:
    names = [name for name in look.names(home) if PYTHON_NAME.fullmatch(name)]
    return next((found for name in sorted(names) if (found := look.file(f"{home}/{name}"))), None)


def _find_prefix(name: str, plain: str, version: str | None, look: Look) -> str:
    prefix = _prefix_of(look.file(name) or name)
    # The landmark; elsewhere CPython falls back to where it was installed.
    has_library = look.file(f"{prefix}/lib/python{version}/os.py") is not None
    return prefix if has_library else _prefix_of(plain)


def _sites(prefix: str, base: Sequence[str], version: str, look: Look) -> Iterator[Place]:
    for one in (prefix, *base):
        site = f"{one}/lib/python{version}/site-packages"
        if set(look.names(site)) - _OWN:
            yield Place(site, is_site=True)


class _Options(NamedTuple):
    letters: str
    script: str | None


def _parse_options(arguments: Sequence[str]) -> _Options:
    """Split an interpreter's arguments (``Python/getopt.c``): its options, and the script."""
    letters = ""
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-") or word == "-":
            return _Options(letters, None if UNKNOWN in word else word)
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(rest, None)
            continue
        for place, letter in enumerate(word[1:], 1):
            letters += letter
            if letter in _PROGRAM:
                return _Options(letters, None)
            if letter in _WITH_VALUE:
                if place == len(word) - 1:
                    next(rest, None)
                break
    return _Options(letters, None)


def _before(run: Run, options: _Options, script: str | None, look: Look) -> Iterator[Place]:
    """List what comes before the standard library."""
    is_isolated = "I" in options.letters
    if script and not is_isolated and "P" not in options.letters:
        directory = os.path.dirname(script)
        if _holds_modules(directory, os.path.basename(script), look):
            yield Place(directory, is_site=False)
    if not is_isolated and "E" not in options.letters:
        for entry in list_entries(run.variables, "PYTHONPATH"):
            yield Place(entry, is_site=False)


def _holds_modules(directory: str, script: str, look: Look) -> bool:
    """Whether there is something to import beside a script: in ``bin`` there is mostly not."""
    names = [name for name in look.names(directory) if name not in (script, "__pycache__")]
    return any(
        name.endswith((".py", ".so"))
        or (name.isidentifier() and look.is_directory(f"{directory}/{name}"))
        for name in names
        if not name.startswith(".")
    )
