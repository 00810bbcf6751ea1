"""The probe station: look once at each store object and note what it holds.

A note is data and nothing is judged here: which interpreter or toolkit is the right one is for
`nixenv.road.classify` to say. With the closure, the notes are all that the rest of the road needs,
so they can be recorded and replayed (`nixenv.snapshot`).
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import islice

from nixenv.errors import NixenvError, Unreadable
from nixenv.road.cuda_files import CudaWheels, Torch, probe_nvcc, probe_torch, probe_wheels
from nixenv.road.disk import LOOK, find_file, is_directory, is_kind, list_names, require_text
from nixenv.road.launcher import Launcher, Place, read_launcher
from nixenv.road.modules import FloxModules, ModuleDirectory, probe_flox, probe_modules
from nixenv.road.nix import repair_command
from nixenv.road.prefix import (
    find_headers,
    find_programs,
    probe_include,
    probe_libraries,
    probe_newest_gcc,
)
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, enclosing_store_path
from nixenv.typed import NamedTuple
from nixenv.versions import VERSIONED_PYTHON

# Store objects between two questions: a quarter of a millisecond on a disk that is warm.
_AT_A_TIME = 8


class StoreObjectsMissing(NixenvError):
    """Members of the closure are not on disk."""

    paths: Sequence[str]
    repair: str

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            "the closure names store objects that are not on disk:",
            f"as root, run `{self.repair}`; without Nix, make the container image again",
            self.paths,
        )


class StoreObject(NamedTuple):
    """What one store object holds, as far as it matters here.

    Attributes:
        path: Its store path.
        pythons: Versions ``X.Y`` (``X.Yt`` of free-threaded builds) for which it holds
            ``bin/pythonX.Y``.
        site_packages: Versions for which it holds ``lib/pythonX.Y/site-packages``.
        programs: Those of `nixenv.road.prefix.PROGRAMS` that are in its ``bin``, and its C and C++
            compilers.
        include_dirs: Its ``include``, and ``include/cccl`` (CUDA 13 keeps CCCL's headers there).
        library_dirs: Its ``lib`` and ``lib64``.
        stub_dirs: The ``stubs`` directories in these.
        cuda_marker: Whether it has nixpkgs' ``nix-support/include-in-cudatoolkit-root``.
        propagated: The store paths in ``nix-support/propagated-build-inputs``.
        linked: The store objects that its nvcc and its interpreters lead to, where they are links.
        host_compiler: What its nvcc calls by itself: a compiler, or the directory of one.
        mentions: The store paths that its nvcc's files name.
        headers: Those of `nixenv.road.prefix.HEADERS` that are in its include directories.
        newest_gcc: The highest major version of gcc that its ``crt/host_config.h`` accepts.
        cudart: Which of its library directories has a ``libcudart.so``, of whatever version.
        torch: The torch in its site-packages.
        wheels: The parts of CUDA in its site-packages.

    Directories are real ones: links are followed, and each is noted once.
    """

    path: StorePath
    pythons: tuple[str, ...] = ()
    site_packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()
    stub_dirs: tuple[str, ...] = ()
    cuda_marker: bool = False
    propagated: tuple[str, ...] = ()
    linked: tuple[StorePath, ...] = ()
    host_compiler: str | None = None
    mentions: tuple[StorePath, ...] = ()
    headers: tuple[str, ...] = ()
    newest_gcc: int | None = None
    cudart: str | None = None
    torch: Torch | None = None
    wheels: tuple[CudaWheels, ...] = ()


class Fault(NamedTuple):
    """A store object that could not be looked at.

    Attributes:
        path: The path that failed, in the store object or the object itself.
        missing: Whether the store object is not on disk; else it is there and unreadable.
        errno: The system's reason, a number of `errno`.
    """

    path: str
    missing: bool
    errno: int

    @property
    def detail(self) -> str:
        """The system's reason, for a person."""
        return os.strerror(self.errno)


class Probe(NamedTuple):
    """The notes on a whole closure.

    Attributes:
        objects: One for each member that holds something of interest, in the closure's order.
        launcher: What the program's launcher says; None where no program is known.
        faults: What could not be looked at.
        directories: Notes on the directories of modules that the program itself uses, where there
            is something to note.
        flox: The modules of the Flox environment; None where it has no Python.
        root_python: What the launcher of the root's own interpreter says, where the program's ends
            at none.
        is_environment: Whether the root is an environment of links to others' programs.
    """

    objects: tuple[StoreObject, ...]
    launcher: Launcher | None = None
    faults: tuple[Fault, ...] = ()
    directories: tuple[ModuleDirectory, ...] = ()
    flox: FloxModules | None = None
    root_python: Launcher | None = None
    is_environment: bool = False

    @property
    def python(self) -> Launcher | None:
        """The launcher that tells of Python: the program's, else the root's own interpreter."""
        return self.root_python or self.launcher


class Head(NamedTuple):
    """The notes that can be taken before the closure is known.

    Attributes:
        launcher: What the program's launcher says.
        notes: By path, on the store objects that have to do with the program, and on what could not
            be read of them; None where there is nothing to note. `look_further` adds to them.
        directories: As in `Probe`.
        flox: As in `Probe`.
        root_python: As in `Probe`.
        is_environment: As in `Probe`.
    """

    launcher: Launcher | None
    notes: MutableMapping[str, StoreObject | Fault | None]
    directories: tuple[ModuleDirectory, ...] = ()
    flox: FloxModules | None = None
    root_python: Launcher | None = None
    is_environment: bool = False


def probe_head(root: StorePath, program: str | None, flox_env: str | None = None) -> Head:
    """Follow the program's launcher, and look at the store objects whose modules it uses.

    That is about half of a closure, and it can be done while Nix works out the rest.

    Args:
        root: The root's store path.
        program: The program: the path of its file, or the name of one in the root's ``bin``.
        flox_env: The directory of the Flox environment.
    """
    store_dir = os.path.dirname(root)
    file = os.path.join(f"{root}/bin", program) if program else None
    notes = _Notes()

    def is_there(directory: str) -> bool:
        """Ask the note on its store object, which is wanted anyway, before the disk."""
        path = enclosing_store_path(directory, store_dir)
        if path is not None:
            notes[path]  # to ask for it is to take it
        return directory in notes.listed or is_directory(directory)

    look = LOOK._replace(is_directory=is_there)
    try:
        launcher = read_launcher(file, store_dir, look) if file is not None else None
        own = _root_interpreter(notes[root])
        is_told = launcher is not None and (launcher.interpreter or launcher.pypy)
        root_python = read_launcher(own, store_dir, look) if own and not is_told else None
        flox = probe_flox(flox_env, store_dir) if flox_env else None
        places = (root_python or launcher or Launcher(())).places
        directories = _probe_directories(root, store_dir, places, flox, notes)
        is_environment = _is_environment(root, store_dir)
    except OSError as error:
        return Head(None, {**notes, root: _fault(root, error)})
    return Head(launcher, notes, directories, flox, root_python, is_environment)


def look_further(head: Head, paths: Iterable[StorePath], goes_on: Callable[[], bool]) -> None:
    """Add the notes on ``paths`` to a head, for as long as there is nothing better to do.

    Args:
        head: The head.
        paths: What may be in the closure; a note on anything else is of no use, and of no harm.
        goes_on: Asked before the first of them, and now and then.
    """
    further = iter(paths)
    while goes_on() and (some := tuple(islice(further, _AT_A_TIME))):
        for path in some:
            if path not in head.notes:
                head.notes[path] = _note(path, {})


def probe_closure(
    closure: Closure,
    program: str | None,
    flox_env: str | None = None,
    head: Head | None = None,
) -> Probe:
    """Look at each member of ``closure``, and at the program's launcher.

    Faults are collected, not raised: a troubleshooter wants all of them.

    Args:
        closure: The closure.
        program: The program, as in `probe_head`.
        flox_env: The directory of the Flox environment.
        head: What `probe_head` noted already.
    """
    head = head or probe_head(closure.root, program, flox_env)
    known = head.notes
    notes = [known[path] if path in known else _note(path, {}) for path in closure.paths]
    return Probe(
        tuple(note for note in notes if isinstance(note, StoreObject)),
        head.launcher,
        tuple(note for note in notes if isinstance(note, Fault)),
        head.directories,
        head.flox,
        head.root_python,
        head.is_environment,
    )


def walk_propagated(
    starts: Iterable[StorePath], propagated: Callable[[StorePath], Iterable[str]]
) -> Iterator[StorePath]:
    """Walk ``propagated-build-inputs`` depth first, each store object before what it propagates.

    nixpkgs computes a program's own module path in this order (``wrap.sh``, ``_addToPythonPath``).
    """
    seen: set[StorePath] = set()
    stack = list(starts)[::-1]
    while stack:
        path = stack.pop()
        if path not in seen:
            seen.add(path)
            further = tuple(propagated(path))
            yield path
            stack.extend(map(StorePath, reversed(further)))


def require_complete(probe: Probe) -> None:
    """Refuse a probe with faults: an environment made from the rest would be silently wrong.

    Raises:
        StoreObjectsMissing: members of the closure are not on disk.
        Unreadable: one of them cannot be read.
    """
    missing = tuple(fault.path for fault in probe.faults if fault.missing)
    if missing:
        raise StoreObjectsMissing(missing, repair_command(missing))
    for fault in probe.faults:
        raise Unreadable(fault.path, fault.detail)


_Listed = dict[str, "Mapping[str, os.DirEntry[str]]"]


class _Notes(dict[str, StoreObject | Fault | None]):
    """The notes by path, each taken when it is first asked for.

    Attributes:
        listed: What the site-packages directories that were met hold.
    """

    def __init__(self) -> None:
        super().__init__()
        self.listed: _Listed = {}

    def __missing__(self, path: str) -> StoreObject | Fault | None:
        note = self[path] = _note(StorePath(path), self.listed)
        return note


def _note(path: StorePath, listed: _Listed) -> StoreObject | Fault | None:
    try:
        return _probe_object(path, listed)
    except OSError as error:
        return _fault(path, error)


def _fault(path: StorePath, error: OSError) -> Fault:
    missing = not os.path.lexists(path)
    where = path if missing else str(error.filename or path)
    return Fault(where, missing, error.errno or errno.EIO)


def _probe_object(path: StorePath, listed: _Listed) -> StoreObject | None:
    try:
        # Entries tell links apart without another look.
        with os.scandir(path) as entries:
            top = {entry.name: entry for entry in entries}
    except NotADirectoryError:
        return None
    except FileNotFoundError:
        if os.path.islink(path):
            return None  # Nix allows a store object that is a link, even one that leads nowhere
        raise
    store_dir = os.path.dirname(path)
    pythons, programs = _probe_bin(f"{path}/bin") if "bin" in top else ((), ())
    libraries = probe_libraries(top, store_dir)
    include_dirs = probe_include(f"{path}/include", store_dir) if "include" in top else ()
    marker, propagated = (
        _probe_nix_support(f"{path}/nix-support") if "nix-support" in top else (False, ())
    )
    sites = libraries.sites
    if not (pythons or programs or sites or include_dirs or marker or propagated):
        # Most store objects.
        directories, stub_dirs, _, cudart = libraries
        kept = StoreObject(path, library_dirs=directories, stub_dirs=stub_dirs, cudart=cudart)
        return kept if directories else None
    for site in sites:
        listed[site.directory] = site.entries
    host_compiler, mentions = probe_nvcc(path) if "nvcc" in programs else (None, ())
    return StoreObject(
        path=path,
        pythons=pythons,
        site_packages=tuple(site.version for site in sites),
        programs=programs,
        include_dirs=include_dirs,
        library_dirs=libraries.directories,
        stub_dirs=libraries.stub_dirs,
        cuda_marker=marker,
        propagated=propagated,
        linked=_follow_links(path, pythons, programs) if pythons or "nvcc" in programs else (),
        host_compiler=host_compiler,
        mentions=mentions,
        headers=find_headers(include_dirs) if include_dirs else (),
        newest_gcc=probe_newest_gcc(include_dirs) if include_dirs else None,
        cudart=libraries.cudart,
        torch=next(filter(None, map(probe_torch, sites)), None),
        wheels=tuple(part for site in sites for part in probe_wheels(site, store_dir)),
    )


def _probe_bin(directory: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = list_names(directory)
    pythons = [match[1] for match in map(VERSIONED_PYTHON.fullmatch, names) if match]
    # A free-threaded build has both names, one a link to the other; it has one version.
    pythons = [version for version in pythons if f"{version}t" not in pythons]
    return (
        tuple(v for v in sorted(pythons) if is_kind(f"{directory}/python{v}", stat.S_ISREG)),
        find_programs(directory, names),
    )


def _is_environment(root: StorePath, store_dir: str) -> bool:
    """Whether one of the programs of a store object is a link to another's."""
    directory = f"{root}/bin"
    links = (f"{directory}/{name}" for name in list_names(directory))
    ends = (os.path.realpath(path) for path in links if os.path.islink(path))
    holders = (enclosing_store_path(end, store_dir) for end in (os.path.realpath(directory), *ends))
    return any(holder not in (None, root) for holder in holders)


def _follow_links(
    path: StorePath, pythons: Iterable[str], programs: Sequence[str]
) -> tuple[StorePath, ...]:
    """Say which store objects the interpreters and nvcc of an environment of links are in."""
    store_dir = os.path.dirname(path)
    nvcc = ("nvcc",) if "nvcc" in programs else ()
    names = (*(f"python{version}" for version in pythons), *nvcc)
    files = (f"{path}/bin/{name}" for name in names)
    ends = (enclosing_store_path(os.path.realpath(file), store_dir) for file in files)
    return tuple(dict.fromkeys(end for end in ends if end is not None and end != path))


def _probe_nix_support(directory: str) -> tuple[bool, tuple[str, ...]]:
    propagated = require_text(f"{directory}/propagated-build-inputs").split()
    # Most have none, of which `access` says so without an exception that costs twice the look.
    marker = os.access(f"{directory}/include-in-cudatoolkit-root", os.F_OK)
    return marker, tuple(propagated)


def _root_interpreter(note: StoreObject | Fault | None) -> str | None:
    """Give the interpreter that an environment has itself."""
    if not isinstance(note, StoreObject) or not note.pythons:
        return None
    plain = f"{note.path}/bin/python3"
    return plain if find_file(plain) else f"{note.path}/bin/python{note.pythons[0]}"


def _probe_directories(
    root: StorePath,
    store_dir: str,
    places: Sequence[Place],
    flox: FloxModules | None,
    notes: _Notes,
) -> tuple[ModuleDirectory, ...]:
    """Look at the directories of the program's own modules, and at those of the Flox environment.

    What is met on the way is added to ``notes``.
    """
    directories = [*(place.directory for place in places), *_site_directories(notes[root])]
    found: dict[str, ModuleDirectory] = {}

    def look(directory: str) -> None:
        if directory in found:
            return
        try:
            found[directory] = probe_modules(directory, store_dir, notes.listed.get(directory))
        except OSError as error:
            found[directory] = ModuleDirectory(directory)
            path = enclosing_store_path(directory, store_dir) or root
            notes[path] = _fault(path, error)

    for directory in directories:
        look(directory)
    starts = (root, *(path for note in found.values() for path in note.leads_to))
    for path in walk_propagated(starts, lambda path: _propagated(path, store_dir, notes)):
        for directory in _site_directories(notes.get(path)):
            look(directory)
    if flox is not None:
        look(flox.directory)
    # How much of it is there is asked of environments alone.
    is_counted = isinstance(own := notes[root], StoreObject) and bool(own.pythons)
    counted = frozenset(directories if is_counted else ())
    return tuple(
        note
        for note in found.values()
        if note.path_lines or note.leads_to or (note.distributions and note.directory in counted)
    )


def _site_directories(note: StoreObject | Fault | None) -> tuple[str, ...]:
    if not isinstance(note, StoreObject):
        return ()
    return tuple(f"{note.path}/lib/python{v}/site-packages" for v in note.site_packages)


def _propagated(path: StorePath, store_dir: str, notes: _Notes) -> tuple[str, ...]:
    if path not in notes and enclosing_store_path(path, store_dir) != path:
        return ()  # a line that names anything else
    note = notes[path]
    return note.propagated if isinstance(note, StoreObject) else ()
