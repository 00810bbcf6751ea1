"""What a virtual environment made of links holds.

Its interpreter is the closure's, its site-packages are all of the inventory's as pip would have
installed them into one directory: of each distribution one version, and directories that several
distributions share merged, be they PEP 420's namespaces or packages with an ``__init__.py`` in each
distribution, as the nvidia-* wheels have.
"""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

from attrs import frozen

from nixenv.linked.farm import FarmPlan, File, drop_identical, list_directory, require_present
from nixenv.linked.tree import Conflict, Link, Source, merge, separate
from nixenv.road.classify import Inventory
from nixenv.road.python import Interpreter
from nixenv.storepath import StorePath, store_name

_PLAIN_INTERPRETER = re.compile(r"python3?-(\d+\.\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?)")

# Entry points specification: importable.module:object.attribute [extras]
_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE = re.compile(rf"(?P<module>{_NAME})\s*:\s*(?P<object>{_NAME})\s*(?:\[.*\])?")
_SCRIPT_NAME = re.compile(r"(?!\.)[^\s/]+")

# Before 5.1 Linux reads 127 bytes of a script's first line, and white space ends the path in it.
_SHEBANG_LIMIT = 127
_PLAIN_PATH = re.compile(r"[^\s\ud800-\udfff]+")

# pip and uv look for the EXTERNALLY-MANAGED file of PEP 668 outside virtual environments only. A
# virtual environment's own pip.conf is read by any pip that installs into it, and a value that is
# none is what pip shows, before it does anything.
_PIP_CONFIGURATION = """\
[install]
user = This environment is externally managed: nixenv makes it of links into the Nix store, and \
makes it anew when the program changes. Put a virtual environment of your own on top of it, as \
docs/linked.md of nixenv says. This text
"""


@frozen
class _Metadata:
    """The metadata of one distribution: ``name`` in ``directory``, of the ``project``."""

    directory: str
    name: str
    project: str


def plan_virtualenv(inventory: Inventory, place: str) -> FarmPlan:
    """Say what the virtual environment of an inventory holds.

    Args:
        inventory: What the closure offers.
        place: The absolute directory where it is to be: console scripts name it.

    Raises:
        StoreObjectsMissing: a store object is not on disk.
        OSError: a site-packages directory cannot be read.
    """
    version = inventory.interpreter.version
    base = choose_base(inventory.interpreter)
    site_packages = f"lib/python{version}/site-packages"
    directories = [part.directory for part in inventory.site_packages]
    members = (base, *(directory.removesuffix(f"/{site_packages}") for directory in directories))
    require_present(members)
    found = {directory: _find_metadata(directory) for directory in directories}
    winners: dict[str, _Metadata] = {}
    for metadata in (one for several in found.values() for one in several):
        winners.setdefault(metadata.project, metadata)
    sources = tuple(
        Source(directory, _find_hidden(several, winners)) for directory, several in found.items()
    )
    executable = f"{base}/bin/python{version}"
    interpreters = {f"bin/{name}": executable for name in ("python", "python3", f"python{version}")}
    python = f"{place}/bin/python{version}"
    scripts, disputed = _plan_scripts(winners.values(), python, interpreters)
    # uv passes over metadata directories that are links.
    links, conflicts = separate(merge(site_packages, sources, list_directory, _is_metadata))
    return FarmPlan(
        members=members,
        links=(
            *(Link(path, executable) for path in interpreters),
            *links,
        ),
        files=(
            File("pyvenv.cfg", _write_configuration(base, version)),
            File("pip.conf", _PIP_CONFIGURATION),
            *scripts,
        ),
        directories=(site_packages,),
        conflicts=(*drop_identical(conflicts), *disputed),
    )


def choose_base(interpreter: Interpreter) -> StorePath:
    """Choose the interpreter that the virtual environment starts.

    That of a withPackages environment (``python3-3.12.12-env``) is a wrapper which starts the plain
    one under another name, and by that name Python finds no ``pyvenv.cfg``: take the plain one.
    """
    named = {
        path: match[1]
        for path in (interpreter.path, *interpreter.others)
        if (match := _PLAIN_INTERPRETER.fullmatch(store_name(path)))
        and f"{match[1]}.".startswith(f"{interpreter.version}.")
    }
    if interpreter.path in named or not named:
        return interpreter.path
    return max(named, key=lambda path: tuple(map(int, re.findall(r"\d+", named[path]))))


def _is_metadata(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


def _find_metadata(directory: str) -> tuple[_Metadata, ...]:
    names = sorted(filter(_is_metadata, os.listdir(directory)))
    return tuple(_Metadata(directory, name, _parse_project(name)) for name in names)


def _parse_project(metadata: str) -> str:
    """Read the normalised name (PEP 503) off ``zope.interface-7.2-py3.12.egg-info``."""
    stem = metadata.rpartition(".")[0].partition("-")[0]
    return re.sub(r"[-_.]+", "-", stem).lower()


def _find_hidden(several: Sequence[_Metadata], winners: Mapping[str, _Metadata]) -> frozenset[str]:
    """Find what is to be passed over in a directory: what only distributions that lost have there.

    Another version of the same distribution comes first. Merged with it, this one would add the
    modules that the other has dropped.
    """
    lost = [metadata for metadata in several if winners[metadata.project] != metadata]
    if not lost:
        return frozenset()
    kept = (metadata for metadata in several if winners[metadata.project] == metadata)
    return frozenset(_with_parents(lost)) - frozenset(_with_parents(kept))


def _with_parents(several: Iterable[_Metadata]) -> Iterator[str]:
    for metadata in several:
        for file in _read_files(metadata):
            parts = file.split("/")
            yield from ("/".join(parts[:end]) for end in range(1, len(parts) + 1))


def _read_files(metadata: _Metadata) -> Iterator[str]:
    """Read which files of site-packages belong to a distribution, metadata included."""
    yield metadata.name
    directory = os.path.join(metadata.directory, metadata.name)
    try:
        with open(f"{directory}/RECORD", encoding="utf-8", newline="") as stream:
            yield from (row[0] for row in csv.reader(stream) if row)
    except OSError:
        for name in _read_lines(f"{directory}/top_level.txt"):
            yield from (name, f"{name}.py")


def _read_lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read().split()
    except OSError:
        return []


def _plan_scripts(
    winners: Iterable[_Metadata], python: str, taken: Mapping[str, str]
) -> tuple[list[File], list[Conflict]]:
    """Write the console scripts as pip does; the first of a name wins, and after what is taken."""
    scripts = []
    disputed = []
    owners = dict(taken)
    for metadata in winners:
        owner = os.path.join(metadata.directory, metadata.name, "entry_points.txt")
        for entry_point in _read_entry_points(metadata):
            path = f"bin/{entry_point.name}"
            reference = _REFERENCE.fullmatch(entry_point.value)
            if reference is None or not _SCRIPT_NAME.fullmatch(entry_point.name):
                continue
            if path in owners:
                disputed.append(Conflict(path, owners[path], (owner,)))
                continue
            owners[path] = owner
            text = _write_script(python, reference["module"], reference["object"])
            scripts.append(File(path, text, executable=True))
    return scripts, disputed


def _read_entry_points(metadata: _Metadata) -> Iterable[EntryPoint]:
    file = Path(metadata.directory, metadata.name)
    if not os.path.exists(file / "entry_points.txt"):
        return ()
    try:
        entry_points = PathDistribution(file).entry_points
    except (OSError, ValueError, TypeError):
        return ()  # a file that importlib cannot read gives nobody a script
    return (
        *entry_points.select(group="console_scripts"),
        *entry_points.select(group="gui_scripts"),
    )


def _write_script(python: str, module: str, target: str) -> str:
    return f"""\
{_write_shebang(python)}
import sys

from {module} import {target.partition(".")[0]}

if __name__ == "__main__":
    sys.exit({target}())
"""


def _write_shebang(python: str) -> str:
    shebang = f"#!{python}"
    if _PLAIN_PATH.fullmatch(python) and len(os.fsencode(shebang)) <= _SHEBANG_LIMIT:
        return shebang
    # To a shell, `exec` of the interpreter beside the script; to Python, a string.
    name = os.path.basename(python)
    return f"""\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/{name}" "$0" "$@"
' '''"""


def _write_configuration(base: StorePath, version: str) -> str:
    """Write ``pyvenv.cfg`` as ``python -m venv`` does (PEP 405)."""
    match = _PLAIN_INTERPRETER.fullmatch(store_name(base))
    return f"""\
home = {base}/bin
include-system-site-packages = false
version = {match[1] if match else version}
executable = {base}/bin/python{version}
"""
