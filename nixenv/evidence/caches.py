"""The directories that programs write to, and what JIT compilers left there, for people.

A file without a name is written, which leaves nothing behind; what is found is looked at, and never
run.
"""

import errno
import os
import pwd
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from attrs import frozen

from nixenv.kernel import find_open
from nixenv.road.disk import read_text

# How far a look goes: caches of a server that has run for months hold more than anybody waits for.
_MOST_ENTRIES = 5_000  # of each directory
_DEEPEST = 8
_FILE_HEAD = 1 << 16

# Whoever wants a place for a while takes it as it is; other directories are made on demand.
_NEVER_MADE = "TMPDIR"

# Enough to be refused where the disk is full.
_TRIAL = bytes(4096)

# flashinfer and tvm-ffi write `cuda_home = …`, torch `nvcc = …/bin/nvcc`.
_CUDA_HOME = re.compile(
    r"^(?:cuda_home = (?P<home>.+)|nvcc = (?P<nvcc>/.+)/bin/nvcc)$", re.MULTILINE
)

# torch.utils.file_baton: whoever builds an extension makes this file, and keeps it open until it
# removes it; everybody else waits for that, for ever. (flashinfer's and tvm-ffi's locks are the
# kernel's, which lets go of them when their holder ends.)
_TORCH_VARIABLE = "TORCH_EXTENSIONS_DIR"
_TORCH_LOCK = "lock"


@frozen
class DirectoryState:
    """A directory that something will write to.

    Attributes:
        variable: The variable that names it.
        path: Its path.
        problem: Why nothing can be written there, in the system's words; empty when it can.
        is_noexec: Whether nothing that lies there can be loaded or run.
        free: The bytes that the user may still write; None when unknown.
        free_files: How many more files there may be; None where the file system does not count.
    """

    variable: str
    path: str
    problem: str
    is_noexec: bool = False
    free: int | None = None
    free_files: int | None = None


@frozen
class BuildFile:
    """A ``build.ninja`` that a JIT compiler wrote.

    Attributes:
        path: Its path.
        cuda_home: The CUDA_HOME that it was written for.
    """

    path: str
    cuda_home: str


@frozen
class ForeignDirectory:
    """A directory in a cache that belongs to somebody else.

    Attributes:
        path: Its path.
        owner: The name of its user, or the number.
        is_closed: Whether this user may not write there.
    """

    path: str
    owner: str
    is_closed: bool


@frozen
class CacheContents:
    """What was found in the cache directories.

    Attributes:
        user: The name of the user who looked, or the number.
        build_files: The build files that name a CUDA_HOME.
        dead_locks: The locks of torch's extension builder that no process has open.
        foreign: The topmost directories that belong to another user.
    """

    user: str = ""
    build_files: tuple[BuildFile, ...] = ()
    dead_locks: tuple[str, ...] = ()
    foreign: tuple[ForeignDirectory, ...] = ()


def probe_directory(variable: str, path: str) -> DirectoryState:
    """Find out whether a directory that is there, or can be made, takes what will be written."""
    existing = os.path.abspath(path)
    if variable == _NEVER_MADE and not os.path.lexists(existing):
        return DirectoryState(variable, path, os.strerror(errno.ENOENT))
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    try:
        # It has no name, or loses it at once.
        with tempfile.TemporaryFile(dir=existing, buffering=0) as trial:
            trial.write(_TRIAL)
        system = os.statvfs(existing)
    except OSError as error:
        return DirectoryState(variable, path, error.strerror or str(error))
    return DirectoryState(
        variable,
        path,
        "",
        is_noexec=bool(system.f_flag & os.ST_NOEXEC),
        free=system.f_bavail * system.f_frsize,
        free_files=system.f_favail if system.f_files else None,
    )


def look_into_caches(directories: Mapping[str, str]) -> CacheContents:
    """Look at what the cache directories hold, as far as a look goes.

    Args:
        directories: Their paths, by the variables that name them.
    """
    files: list[str] = []
    foreign: list[ForeignDirectory] = []
    for entry in _look_below(directories.values()):
        if entry.is_dir(follow_symlinks=False):
            foreign += _judge_owner(entry)
        else:
            files.append(entry.path)
    torch = f"{os.path.realpath(directories.get(_TORCH_VARIABLE, os.devnull))}/"
    locks = [
        path
        for path in files
        if os.path.basename(path) == _TORCH_LOCK and os.path.realpath(path).startswith(torch)
    ]
    held = find_open(map(os.path.realpath, locks)) if locks else {}
    return CacheContents(
        _name_user(os.geteuid()),
        tuple(_find_build_files(files)),
        tuple(path for path in locks if os.path.realpath(path) not in held),
        tuple(_topmost(foreign)),
    )


def parse_cuda_home(text: str) -> str | None:
    """Read which CUDA_HOME a build file was written for; None where it names none. Pure.

    >>> parse_cuda_home("ninja_required_version = 1.3\\ncuda_home = /usr/local/cuda\\n")
    '/usr/local/cuda'
    """
    found = _CUDA_HOME.search(text)
    return (found["home"] or found["nvcc"]).replace("$ ", " ") if found else None


def _look_below(directories: Iterable[str]) -> Iterator["os.DirEntry[str]"]:
    for directory in dict.fromkeys(directories):
        yield from islice(_walk([directory], _DEEPEST), _MOST_ENTRIES)


def _walk(directories: Iterable[str], depth: int) -> Iterator["os.DirEntry[str]"]:
    """Give the plain files and directories below directories; links are not followed."""
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (OSError, ValueError):
            continue  # what may not be looked at is told by others
        below = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
        yield from (entry for entry in found if entry.is_file(follow_symlinks=False))
        yield from below
        if depth:
            yield from _walk((entry.path for entry in below), depth - 1)


def _judge_owner(entry: "os.DirEntry[str]") -> Iterator[ForeignDirectory]:
    try:
        owner = entry.stat(follow_symlinks=False).st_uid
    except OSError:
        return  # it is gone
    if owner != os.geteuid():
        is_closed = not os.access(entry.path, os.W_OK | os.X_OK)
        yield ForeignDirectory(entry.path, _name_user(owner), is_closed)


def _topmost(foreign: Iterable[ForeignDirectory]) -> Iterator[ForeignDirectory]:
    above = ""
    for found in sorted(foreign, key=lambda found: found.path + "/"):
        if not above or not found.path.startswith(above):
            above = f"{found.path}/"
            yield found


def _name_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _find_build_files(files: Iterable[str]) -> Iterator[BuildFile]:
    for path in files:
        if os.path.basename(path) == "build.ninja":
            cuda_home = parse_cuda_home(read_text(path, _FILE_HEAD))
            if cuda_home is not None:
                yield BuildFile(path, cuda_home)
