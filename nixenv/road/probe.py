"""The probe station: look once at each store object and note what it holds.

A note is data and nothing is judged here: which interpreter or toolkit is the right one is for
`nixenv.road.classify` to say. With the closure, the notes are all that the rest of the road needs,
so they can be recorded and replayed (`nixenv.snapshot`).
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nixenv.errors import NixenvError, Unreadable
from nixenv.road.launcher import Wrapper, parse_wrapper
from nixenv.road.nix import repair_command
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, enclosing_store_path


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


PROGRAMS = ("nvcc", "ninja", "gcc", "g++")
"""The programs whose presence in ``bin/`` is noted, beside the Python interpreters."""

_INTERPRETER = re.compile(r"python(\d+\.\d+)")
_COMPILER_BINDIR = re.compile(r"^\s*compiler-bindir\s*=\s*(\S+)\s*$", re.MULTILINE)
_WRAPPED = re.compile(r"\..+-wrapped_*")

# Why there is no such file or directory behind a path.
_NO_SUCH = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

# Bytes read of a program. A wrapper's module list has about 100 an entry: room for 40,000.
_PROGRAM_HEAD = 4 << 20


class StoreObject(NamedTuple):
    """What one store object holds, as far as it matters here.

    Attributes:
        path: Its store path.
        pythons: Versions ``X.Y`` for which it holds ``bin/pythonX.Y``.
        site_packages: Versions ``X.Y`` for which it holds ``lib/pythonX.Y/site-packages``.
        programs: Those of `PROGRAMS` that are in its ``bin``.
        include_dirs: Its ``include``, and ``include/cccl`` (CUDA 13 keeps CCCL's headers there).
        library_dirs: Its ``lib`` and ``lib64``.
        stub_dirs: The ``stubs`` directories in these.
        cuda_marker: Whether it has nixpkgs' ``nix-support/include-in-cudatoolkit-root``.
        propagated: The store paths in ``nix-support/propagated-build-inputs``.
        host_compiler: The ``compiler-bindir`` of its ``bin/nvcc.profile``.

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
    host_compiler: str | None = None


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
        wrapper: The program's wrapper script, where the root has one.
        faults: What could not be looked at.
    """

    objects: tuple[StoreObject, ...]
    wrapper: Wrapper | None = None
    faults: tuple[Fault, ...] = ()


class Head(NamedTuple):
    """The notes that can be taken before the closure is known.

    Attributes:
        wrapper: The program's wrapper script, where the root has one.
        notes: By path, on the store objects that the wrapper names, and on a wrapper that cannot
            be read; None where there is nothing to note.
    """

    wrapper: Wrapper | None
    notes: Mapping[str, StoreObject | Fault | None]


def probe_head(root: StorePath, program: str | None) -> Head:
    """Look at the root's wrapper of ``program``, and at the store objects whose modules it lists.

    That is about half of a closure, and it can be done while Nix works out the rest.
    """
    try:
        wrapper = _probe_wrapper(root, program)
    except OSError as error:
        return Head(None, {root: _fault(root, error)})
    if wrapper is None:
        return Head(None, {})
    store_dir = os.path.dirname(root)
    listed = (enclosing_store_path(path, store_dir) for path in wrapper.site_packages)
    return Head(wrapper, {path: _note(path) for path in listed if path is not None})


def probe_closure(closure: Closure, program: str | None, head: Head | None = None) -> Probe:
    """Look at each member of ``closure``, and at the root's wrapper of ``program``.

    Faults are collected, not raised: a troubleshooter wants all of them.

    Args:
        closure: The closure.
        program: The program's file name, as `Root.program`.
        head: What `probe_head` noted already.
    """
    head = head or probe_head(closure.root, program)
    known = head.notes
    notes = [known[path] if path in known else _note(path) for path in closure.paths]
    return Probe(
        tuple(note for note in notes if isinstance(note, StoreObject)),
        head.wrapper,
        tuple(note for note in notes if isinstance(note, Fault)),
    )


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


def _note(path: StorePath) -> StoreObject | Fault | None:
    try:
        return _probe_object(path)
    except OSError as error:
        return _fault(path, error)


def _fault(path: StorePath, error: OSError) -> Fault:
    missing = not os.path.lexists(path)
    where = path if missing else str(error.filename or path)
    return Fault(where, missing, error.errno or errno.EIO)


def _probe_object(path: StorePath) -> StoreObject | None:
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
    pythons, programs, host_compiler = _probe_bin(f"{path}/bin") if "bin" in top else ((), (), None)
    library_dirs, stub_dirs, site_packages = _probe_libraries(top)
    include_dirs = _probe_include(f"{path}/include") if "include" in top else ()
    marker, propagated = (
        _probe_nix_support(f"{path}/nix-support") if "nix-support" in top else (False, ())
    )
    if not (pythons or programs or library_dirs or include_dirs or marker or propagated):
        return None
    return StoreObject(
        path=path,
        pythons=pythons,
        site_packages=site_packages,
        programs=programs,
        include_dirs=include_dirs,
        library_dirs=library_dirs,
        stub_dirs=stub_dirs,
        cuda_marker=marker,
        propagated=propagated,
        host_compiler=host_compiler,
    )


def _probe_bin(directory: str) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    names = _names(directory)
    pythons = [match[1] for match in map(_INTERPRETER.fullmatch, names) if match]
    programs = [name for name in PROGRAMS if name in names]
    host_compiler = None
    if "nvcc.profile" in names:
        match = _COMPILER_BINDIR.search(_read(f"{directory}/nvcc.profile"))
        host_compiler = match[1] if match else None
    return (
        tuple(v for v in sorted(pythons) if _is_kind(f"{directory}/python{v}", stat.S_ISREG)),
        tuple(name for name in programs if _is_kind(f"{directory}/{name}", stat.S_ISREG)),
        host_compiler,
    )


def _probe_libraries(
    top: "Mapping[str, os.DirEntry[str]]",
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    library_dirs: list[str] = []
    stub_dirs: list[str] = []
    site_packages: list[str] = []
    for name in ("lib", "lib64"):
        entry = top.get(name)
        if entry is None:
            continue
        real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        names = None if real in library_dirs else _list(real)
        if names is None:
            continue
        library_dirs.append(real)
        stubs = _real_directory(f"{real}/stubs") if "stubs" in names else None
        if stubs is not None:
            stub_dirs.append(stubs)
        if name == "lib":
            pythons = filter(None, map(_INTERPRETER.fullmatch, sorted(names)))
            site_packages += [
                python[1]
                for python in pythons
                if _is_kind(f"{real}/{python[0]}/site-packages", stat.S_ISDIR)
            ]
    return tuple(library_dirs), tuple(stub_dirs), tuple(site_packages)


def _probe_include(directory: str) -> tuple[str, ...]:
    include = _real_directory(directory)
    if include is None:
        return ()
    cccl = _real_directory(f"{include}/cccl")
    return (include,) if cccl is None else (include, cccl)


def _probe_nix_support(directory: str) -> tuple[bool, tuple[str, ...]]:
    names = _names(directory)
    propagated: tuple[str, ...] = ()
    if "propagated-build-inputs" in names:
        propagated = tuple(_read(f"{directory}/propagated-build-inputs").split())
    return "include-in-cudatoolkit-root" in names, propagated


def _probe_wrapper(root: StorePath, program: str | None) -> Wrapper | None:
    directory = f"{root}/bin"
    names = _names(directory)
    # The program's own script, wrapped or not; else any wrapped one: nixpkgs gives all the
    # programs of a derivation the same modules.
    own = [f".{program}-wrapped", program] if program else []
    for name in [*own, *sorted(filter(_WRAPPED.fullmatch, names))]:
        if name in names and _is_kind(f"{directory}/{name}", stat.S_ISREG):
            with open(f"{directory}/{name}", "rb") as stream:
                head = os.fsdecode(stream.read(_PROGRAM_HEAD))
            wrapper = parse_wrapper(f"{directory}/{name}", head)
            if wrapper is not None:
                return wrapper
    return None


def _names(directory: str) -> list[str]:
    """List a directory, which may also be a file or a link that leads nowhere: then nothing."""
    return _list(directory) or []


def _list(path: str) -> list[str] | None:
    """List a directory; None when there is none. What may not be listed is an error."""
    try:
        return os.listdir(path)
    except OSError as error:
        if error.errno in _NO_SUCH:
            return None
        raise


def _real_directory(path: str) -> str | None:
    """Give the directory behind ``path``; None when there is none. Only links cost a realpath."""
    if os.path.islink(path):
        path = os.path.realpath(path)
    return path if _is_kind(path, stat.S_ISDIR) else None


def _is_kind(path: str, is_kind: Callable[[int], bool]) -> bool:
    """Tell what is behind ``path``. What may not be seen is an error, where os.path says no."""
    try:
        return is_kind(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in _NO_SUCH:
            return False
        raise


def _read(file: str) -> str:
    with open(file, "rb", buffering=0) as stream:
        return os.fsdecode(stream.read())
