"""The probe station's second look at CUDA, for people: headers, libraries, what nvcc accepts.

``export`` does without it.
"""

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice

from attrs import frozen

from nixenv.road.probe import Probe
from nixenv.storepath import StorePath

_HEADER = re.compile(r".+\.(?:h|hh|hpp|hxx|cuh|inl)", re.DOTALL)
_LIBRARY = re.compile(r".+\.(?:a|so(?:\.[0-9]+)*)", re.DOTALL)

# One level down: what other headers and the checks ask for. (All of CCCL would be 2,000 files.)
_DEEPER = ("nv/target", "cub/cub.cuh", "thrust/version.h", "crt/host_config.h")

# A toolkit of one piece has about 300 headers. What has more than this is no toolkit.
_MOST_NAMES = 10_000

_GNU_BOUND = re.compile(r"\s*#\s*if\s+__GNUC__\s*>\s*([0-9]{1,3})\b")
_GNU_REFUSAL = re.compile(r"\s*#\s*error\b.*unsupported GNU version")

# Bytes read of a host_config.h; the real ones have 13,000.
_HOST_CONFIG_HEAD = 1 << 18


@frozen
class DirectoryListing:
    """The names in one directory.

    Attributes:
        directory: Its path.
        names: Sorted: of an include directory the headers, those one level down as
            ``nv/target``; of a library directory the libraries, ``libcudart.so.12``.
    """

    directory: str
    names: tuple[str, ...]


@frozen
class CompilerLimit:
    """What CUDA's headers say about the host compilers that nvcc accepts.

    Attributes:
        path: The store object that holds ``crt/host_config.h``: nvcc's own up to CUDA 12, that of
            cuda_crt since, or a joined toolkit.
        newest_gcc: The highest major version of gcc; None when the header does not say.
    """

    path: StorePath
    newest_gcc: int | None


@frozen
class ToolkitFiles:
    """What the include and library directories of the closure hold.

    Attributes:
        headers: One listing for each include directory that the probe noted.
        libraries: One for each library and stub directory that the probe noted.
        limits: One for each store object with ``crt/host_config.h``.
        given_headers: One for each directory of CPATH besides these. What a Flox environment
            installs beside the program is there.
        given_libraries: One for each directory of LIBRARY_PATH besides these.
    """

    headers: tuple[DirectoryListing, ...]
    libraries: tuple[DirectoryListing, ...]
    limits: tuple[CompilerLimit, ...]
    given_headers: tuple[DirectoryListing, ...] = ()
    given_libraries: tuple[DirectoryListing, ...] = ()


def probe_toolkit_files(probe: Probe, cpath: str = "", library_path: str = "") -> ToolkitFiles:
    """List the include and library directories; one that cannot be read is empty.

    Args:
        probe: The notes that name the closure's directories.
        cpath: CPATH as it is now.
        library_path: LIBRARY_PATH as it is now.
    """
    include_dirs = dict.fromkeys(path for found in probe.objects for path in found.include_dirs)
    library_dirs = dict.fromkeys(
        path for found in probe.objects for path in (*found.library_dirs, *found.stub_dirs)
    )
    return ToolkitFiles(
        headers=tuple(map(_list_headers, include_dirs)),
        libraries=tuple(map(_list_libraries, library_dirs)),
        limits=tuple(_probe_limits(probe)),
        given_headers=tuple(map(_list_headers, _given(cpath, include_dirs))),
        given_libraries=tuple(map(_list_libraries, _given(library_path, library_dirs))),
    )


def parse_newest_gcc(text: str) -> int | None:
    """Read the highest major version of gcc that nvcc accepts off a ``crt/host_config.h``.

    It reads, for example::

        #if __GNUC__ > 14

        #error -- unsupported GNU version! gcc versions later than 14 are not supported! …

    >>> parse_newest_gcc("#if __GNUC__ > 14\\n\\n#error -- unsupported GNU version! gcc …\\n")
    14
    """
    bound = None
    for line in text.split("\n"):
        if match := _GNU_BOUND.match(line):
            bound = int(match[1])
        elif _GNU_REFUSAL.match(line):
            return bound
    return None


def _given(search_path: str, known: dict[str, None]) -> list[str]:
    """Give the existing directories of a search path that are none of the known ones."""
    # A relative or empty entry means the directory that some compiler will be started in.
    entries = dict.fromkeys(filter(os.path.isabs, search_path.split(os.pathsep)))
    return [path for path in entries if path not in known and os.path.isdir(path)]


def _list_headers(directory: str) -> DirectoryListing:
    found = _list_files(directory, _HEADER.fullmatch)
    deeper = (name for name in _DEEPER if os.path.isfile(f"{directory}/{name}"))
    return DirectoryListing(directory, tuple(sorted([*found, *deeper])))


def _list_libraries(directory: str) -> DirectoryListing:
    return DirectoryListing(directory, tuple(sorted(_list_files(directory, _LIBRARY.fullmatch))))


def _list_files(directory: str, is_wanted: Callable[[str], object]) -> list[str]:
    """Name the files that are wanted; a link that leads nowhere is none."""
    try:
        with os.scandir(directory) as entries:
            wanted = (entry.name for entry in entries if is_wanted(entry.name) and _is_file(entry))
            return list(islice(wanted, _MOST_NAMES))
    except OSError:
        return []


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _probe_limits(probe: Probe) -> Iterator[CompilerLimit]:
    for found in probe.objects:
        for directory in found.include_dirs:
            text = _read_head(f"{directory}/crt/host_config.h")
            if text is not None:
                yield CompilerLimit(found.path, parse_newest_gcc(text))
                break


def _read_head(file: str) -> str | None:
    if not os.path.isfile(file):
        return None
    try:
        with open(file, "rb") as stream:
            return os.fsdecode(stream.read(_HOST_CONFIG_HEAD))
    except OSError:
        return None
