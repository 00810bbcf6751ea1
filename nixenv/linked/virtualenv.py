"""What a virtual environment made of links holds.

Its interpreter is the closure's, its site-packages are all of the inventory's as pip would have
installed them into one directory: of each distribution one version, and directories that several
distributions share merged, be they PEP 420's namespaces or packages with an ``__init__.py`` in each
distribution, as the nvidia-* wheels have.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from nixenv.linked.farm import FarmPlan, File, drop_identical, list_directory, require_present
from nixenv.linked.record import is_path, read_record
from nixenv.linked.scripts import plan_scripts
from nixenv.linked.tree import Conflict, Link, Source, merge, separate
from nixenv.road.classify import Inventory
from nixenv.road.disk import read_text
from nixenv.road.python import Interpreter, Part, SitePackages, find_full_version
from nixenv.storepath import StorePath, enclosing_store_path

_NAMES_HEAD = 1 << 16

# pip and uv look for the EXTERNALLY-MANAGED file of PEP 668 outside virtual environments only. A
# virtual environment's own pip.conf is read by any pip that installs into it, and a value that is
# none is what pip shows, before it does anything.
_PIP_CONFIGURATION = """\
[install]
user = This environment is externally managed: nixenv makes it of links into the Nix store, and \
makes it anew when the program changes. Put a virtual environment of your own on top of it, as \
`nixenv explain farm-foreign-files` says. This text
"""


@frozen
class _Metadata:
    """The metadata of one distribution: ``name`` in ``directory``, of the ``project``."""

    directory: str
    name: str
    project: str


def plan_virtualenv(inventory: Inventory, interpreter: Interpreter, place: str) -> FarmPlan:
    """Say what the virtual environment of an inventory holds.

    Args:
        inventory: What the closure offers.
        interpreter: Its Python interpreter.
        place: The absolute directory where it is to be: console scripts name it.

    Raises:
        StoreObjectsMissing: a store object is not on disk.
        OSError: a site-packages directory cannot be read.
    """
    version = interpreter.version
    base = interpreter.base or interpreter.path
    site_packages = f"lib/python{version}/site-packages"
    parts = [part for part in inventory.site_packages if part.part is Part.SITE]
    members = (base, *_list_members(parts, site_packages))
    require_present(members)
    found = {part.directory: _find_metadata(part.directory) for part in parts}
    winners: dict[str, _Metadata] = {}
    for metadata in (one for several in found.values() for one in several):
        winners.setdefault(metadata.project, metadata)
    sources = tuple(
        Source(directory, _find_hidden(several, winners)) for directory, several in found.items()
    )
    # uv passes over metadata directories that are links.
    links, conflicts = separate(merge(site_packages, sources, list_directory, _is_metadata))
    path_files, disputes = _keep_path_files(conflicts, site_packages)
    data, more = separate(_merge_data(parts, site_packages))
    programs, scripts, disputed = _plan_programs(inventory, interpreter, winners.values(), place)
    return FarmPlan(
        members=members,
        links=(*programs, *links, *path_files, *data),
        files=(
            File("pyvenv.cfg", _write_configuration(base, version)),
            File("pip.conf", _PIP_CONFIGURATION),
            *_write_path_file(inventory, site_packages),
            *scripts,
        ),
        directories=(site_packages,),
        conflicts=(*drop_identical((*disputes, *more)), *disputed),
    )


def _list_members(parts: Sequence[SitePackages], site_packages: str) -> Iterator[str]:
    """Give the store objects that the modules are taken from."""
    for part in parts:
        if part.content:
            store_dir = _object_of(part.directory, site_packages).rpartition("/")[0]
            objects = (enclosing_store_path(path, store_dir) for path in part.content)
            yield from dict.fromkeys(filter(None, objects))
        else:
            yield _object_of(part.directory, site_packages)


def _object_of(directory: str, site_packages: str) -> str:
    return directory.removesuffix(f"/{site_packages}")


def _plan_programs(
    inventory: Inventory, interpreter: Interpreter, winners: Iterable[_Metadata], place: str
) -> tuple[list[Link], list[File], list[Conflict]]:
    """Say what is in ``bin``: the interpreter, the program, its distributions' scripts."""
    version, executable = interpreter.version, interpreter.base_executable
    names = ("python", "python3", f"python{version}")
    links = [Link(f"bin/{name}", executable) for name in names]
    taken = {link.path: link.target for link in links}
    own = {part.directory for part in inventory.site_packages if part.own}
    scripts, disputed = plan_scripts(
        (f"{one.directory}/{one.name}" for one in winners if one.directory in own),
        f"{place}/bin/python{version}",
        taken,
        inventory.program.carried if inventory.program else (),
    )
    program = inventory.program
    if program is not None:
        path = f"bin/{program.name}"
        if path not in {*taken, *(script.path for script in scripts)}:
            links.append(Link(path, program.file))
    return links, scripts, disputed


def _keep_path_files(
    conflicts: Iterable[Conflict], site_packages: str
) -> tuple[list[Link], list[Conflict]]:
    """Give ``.pth`` files of one name, with different lines, a name each: all of them count."""
    links = []
    rest = []
    for conflict in conflicts:
        stem, dot, ending = conflict.path.rpartition(".pth")
        if dot and not ending and os.path.dirname(conflict.path) == site_packages:
            links += [
                Link(f"{stem}.{number}.pth", file) for number, file in enumerate(conflict.losers, 2)
            ]
        else:
            rest.append(conflict)
    return links, rest


def _merge_data(parts: Iterable[SitePackages], site_packages: str) -> Iterator[Link | Conflict]:
    """Merge what the program's own modules look for below sys.prefix, such as Jupyter's kernels."""
    homes = [
        _object_of(part.directory, site_packages)
        for part in parts
        if part.own and part.directory.endswith(f"/{site_packages}")
    ]
    for name in ("share", "etc"):
        sources = [Source(f"{home}/{name}") for home in homes if os.path.isdir(f"{home}/{name}")]
        yield from merge(name, sources, list_directory)


def _write_path_file(inventory: Inventory, site_packages: str) -> Iterator[File]:
    """Write path lines for what is not merged.

    That is directories of scripts, and what a ``.pth`` file reaches outside its site-packages.
    """
    sites = tuple(f"{p.directory}/" for p in inventory.site_packages if p.part is Part.SITE)
    lines = [
        part.directory
        for part in inventory.site_packages
        if part.part is Part.PATH
        or (part.part is Part.LINE and not part.directory.startswith(sites))
    ]
    if lines:
        text = "".join(f"{line}\n" for line in lines)
        yield File(f"{site_packages}/nixenv-paths.pth", text)


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
    modules that the other has dropped. One that does not say which files are its own may have any
    that is no other's.
    """
    lost = [metadata for metadata in several if winners[metadata.project] != metadata]
    if not lost:
        return frozenset()
    kept = [metadata for metadata in several if winners[metadata.project] == metadata]
    files = {metadata: tuple(_read_files(metadata)) for metadata in several}
    theirs = {path for metadata in kept for path in _with_parents(files[metadata])}
    hidden = {path for metadata in lost for path in _with_parents(files[metadata])}
    is_told = all(len(files[metadata]) > 1 for metadata in kept)
    if is_told and any(len(files[metadata]) == 1 for metadata in lost):
        hidden |= set(os.listdir(lost[0].directory))
    return frozenset(hidden - theirs)


def _with_parents(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        parts = file.split("/")
        yield from ("/".join(parts[:end]) for end in range(1, len(parts) + 1))


def _read_files(metadata: _Metadata) -> Iterator[str]:
    """Read which files of site-packages belong to a distribution, metadata included."""
    yield metadata.name
    directory = os.path.join(metadata.directory, metadata.name)
    recorded = read_record(directory)
    if recorded is not None:
        yield from recorded
        return
    for name in filter(is_path, read_text(f"{directory}/top_level.txt", _NAMES_HEAD).split()):
        yield from (name, f"{name}.py")


def _write_configuration(base: StorePath, version: str) -> str:
    """Write ``pyvenv.cfg`` as ``python -m venv`` does (PEP 405)."""
    return f"""\
home = {base}/bin
include-system-site-packages = false
version = {find_full_version(base) or version}
executable = {base}/bin/python{version}
"""
