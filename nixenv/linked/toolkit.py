"""What a CUDA toolkit root made of links holds.

nixpkgs splits CUDA into one store object for each redistributable and output, and NVIDIA's wheels
into one distribution each; flashinfer, tvm-ffi, deep_gemm and torch expect what NVIDIA's installer
makes: one directory with ``bin``, ``nvvm``, ``include``, ``lib64`` and ``lib64/stubs``.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import evolve

from nixenv.linked.farm import FarmPlan, File, drop_identical, list_directory, require_present
from nixenv.linked.tree import Conflict, Entry, Link, Source, merge, separate
from nixenv.road.cuda import CudaToolkit
from nixenv.road.disk import read_head, require_text
from nixenv.road.farms import canonical_homes
from nixenv.road.redistributables import parse_cuda_name
from nixenv.storepath import StorePath, store_name

# nixpkgs replaces "$(TOP)/$(_TARGET_DIR_)/include" by nvcc's own, without cudart's headers; that is
# searched before this. Of all that nvcc shows, a new CMake takes the first INCLUDES
# (Modules/Internal/CMakeNVCCParseImplicitInfo.cmake). Not all that follows begins with a space.
_PROFILE_HEAD = """\
# Added by nixenv: all of the toolkit, merged into this directory.
INCLUDES        =+ $(_SPACE_) "-I$(_HERE_)/../include" $(_SPACE_)
"""
# What stands last is searched last. A profile may set INCLUDES anew, so that what is above is lost.
_PROFILE_TAIL = """
# Added by nixenv: the rest of the toolkit, merged into this directory.
INCLUDES        =+ $(_SPACE_) "-I$(TOP)/include"
LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib" "-L$(TOP)/lib/stubs"
"""

_VERSIONED = re.compile(r"(?P<link>lib.+\.so)\.(?P<version>[0-9.]+)", re.DOTALL)

Parts = Iterator[Link | Conflict]
Scan = Callable[[str], Iterable[Entry]]


def plan_toolkit(toolkit: CudaToolkit, place: str) -> FarmPlan:
    """Say what the toolkit root holds.

    Args:
        toolkit: The toolkit.
        place: The absolute directory where it is to be: a script in it names it.

    Raises:
        StoreObjectsMissing: a store object is not on disk.
        OSError: a store object cannot be read.
    """
    homes = canonical_homes(toolkit)
    members = tuple(dict.fromkeys(toolkit.members))
    require_present(dict.fromkeys((*members, *homes)))
    files = (
        *_plan_profile(toolkit.home),
        *_plan_nvcc(toolkit.home, place),
        *_plan_version(toolkit.version, members),
    )
    written = {file.path for file in files}
    libraries = tuple(_merge("lib", _canonical(toolkit.library_dirs, homes), _list_libraries))
    links, conflicts = separate(
        part
        for part in (
            *_merge("bin", _below(homes, "bin")),
            *_plan_nvvm(homes, libraries),
            *_merge("include", _canonical(toolkit.include_dirs, homes)),
            *libraries,
            *_link_without_version(libraries),
            *_merge("lib/stubs", _canonical(toolkit.stub_dirs, homes), _list_stand_ins),
            *_merge("targets", _below(homes, "targets")),
        )
        if part.path not in written
    )
    return FarmPlan(
        members=members,
        links=(Link("lib64", "lib"), *links),
        files=files,
        directories=("bin", "include", "lib/stubs"),
        conflicts=drop_identical(conflicts),
    )


def _below(homes: Iterable[str], name: str) -> list[str]:
    return [f"{home}/{name}" for home in homes]


def _canonical(directories: Iterable[str], homes: Sequence[str]) -> list[str]:
    """Order directories as `canonical_homes` orders the parts that they are in."""

    def rank(directory: str) -> tuple[int, str]:
        holder = next((home for home in homes if directory.startswith(f"{home}/")), None)
        return (len(homes) if holder is None else homes.index(holder)), directory

    return sorted(directories, key=rank)


def _merge(place: str, directories: Iterable[str], scan: Scan = list_directory) -> Parts:
    real = dict.fromkeys(map(os.path.realpath, directories))
    return merge(place, tuple(Source(path) for path in real if os.path.isdir(path)), scan)


def _list_libraries(directory: str) -> Iterable[Entry]:
    """List what may be loaded at run time: no stubs, nor links to them."""
    for entry in list_directory(directory):
        if entry.name != "stubs" and "stubs" not in os.path.dirname(entry.path).split("/"):
            yield entry


def _list_stand_ins(directory: str) -> Iterable[Entry]:
    """List stubs by the names that linkers look for.

    nixpkgs gives libcuda.so the name libcuda.so.1 as well; its ld wrapper makes a run path of each
    -L, and then the stub would be loaded in the driver's place.
    """
    for entry in list_directory(directory):
        if entry.name != "stubs" and not _VERSIONED.fullmatch(entry.name):
            yield entry


def _link_without_version(libraries: Iterable[Link | Conflict]) -> Iterator[Link]:
    """Add the names without version, for -lcudart, to libraries that came without: in wheels."""
    names = {part.path.removeprefix("lib/") for part in libraries}
    best: dict[str, tuple[list[int], str]] = {}
    for name in names:
        match = _VERSIONED.fullmatch(name)
        if match is not None and match["link"] not in names:
            version = [int(number) for number in match["version"].split(".") if number]
            best[match["link"]] = max(best.get(match["link"], ([], "")), (version, name))
    yield from (Link(f"lib/{link}", name) for link, (_, name) in sorted(best.items()))


def _plan_nvvm(homes: Iterable[str], libraries: Iterable[Link | Conflict]) -> Parts:
    """Merge ``nvvm``, its libraries under both names: some look in ``lib64``, nixpkgs has ``lib``.

    Of the wheels, libnvvm is in ``lib``.
    """
    tops = [path for path in map(os.path.realpath, _below(homes, "nvvm")) if os.path.isdir(path)]

    def scan(directory: str) -> Iterable[Entry]:
        entries = list_directory(directory)
        return map(_as_lib64, entries) if directory in tops else entries

    parts = list(_merge("nvvm", tops, scan))
    if not any(part.path.startswith("nvvm/lib64") for part in parts):
        parts += (
            Link(f"nvvm/lib64/{part.path.removeprefix('lib/')}", part.target)
            for part in libraries
            if isinstance(part, Link) and part.path.startswith("lib/libnvvm.so")
        )
    yield from parts
    if any(part.path.startswith("nvvm/lib64") for part in parts):
        yield Link("nvvm/lib", "lib64")


def _as_lib64(entry: Entry) -> Entry:
    return evolve(entry, name="lib64") if entry.name == "lib" else entry


def _plan_profile(home: str) -> Iterator[File]:
    """Copy ``nvcc.profile``: nvcc reads the one beside the path that it was called by."""
    text = require_text(f"{home}/bin/nvcc.profile")
    if text:
        yield File("bin/nvcc.profile", f"{_PROFILE_HEAD}{text.rstrip()}\n{_PROFILE_TAIL}")


def _plan_nvcc(home: str, place: str) -> Iterator[File]:
    """Write nvcc as a script where it is one: nixpkgs' of 2026 starts it by its own store path.

    Then it reads the profile that is there, and not the one beside the script.
    """
    if read_head(f"{home}/bin/nvcc", 2) != b"#!":
        return
    nvcc, include, lib = (
        shlex.quote(path) for path in (f"{home}/bin/nvcc", f"{place}/include", f"{place}/lib")
    )
    text = f'#!/bin/sh\nexec {nvcc} "$@" -I{include} -L{lib} -L{lib}/stubs\n'
    yield File("bin/nvcc", text, executable=True)


def _plan_version(version: str, members: Sequence[StorePath]) -> Iterator[File]:
    """Write ``version.json`` as NVIDIA's installer does, from the names of the store objects."""
    parts = {"cuda": {"name": "CUDA SDK", "version": version}}
    for told in (parse_cuda_name(store_name(path)) for path in members):
        if told.known and not told.joined:
            number = ".".join(map(str, told.version))
            parts.setdefault(told.part, {"name": told.part, "version": number})
    yield File("version.json", json.dumps(parts, indent=3) + "\n")
