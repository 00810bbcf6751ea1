"""The CUDA rules of the classify station: which toolkit, and which store objects belong to it.

Pure: everything is decided from names and from the probe's notes.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from nixenv.errors import NixenvError
from nixenv.road.choice import Choice, Reason
from nixenv.road.probe import Probe, StoreObject
from nixenv.storepath import StorePath, store_name


class CudaNotFound(NixenvError):
    """No store object with bin/nvcc, or none of the wanted version, where one is required."""

    wanted: str | None
    present: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        version = f" of CUDA {self.wanted}" if self.wanted else ""
        others = "; nvcc there is:" if self.present else ""
        if self.present and self.wanted:
            remedy = "choose one of these with --cuda X.Y, or drop the version from the profile"
        elif self.present:
            remedy = "ask one for its version (`nvcc --version`), and give that as --cuda X.Y"
        else:
            remedy = (
                "JIT compilers need it: take a CUDA build of the program, or set "
                "`required = false` under [cuda] in the profile"
            )
        reason = f"no store object with bin/nvcc{version} in the closure{others}"
        return (reason, remedy, self.present)


# cuda12.8-cuda_cudart-12.8.90-lib: nixpkgs 25.11 and later
_PREFIXED = re.compile(r"cuda(?P<version>\d+\.\d+)-.+")
# cuda-merged-12.8, cudatoolkit-12.2.2: one object joined of all
_JOINED = re.compile(
    r"(?:cuda\d+\.\d+-)?(?:cuda-merged|cudatoolkit)-(?P<version>\d+\.\d+)(?:[.-].*)?"
)
# cuda_nvcc-12.8.93, cuda_cudart-12.8.90-lib: before the prefix. Most libraries number themselves
# (libcurand-10.3.9.90, and CUDA 11.8 came with cublas 11.11), so for them only the marker tells.
_UNPREFIXED = re.compile(
    r"(?:cuda_[a-z0-9_]+|libnvjitlink|libnvfatbin|libnvptxcompiler)"
    r"-(?P<version>\d+\.\d+)(?:\.\d+)*(?:-(?:bin|dev|include|lib|out|static|stubs))?"
)


class CudaToolkit(NamedTuple):
    """The parts of one CUDA version in the closure.

    Attributes:
        version: ``X.Y``.
        nvcc: The store object that holds ``bin/nvcc``.
        reasons: Why this version, and why this nvcc of it.
        members: The store paths that belong to this version, in closure order.
        include_dirs: Their include directories, each real directory once.
        library_dirs: Their library directories, each real directory once.
        stub_dirs: Their directories of link-time stand-ins (``libcuda.so``), never for run time.
        others: Store objects with an nvcc that was not chosen.
    """

    version: str
    nvcc: StorePath
    reasons: tuple[Reason, ...]
    members: tuple[StorePath, ...]
    include_dirs: tuple[str, ...]
    library_dirs: tuple[str, ...]
    stub_dirs: tuple[str, ...]
    others: tuple[StorePath, ...]


def parse_cuda_version(name: str) -> str | None:
    """Read the CUDA version ``X.Y`` off a store name; None when the name does not tell.

    >>> parse_cuda_version("cuda12.8-libcublas-12.8.4.1-lib")
    '12.8'
    >>> parse_cuda_version("cuda_nvcc-12.8.93")
    '12.8'
    >>> parse_cuda_version("libcurand-10.3.9.90-lib") is None
    True
    """
    for pattern in (_JOINED, _PREFIXED, _UNPREFIXED):
        match = pattern.fullmatch(name)
        if match:
            return match["version"]
    return None


def choose_toolkit(probe: Probe, wanted: str | None, *, required: bool) -> CudaToolkit | None:
    """Choose the CUDA version, ``wanted`` or the highest that has an nvcc, and gather its members.

    Raises:
        CudaNotFound: there is no nvcc, or none of the wanted version, and one is required or
            wanted.
    """
    compilers = {
        found.path: parse_cuda_version(store_name(found.path))
        for found in probe.objects
        if "nvcc" in found.programs
    }
    told = {version for version in compilers.values() if version}
    version = wanted or max(told, key=_numbers, default=None)
    of_version = [path for path in compilers if version and compilers[path] == version]
    if wanted and not of_version:
        # A name that tells no version is taken at the user's word.
        of_version = [path for path in compilers if compilers[path] is None]
    if version is None or not of_version:
        if required or wanted:
            raise CudaNotFound(wanted, tuple(f"{compilers[p] or '?'}  {p}" for p in compilers))
        return None
    nvcc = max(of_version, key=_toolkit_rank)
    members = [f for f in probe.objects if f.path == nvcc or _is_member(f, version)]
    stub_dirs = _once(_stub_dirs(found) for found in members)
    library_dirs = _once(found.library_dirs for found in members)
    return CudaToolkit(
        version=version,
        nvcc=nvcc,
        reasons=(_version_reason(wanted, told), _nvcc_reason(nvcc)),
        members=tuple(found.path for found in members),
        include_dirs=_once(found.include_dirs for found in members),
        library_dirs=tuple(path for path in library_dirs if path not in stub_dirs),
        stub_dirs=stub_dirs,
        others=tuple(path for path in compilers if path != nvcc),
    )


def choose_host_compiler(probe: Probe, toolkit: CudaToolkit | None) -> Choice | None:
    """Choose the gcc wrapper: the one that ``nvcc.profile`` names, else the newest by name."""
    wrappers = {
        found.path: store_name(found.path).removeprefix("gcc-wrapper-")
        for found in probe.objects
        if "g++" in found.programs and store_name(found.path).startswith("gcc-wrapper-")
    }
    if toolkit is not None:
        named = next(f.host_compiler for f in probe.objects if f.path == toolkit.nvcc)
        for path in wrappers:
            if named == f"{path}/bin":
                return Choice(path, Reason.NVCC_NAMES_IT)
    newest = max(wrappers, key=lambda path: _numbers(wrappers[path]), default=None)
    return Choice(newest, Reason.NEWEST_GCC) if newest else None


def choose_ninja(probe: Probe) -> Choice | None:
    """Choose ninja itself, the newest by name; else whatever brings the program."""
    holders = [found.path for found in probe.objects if "ninja" in found.programs]

    def is_ninja(path: StorePath) -> bool:
        return store_name(path).startswith("ninja-")

    def rank(path: StorePath) -> tuple[bool, tuple[int, ...]]:
        return is_ninja(path), _numbers(store_name(path))

    best = max(holders, key=rank, default=None)
    if best is None:
        return None
    return Choice(best, Reason.NEWEST_NINJA if is_ninja(best) else Reason.HAS_NINJA)


def _version_reason(wanted: str | None, told: Collection[str]) -> Reason:
    if wanted is not None:
        return Reason.ASKED_FOR
    return Reason.ONLY_VERSION if len(told) == 1 else Reason.HIGHEST_VERSION


def _nvcc_reason(nvcc: StorePath) -> Reason:
    name = store_name(nvcc)
    if parse_cuda_version(name) is None:
        return Reason.TOLD_BY_USER
    return Reason.JOINED_TOOLKIT if _JOINED.fullmatch(name) else Reason.NVCC_OF_VERSION


def _toolkit_rank(path: StorePath) -> tuple[bool, tuple[int, ...]]:
    # A joined toolkit is a whole CUDA_HOME, where cuda_nvcc alone is only the compiler.
    name = store_name(path)
    return _JOINED.fullmatch(name) is not None, _numbers(name)


def _is_member(found: StoreObject, version: str) -> bool:
    told = parse_cuda_version(store_name(found.path))
    # The marker says that it belongs to a toolkit, a name says to which.
    return told == version or (told is None and found.cuda_marker)


def _stub_dirs(found: StoreObject) -> Sequence[str]:
    # nixpkgs' -stubs outputs link their stubs into lib as well: all of it is for linking only.
    if store_name(found.path).endswith("-stubs"):
        return (*found.stub_dirs, *found.library_dirs)
    return found.stub_dirs


def _once(directories: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for paths in directories for path in paths))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
