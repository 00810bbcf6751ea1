"""The probe station's second look at CUDA, for people: headers, libraries, what nvcc compiles for.

``export`` does without it.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from attrs import frozen

from nixenv.process import Patience, run
from nixenv.road.cuda_files import CudaWheels
from nixenv.road.nvcc import parse_codes
from nixenv.road.probe import Probe, StoreObject

_HEADER = re.compile(r".+\.(?:h|hh|hpp|hxx|cuh|inl)", re.DOTALL)
_LIBRARY = re.compile(r".+\.(?:a|so(?:\.[0-9]+)*)", re.DOTALL)

# One level down: what other headers and the checks ask for. (All of CCCL would be 2,000 files.)
_DEEPER = ("nv/target", "cub/cub.cuh", "thrust/version.h", "crt/host_config.h")

# nvcc answers in a tenth of a second, in a hundred bytes.
_PATIENCE = Patience(limit=10.0)
_CAP = 1 << 16

# A toolkit of one piece has about 300 headers. What has more than this is no toolkit.
_MOST_NAMES = 10_000


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
class ToolkitFiles:
    """What the include and library directories of the closure hold.

    Attributes:
        headers: One listing for each include directory that the probe noted.
        libraries: One for each library and stub directory that the probe noted, and for
            ``nvvm/lib64`` beside an nvcc.
        given_headers: One for each directory of CPATH besides these. What a Flox environment
            installs beside the program is there.
        given_libraries: One for each directory of LIBRARY_PATH besides these.
        gpu_codes: What the toolkit's nvcc compiles for, ``90`` for sm_90; empty when it was not
            asked, or did not answer.
    """

    headers: tuple[DirectoryListing, ...]
    libraries: tuple[DirectoryListing, ...]
    given_headers: tuple[DirectoryListing, ...] = ()
    given_libraries: tuple[DirectoryListing, ...] = ()
    gpu_codes: tuple[str, ...] = ()


def probe_toolkit_files(
    probe: Probe,
    cpath: str = "",
    library_path: str = "",
    step: Callable[[], object] = lambda: None,
) -> ToolkitFiles:
    """List the include and library directories; one that cannot be read is empty.

    Args:
        probe: The notes that name the closure's directories.
        cpath: CPATH as it is now.
        library_path: LIBRARY_PATH as it is now.
        step: Called after each of the closure's library directories.
    """
    parts: list[StoreObject | CudaWheels] = []
    for found in probe.objects:
        parts += (found, *found.wheels)
    include_dirs = dict.fromkeys(path for part in parts for path in part.include_dirs)
    library_dirs = dict.fromkeys(path for part in parts for path in _library_dirs(part))
    libraries = []
    for path in library_dirs:
        libraries.append(_list_libraries(path))
        step()
    return ToolkitFiles(
        headers=tuple(map(_list_headers, include_dirs)),
        libraries=tuple(libraries),
        given_headers=tuple(map(_list_headers, _given(cpath, include_dirs))),
        given_libraries=tuple(map(_list_libraries, _given(library_path, library_dirs))),
    )


def query_gpu_codes(nvcc: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Ask nvcc what it compiles for, ``90`` for sm_90; nothing where it does not answer.

    Args:
        nvcc: Its path.
        environ: The variables of the process: PATH. nvcc's own must not reach it.
    """
    try:
        answer = run((nvcc, "--list-gpu-code"), {"PATH": environ.get("PATH", "")}, _CAP, _PATIENCE)
    except OSError:
        return ()
    return parse_codes(answer.stdout) if answer.status == 0 else ()


def _library_dirs(part: StoreObject | CudaWheels) -> Iterator[str]:
    yield from part.library_dirs
    if isinstance(part, StoreObject):
        yield from part.stub_dirs
        if "nvcc" in part.programs:
            yield f"{part.path}/nvvm/lib64"


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
