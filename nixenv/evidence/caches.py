"""What the JIT compilers left in the cache directories, for people: looked at, never run."""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from attrs import frozen

# How far a look goes: caches of a server that has run for months hold more than anybody waits for.
_MOST_ENTRIES = 20_000
_DEEPEST = 8
_FILE_HEAD = 1 << 16

# flashinfer and tvm-ffi write `cuda_home = …`, torch `nvcc = …/bin/nvcc`.
_CUDA_HOME = re.compile(
    r"^(?:cuda_home = (?P<home>.+)|nvcc = (?P<nvcc>/.+)/bin/nvcc)$", re.MULTILINE
)


@frozen
class BuildFile:
    """A ``build.ninja`` that a JIT compiler wrote.

    Attributes:
        path: Its path.
        cuda_home: The CUDA_HOME that it was written for.
    """

    path: str
    cuda_home: str


def find_build_files(directories: Iterable[str]) -> Iterator[BuildFile]:
    """Find the build files below the cache directories that name a CUDA_HOME."""
    for path in islice(_walk(directories, _DEEPEST), _MOST_ENTRIES):
        if os.path.basename(path) == "build.ninja":
            cuda_home = parse_cuda_home(_read_head(path))
            if cuda_home is not None:
                yield BuildFile(path, cuda_home)


def parse_cuda_home(text: str) -> str | None:
    """Read which CUDA_HOME a build file was written for; None where it names none. Pure.

    >>> parse_cuda_home("ninja_required_version = 1.3\\ncuda_home = /usr/local/cuda\\n")
    '/usr/local/cuda'
    """
    found = _CUDA_HOME.search(text)
    return (found["home"] or found["nvcc"]).replace("$ ", " ") if found else None


def _walk(directories: Iterable[str], depth: int) -> Iterator[str]:
    """Give the plain files below directories; links are not followed."""
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue  # what may not be looked at is told by others
        yield from (entry.path for entry in found if entry.is_file(follow_symlinks=False))
        below = (entry.path for entry in found if entry.is_dir(follow_symlinks=False))
        if depth:
            yield from _walk(below, depth - 1)


def _read_head(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read(_FILE_HEAD)
    except OSError:
        return ""
