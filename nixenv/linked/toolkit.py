"""What a CUDA toolkit root made of links holds.

nixpkgs splits CUDA into one store object for each redistributable and output; flashinfer, tvm-ffi,
deep_gemm and torch expect what NVIDIA's installer makes: one directory with ``bin``, ``nvvm``,
``include``, ``lib64`` and ``lib64/stubs``.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from nixenv.linked.farm import FarmPlan, File, drop_identical, list_directory, require_present
from nixenv.linked.tree import Conflict, Link, Source, merge, separate
from nixenv.road.cuda import CudaToolkit
from nixenv.road.farms import canonical_members
from nixenv.storepath import StorePath, store_name

_TARGET = "targets/x86_64-linux"

# cuda12.8-cuda_cudart-12.8.90-lib, libcurand-10.3.9.90-lib
_REDISTRIBUTABLE = re.compile(
    r"(?:cuda\d+\.\d+-)?(?P<name>[A-Za-z][A-Za-z0-9_]*)-(?P<version>\d+(?:\.\d+)+)(?:-[a-z]+)?"
)

# nixpkgs replaces "$(TOP)/$(_TARGET_DIR_)/include" by nvcc's own, where cudart's headers are not:
# what stands last is searched last.
_PROFILE_TAIL = """
# Added by nixenv: the rest of the toolkit, merged into this directory.
INCLUDES        =+ $(_SPACE_) "-I$(TOP)/include"
LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib" "-L$(TOP)/lib/stubs"
"""


def plan_toolkit(toolkit: CudaToolkit) -> FarmPlan:
    """Say what the toolkit root holds.

    Raises:
        StoreObjectsMissing: a store object is not on disk.
        OSError: a store object cannot be read.
    """
    members = canonical_members(toolkit)
    require_present(members)
    files = (*_plan_profile(toolkit.nvcc), *_plan_version(toolkit.version, members))
    written = {file.path for file in files}
    links, conflicts = separate(
        part
        for part in (
            *_merge("bin", (f"{member}/bin" for member in members)),
            *_merge("nvvm", (f"{member}/nvvm" for member in members)),
            *_merge("include", _canonical(toolkit.include_dirs, members)),
            *_merge("lib", _canonical(toolkit.library_dirs, members)),
            *_merge("lib/stubs", _canonical(toolkit.stub_dirs, members)),
        )
        if part.path not in written
    )
    return FarmPlan(
        members=members,
        links=(
            Link("lib64", "lib"),
            Link(f"{_TARGET}/include", "../../include"),
            Link(f"{_TARGET}/lib", "../../lib"),
            Link(f"{_TARGET}/lib64", "../../lib"),
            *links,
        ),
        files=files,
        directories=("bin", "include", "lib/stubs"),
        conflicts=drop_identical(conflicts),
    )


def _canonical(directories: Iterable[str], members: Sequence[StorePath]) -> list[str]:
    """Order directories as `canonical_members` orders the store objects that they are in."""

    def rank(directory: str) -> tuple[int, str]:
        holder = next((m for m in members if directory.startswith(f"{m}/")), None)
        return (len(members) if holder is None else members.index(holder)), directory

    return sorted(directories, key=rank)


def _merge(place: str, directories: Iterable[str]) -> Iterator[Link | Conflict]:
    # lib/stubs is a place of its own: what is in lib would also be found at run time.
    hidden = frozenset({"stubs"})
    real = dict.fromkeys(map(os.path.realpath, directories))
    sources = tuple(Source(path, hidden) for path in real if os.path.isdir(path))
    return merge(place, sources, list_directory)


def _plan_profile(nvcc: StorePath) -> Iterator[File]:
    """Copy ``nvcc.profile``: nvcc reads the one beside the path that it was called by."""
    try:
        with open(f"{nvcc}/bin/nvcc.profile", "rb") as stream:
            text = os.fsdecode(stream.read())
    except FileNotFoundError:
        return
    yield File("bin/nvcc.profile", f"{text.rstrip()}\n{_PROFILE_TAIL}")


def _plan_version(version: str, members: Sequence[StorePath]) -> Iterator[File]:
    """Write ``version.json`` as NVIDIA's installer does, from the names of the store objects."""
    parts = {"cuda": {"name": "CUDA SDK", "version": version}}
    for match in filter(None, (_REDISTRIBUTABLE.fullmatch(store_name(path)) for path in members)):
        parts.setdefault(match["name"], {"name": match["name"], "version": match["version"]})
    yield File("version.json", json.dumps(parts, indent=3) + "\n")
