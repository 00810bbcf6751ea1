"""What a directory laid out as a prefix holds: a store object's, or that of NVIDIA's wheels."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nixenv.road.disk import find_entries, find_names, is_kind, require_text
from nixenv.road.nvcc import parse_newest_gcc
from nixenv.road.root import name_in_store
from nixenv.storepath import enclosing_store_path
from nixenv.typed import NamedTuple
from nixenv.versions import VERSIONED_PYTHON

CUDA_TOOLS = (
    *("bin2c", "compute-sanitizer", "cu++filt", "cuda-gdb", "cudafe++", "cuobjdump", "fatbinary"),
    *("ncu", "nsys", "nvdisasm", "nvlink", "nvprune", "ptxas", "tileiras"),
)
"""CUDA's programs beside nvcc."""

PROGRAMS = ("nvcc", "ninja", *CUDA_TOOLS)
"""The programs whose presence in ``bin/`` is noted, beside Python interpreters and compilers."""

HEADERS = ("cuda_runtime.h", "crt/host_config.h")
"""The headers whose presence is noted: nvcc includes them in every unit, by itself."""

# gcc and g++, cc and c++, clang and clang++, and these with the triple of another machine before.
_COMPILER = re.compile(r"(?:[a-z0-9_]+(?:-[a-z0-9_]+){2,3}-)?(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?)")


class Site(NamedTuple):
    """A directory of modules.

    Attributes:
        version: The Python ``X.Y`` that it is for.
        directory: Its path.
        entries: What it holds, by name.
    """

    version: str
    directory: str
    entries: "Mapping[str, os.DirEntry[str]]"


class Libraries(NamedTuple):
    """What a ``lib`` and a ``lib64`` hold, as `nixenv.road.probe.StoreObject` notes it."""

    directories: tuple[str, ...]
    stub_dirs: tuple[str, ...]
    sites: tuple[Site, ...]
    cudart: str | None


def find_programs(directory: str, names: Sequence[str]) -> tuple[str, ...]:
    """Find those of `PROGRAMS`, and the C and C++ compilers, in a ``bin`` that has these names."""
    programs = [name for name in PROGRAMS if name in names]
    compilers = sorted(filter(_COMPILER.fullmatch, names))
    return tuple(
        name for name in (*programs, *compilers) if is_kind(f"{directory}/{name}", stat.S_ISREG)
    )


def find_headers(include_dirs: Sequence[str]) -> tuple[str, ...]:
    """Find those of `HEADERS` that are in one of the directories."""
    return tuple(
        header
        for header in HEADERS
        if any(is_kind(f"{path}/{header}", stat.S_ISREG) for path in include_dirs)
    )


def probe_newest_gcc(include_dirs: Sequence[str]) -> int | None:
    """Read the highest major version of gcc that the ``crt/host_config.h`` of these accepts."""
    texts = (require_text(f"{path}/crt/host_config.h") for path in include_dirs)
    return next(filter(None, map(parse_newest_gcc, texts)), None)


def probe_include(directory: str, store_dir: str) -> tuple[str, ...]:
    """Find the directories of headers of an ``include``: it, and CCCL's in it."""
    include = real_directory(directory, store_dir)
    if include is None:
        return ()
    cccl = real_directory(f"{include}/cccl", store_dir)
    # In nixpkgs since 2026, a link to include itself.
    return (include,) if cccl in (None, include) else (include, cccl)


def probe_libraries(top: "Mapping[str, os.DirEntry[str]]", store_dir: str) -> Libraries:
    """Look at the ``lib`` and the ``lib64`` of a prefix, where they are in the store.

    Args:
        top: The entries of the prefix, by their names.
        store_dir: The store directory.
    """
    library_dirs: list[str] = []
    stub_dirs: list[str] = []
    sites: list[Site] = []
    cudart = None
    for name in ("lib", "lib64"):
        entry = top.get(name)
        if entry is None:
            continue
        real = _follow(entry.path, store_dir) if entry.is_symlink() else entry.path
        names = None if real is None or real in library_dirs else find_names(real)
        if real is None or names is None:
            continue
        library_dirs.append(real)
        if cudart is None and [found for found in names if found.startswith("libcudart.so")]:
            cudart = real
        stubs = real_directory(f"{real}/stubs", store_dir) if "stubs" in names else None
        if stubs is not None:
            stub_dirs.append(stubs)
        pythons = [found for found in names if found.startswith("python")]
        if pythons and name == "lib":
            sites += _find_sites(entry.path, pythons)
    return Libraries(tuple(library_dirs), tuple(stub_dirs), tuple(sites), cudart)


def _find_sites(library_dir: str, names: Iterable[str]) -> Iterator[Site]:
    for python in filter(None, map(VERSIONED_PYTHON.fullmatch, sorted(names))):
        directory = f"{library_dir}/{python[0]}/site-packages"
        entries = find_entries(directory)
        if entries is not None:
            yield Site(python[1], directory, entries)


def real_directory(path: str, store_dir: str) -> str | None:
    """Give the directory of the store behind ``path``; None when there is none.

    What a link out of the store leads to is no part of the closure, and another one tomorrow.
    """
    real = _follow(path, store_dir) if os.path.islink(path) else path
    return real if real is not None and is_kind(real, stat.S_ISDIR) else None


def _follow(link: str, store_dir: str) -> str | None:
    """Give what of the store a link leads to, as Nix knows it; None for what is not in it."""
    real = name_in_store(os.path.realpath(link), store_dir)
    return None if enclosing_store_path(real, store_dir) is None else real
