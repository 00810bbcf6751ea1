"""The names of CUDA's parts: which redistributable a store name means, and of which CUDA. Pure.

Source of the lists: NVIDIA's manifests ``redistrib_11.4.4.json`` to ``redistrib_13.4.2.json`` of
the products cuda, cudnn, cutensor, cusparselt and nvshmem, and nixpkgs' nccl.
"""

import re
from collections.abc import Mapping

from nixenv.storepath import StoreName, parse_store_name
from nixenv.typed import NamedTuple

_AS_CUDA = frozenset(
    (
        *("cuda_cccl", "cuda_compat", "cuda_compat_orin", "cuda_crt", "cuda_ctadvisor"),
        *("cuda_cudart", "cuda_culibos", "cuda_cuobjdump", "cuda_cupti", "cuda_cuxxfilt"),
        *("cuda_demo_suite", "cuda_documentation", "cuda_gdb", "cuda_memcheck", "cuda_nsight"),
        *("cuda_nvcc", "cuda_nvdisasm", "cuda_nvml_dev", "cuda_nvprof", "cuda_nvprune"),
        *("cuda_nvrtc", "cuda_nvtx", "cuda_nvvp", "cuda_opencl", "cuda_profiler_api"),
        *("cuda_sandbox_dev", "cuda_sanitizer_api", "cuda_tileiras", "libcudla", "libnvfatbin"),
        *("libnvjitlink", "libnvptxcompiler", "libnvvm"),
    )
)
"""Those whose version begins with CUDA's own."""

_ALL_MAJORS = (11, 12, 13)

_NUMBERED_BY_THEMSELVES: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "cccl": {13: (13,)},
    "libcublas": {11: (11,), 12: (12,), 13: (13,)},
    "libcufft": {10: (11,), 11: (12,), 12: (13,)},
    "libcufile": {1: _ALL_MAJORS},
    "libcuobjclient": {1: (13,)},
    "libcurand": {10: _ALL_MAJORS},
    "libcusolver": {11: (11, 12), 12: (13,)},
    "libcusparse": {11: (11,), 12: (12, 13)},
    "libnpp": {11: (11,), 12: (12,), 13: (13,)},
    "libnvjpeg": {11: (11,), 12: (12,), 13: (13,)},
    "nsight_compute": {},
    "nsight_systems": {},
    # No redistributables of the toolkit, and used with it all the same.
    "cudnn": {},
    "cusparselt": {},
    "cutensor": {},
    "libcusparse_lt": {},
    "libcutensor": {},
    "libnvshmem": {},
    "nccl": {},
    "nvshmem": {},
}
"""The others: for each of their major versions, the major versions of CUDA that it came with.

One that is not listed there says nothing of CUDA's.
"""

# cuda-merged-12.8, cudatoolkit-joined-12.2, cuda-native-redist-12.4, cudatoolkit-12.2.2-unsplit
_JOINED_NAME = re.compile(
    r"(?P<name>cuda-merged|cudatoolkit(?:-joined)?|cuda-native-redist|cuda-redist)"
    r"-(?P<version>\d+\.\d+(?:\.\d+)*)(?:-unsplit)?(?:-(?P<output>bin|dev|include|lib|out|static))?"
)

# How the names of all these begin. For most of a closure this says no, at a tenth of the cost.
_BEGINNINGS = ("cuda", *_AS_CUDA, *_NUMBERED_BY_THEMSELVES)

# Outputs that no compiler and no linker reads.
_BESIDE = frozenset(
    ("debug", "devdoc", "dist", "doc", "info", "man", "python", "sample", "samples")
)

# In a program's name: cuda12_8
_NAMED_CUDA = re.compile(r"(?:^|[-_])cuda([0-9]{1,2})_([0-9]{1,2})(?=[-_.]|$)")

_CUDA_PREFIX = re.compile(r"cuda(?P<version>\d+\.\d+)")
_MINOR = re.compile(r"(?P<minor>\d{1,2}\.\d{1,2})(?:\.\d+)?")
_MAJOR = re.compile(r"\d+")


def may_be_known(name: str) -> bool:
    """Say whether a store name may be one of a redistributable, or of a joined toolkit."""
    return name.startswith(_BEGINNINGS)


class CudaName(NamedTuple):
    """What a store name says of CUDA.

    Attributes:
        part: The redistributable, ``cuda_cudart``; of a joined toolkit its name, ``cuda-merged``.
        version: The part's own version, as a number; greater is newer.
        cuda: The CUDA version ``X.Y``; None when the name does not tell.
        majors: Where it does not, the major versions of CUDA that this version of the part came
            with; empty when that is not known either.
        output: ``lib``; empty for the main one.
        joined: Whether it is a whole toolkit in one store object.
        known: Whether it is on the list. What is not may have CUDA's prefix for another reason.
        beside: Whether it is an output that no compiler and no linker reads.
    """

    part: str
    version: tuple[int, ...]
    cuda: str | None
    majors: tuple[int, ...]
    output: str
    joined: bool
    known: bool
    beside: bool

    def is_of(self, cuda: str) -> bool:
        """Say whether it may be of CUDA ``X.Y``: by its version, else by its major version."""
        if self.cuda is not None:
            return self.cuda == cuda
        return not self.majors or int(cuda.partition(".")[0]) in self.majors


def parse_cuda_name(name: str) -> CudaName:
    """Read what a store name says of CUDA; of another program's name, that it says nothing.

    >>> parse_cuda_name("cuda12.8-libcublas-12.8.4.1-lib").cuda
    '12.8'
    >>> parse_cuda_name("libcublas-11.11.3.6-lib").majors
    (11,)
    >>> parse_cuda_name("cuda13.0-cutlass-4.5.2").known
    False
    """
    parsed = parse_store_name(name)
    prefix = _CUDA_PREFIX.fullmatch(parsed.prefix)
    bare = name[len(parsed.prefix) + 1 :] if prefix else name
    joined = _JOINED_NAME.fullmatch(bare)
    if joined:
        name, version, output = joined.group("name", "version", "output")
        parsed = parsed._replace(name=name, version=version, output=output or "")
    if prefix:
        cuda = prefix["version"]
    elif joined or parsed.name in _AS_CUDA:
        cuda = _minor(parsed.version)
    else:
        cuda = None
    return CudaName(
        part=parsed.name,
        version=numbers(parsed.version),
        cuda=cuda,
        majors=_majors(parsed),
        output=parsed.output,
        joined=joined is not None,
        known=joined is not None or _is_listed(parsed),
        beside=parsed.output in _BESIDE,
    )


def _is_listed(parsed: StoreName) -> bool:
    # python3.12-cutensor is no redistributable, but a Python package.
    is_for_python = parsed.prefix.startswith("python")
    return not is_for_python and (parsed.name in _AS_CUDA or parsed.name in _NUMBERED_BY_THEMSELVES)


def parse_cuda_version(name: str) -> str | None:
    """Read the CUDA version ``X.Y`` off a store name; None when the name does not tell.

    >>> parse_cuda_version("cuda12.8-libcublas-12.8.4.1-lib")
    '12.8'
    >>> parse_cuda_version("cuda_nvcc-12.8.93")
    '12.8'
    >>> parse_cuda_version("libcurand-10.3.9.90-lib") is None
    True
    """
    # Most of a closure is nothing of the kind.
    return parse_cuda_name(name).cuda if may_be_known(name) else None


def parse_named_cuda(name: str) -> str | None:
    """Read off a program's name the CUDA version that it was built for; None without.

    >>> parse_named_cuda("python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9")
    '12.8'
    """
    match = _NAMED_CUDA.search(name)
    return f"{match[1]}.{match[2]}" if match else None


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers in a version, to compare by."""
    return tuple(map(int, re.findall(r"\d{1,18}", version)))


def _minor(version: str) -> str | None:
    # Not CCCL's own number (13.3.4.3.1, of CUDA 13.4), nor the driver's (cuda_compat-610.57.04).
    match = _MINOR.fullmatch(version)
    return match["minor"] if match else None


def _majors(parsed: StoreName) -> tuple[int, ...]:
    major = _MAJOR.match(parsed.version)
    if major is None:
        return ()
    if parsed.name in _AS_CUDA:
        return (int(major[0]),)
    return _NUMBERED_BY_THEMSELVES.get(parsed.name, {}).get(int(major[0]), ())
