"""What programs look for in CUDA_HOME at run time, and do not find there. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.toolkit_files import ToolkitFiles
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.cuda_packages import install_cuda
from nixenv.road.cuda import CudaToolkit

_DRIVER = "libcuda.so.1"

TAKE_LINKED = "take layout linked: `NIXENV_LAYOUT=linked flox activate`, or `--layout linked`"


class _Reader(NamedTuple):
    """A package that looks into CUDA_HOME by itself.

    Attributes:
        name: Its top-level module, or the name of its distribution.
        wants: What it looks for: a path below CUDA_HOME, the beginning of a file's name.
        purpose: What for.
        severity: How bad it is when that is not there.
        major: The major version of CUDA that it asks this of; None for any.
    """

    name: str
    wants: tuple[str, ...]
    purpose: str
    severity: Severity
    major: str | None = None


_READERS = (
    # sgl_kernel/load_utils.py, _preload_cuda_library: then the machine's library directories
    _Reader(
        "sgl_kernel",
        ("lib/libcudart.so.12", "lib64/libcudart.so.12"),
        "to load it before its own libraries do, and takes the machine's where there is one",
        Severity.NOTE,
        "12",
    ),
    # cupy/_core/core.pyx: NVRTC reads no CPATH. Since 14.1 cuda.pathfinder names the directory, by
    # this header: in site-packages (but PYTHONPATH is none), CUDA_PATH, then on the machine
    _Reader(
        "cupy",
        ("include/cuda_runtime.h",),
        "to compile kernels, and takes the machine's where there is one",
        Severity.WARNING,
    ),
    # cuda/pathfinder/_dynamic_libs/search_steps.py, for cuda-bindings among others
    _Reader(
        "cuda-pathfinder", ("lib64/libcudart.so", "lib/libcudart.so"), "to load it", Severity.NOTE
    ),
    # numba/cuda/cuda_paths.py
    _Reader("numba", ("nvvm/lib64/libnvvm.so",), "to compile kernels", Severity.WARNING),
    _Reader("numba_cuda", ("nvvm/lib64/libnvvm.so",), "to compile kernels", Severity.WARNING),
)


def check_cuda_home(
    toolkit: CudaToolkit, files: ToolkitFiles, sites: Sequence[SiteListing], *, linked: bool
) -> Iterator[Finding]:
    """Judge CUDA_HOME as the closure's own packages use it.

    Args:
        toolkit: The toolkit.
        files: What the include and library directories hold.
        sites: What the site-packages directories hold.
        linked: Whether the layout is ``linked``: there CUDA_HOME has all of the toolkit.
    """
    modules = {
        module for site in sites for module in (*site.packages, *site.extended, *site.namespaces)
    }
    if not linked:
        names = {distribution.name for site in sites for distribution in site.distributions}
        yield from _check_readers(toolkit, files, modules | names)
        yield from _check_run_paths(toolkit, files)
    yield from _check_cuobjdump(toolkit, modules, linked=linked)


def _check_readers(toolkit: CudaToolkit, files: ToolkitFiles, names: set[str]) -> Iterator[Finding]:
    held = tuple(_held_in(toolkit.home, files))
    major = toolkit.version.partition(".")[0]
    failing = tuple(
        reader
        for reader in _READERS
        if reader.name in names
        and reader.major in (None, major)
        and not any(path.startswith(reader.wants) for path in held)
    )
    if failing:
        who = ", ".join(reader.name for reader in failing)
        yield Code.CUDA_HOME_PARTIAL.found(
            f"{who}: what is looked for in CUDA_HOME is not there; in layout store that is the "
            "store object of nvcc alone",
            tuple(
                f"{reader.name} looks for {toolkit.home}/{reader.wants[0]} {reader.purpose}"
                for reader in failing
            ),
            TAKE_LINKED,
            min((reader.severity for reader in failing), key=list(Severity).index),
        )


def _check_run_paths(toolkit: CudaToolkit, files: ToolkitFiles) -> Iterator[Finding]:
    """Look for stubs by the name that programs load, where linkers are sent.

    nixpkgs' ld wrapper makes a run path of each directory that it links from.
    """
    stubs = tuple(
        f"{listing.directory}/{_DRIVER}"
        for listing in files.libraries
        if listing.directory in toolkit.stub_dirs and _DRIVER in listing.names
    )
    if stubs:
        yield Code.CUDA_STUBS_ON_RUN_PATH.found(
            "stubs of the driver go by the name of the driver itself; what gcc-wrapper links with "
            "-lcuda can load one in its place, and gets error 34",
            stubs,
            TAKE_LINKED,
        )


def _held_in(home: str, files: ToolkitFiles) -> Iterator[str]:
    """Name the files below CUDA_HOME, as far as they were listed."""
    for listing in (*files.headers, *files.libraries):
        if listing.directory.startswith(f"{home}/"):
            inside = listing.directory.removeprefix(f"{home}/")
            yield from (f"{inside}/{name}" for name in listing.names)


def _check_cuobjdump(toolkit: CudaToolkit, modules: set[str], *, linked: bool) -> Iterator[Finding]:
    """Look for the program that deep_gemm starts after each compilation, and that must succeed.

    sgl-kernel 0.3.21 brings deep_gemm along.
    """
    found = toolkit.find_tool("cuobjdump")
    if "deep_gemm" not in modules or (linked and found):
        return
    if found != f"{toolkit.home}/bin/cuobjdump":
        yield Code.CUDA_CUOBJDUMP_MISSING.found(
            "deep_gemm starts cuobjdump of CUDA_HOME after it has compiled a kernel, and it is not "
            "there",
            (f"{toolkit.home}/bin/cuobjdump",),
            TAKE_LINKED
            if found
            else f"{install_cuda(toolkit.version, 'cuda_cuobjdump')}; and {TAKE_LINKED}, with "
            '`--root "$FLOX_ENV"`',
        )
