"""What is wrong with the CUDA toolkit, as the JIT compilers of Python programs use it. Pure."""

import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence

from attrs import frozen

from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.machine import Machine
from nixenv.evidence.toolkit_files import DirectoryListing, ToolkitFiles
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.cuda_compiler import check_host_compilers
from nixenv.inspect.diagnosis.cuda_home import check_cuda_home
from nixenv.inspect.diagnosis.cuda_packages import LIBRARY_PACKAGES, install_cuda, install_tool
from nixenv.inspect.diagnosis.loader import list_unwanted, set_list
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.cuda_parts import find_candidates
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.redistributables import (
    may_be_known,
    numbers,
    parse_cuda_name,
    parse_cuda_version,
)
from nixenv.storepath import StorePath, enclosing_store_path, store_name

# What the loader knows a library by: libcudart.so.12, not libcudart.so or libcudart.so.12.8.90.
_SONAME = re.compile(r".+\.so\.[0-9]+")


@frozen
class _Torch:
    """The torch of an environment: where it is, its version, and CUDA's if that is told."""

    directory: str
    version: str
    cuda: str | None


def check_cuda(
    probe: Probe,
    inventory: Inventory | None,
    files: ToolkitFiles,
    sites: Sequence[SiteListing],
    machine: Machine | None,
    *,
    linked: bool,
) -> Iterator[Finding]:
    """Judge the toolkit: is it whole, of one version, and can nvcc work with what is around it?

    Args:
        probe: The notes on the closure.
        inventory: What was chosen from it; None when nothing could be. Then only what does not
            depend on the choice is judged.
        files: What the include and library directories hold.
        sites: What the site-packages directories hold.
        machine: The machine as it is now, if known.
        linked: Whether the layout is ``linked``.
    """
    toolkit = inventory.cuda if inventory is not None else None
    yield from _check_stubs_at_run_time(toolkit, files, machine)
    if inventory is None:
        yield from _check_unknown_version(probe)
    elif toolkit is None:
        yield from _check_absence(probe)
    else:
        others = _find_whole_others(probe, inventory, toolkit)
        yield from _check_parts(toolkit, files, others, linked=linked)
        yield from _check_library_headers(toolkit, files)
        yield from _check_versions(probe, toolkit, files)
        yield from _check_patch_levels(toolkit)
        yield from check_host_compilers(probe, inventory, toolkit, machine)
        yield from _check_ninja(inventory, machine)
        yield from _check_torch(probe, inventory, toolkit, sites)
        yield from check_cuda_home(toolkit, files, sites, linked=linked)


def _find_whole_others(probe: Probe, inventory: Inventory, toolkit: CudaToolkit) -> tuple[str, ...]:
    """Give the versions of the closure's other toolkits that are whole, where this one is not."""
    sites = tuple(part.directory for part in inventory.site_packages)
    candidates = () if toolkit.whole else find_candidates(probe, sites, None)
    return tuple(c.version for c in candidates if c.whole and c.version)


def _check_absence(probe: Probe) -> Iterator[Finding]:
    yield from tuple(_check_unknown_version(probe)) or (
        Code.CUDA_NONE.found(
            "no nvcc in the closure: CUDA_HOME, CPATH and LIBRARY_PATH are left alone",
        ),
    )


def _check_unknown_version(probe: Probe) -> Iterator[Finding]:
    compilers = [found.path for found in probe.objects if "nvcc" in found.programs]
    if compilers and not any(_cuda_version(path) for path in compilers):
        yield Code.CUDA_VERSION_UNKNOWN.found(
            "there is an nvcc, but the name of its store path tells no CUDA version: not used",
            tuple(f"{path}/bin/nvcc" for path in compilers),
            f"ask it with `{shlex.quote(f'{compilers[0]}/bin/nvcc')} --version`, and give the "
            "answer as `--cuda X.Y`, or as `version` under [cuda] in the profile",
        )
    elif not compilers:
        yield from _check_unused_distributions(probe)


def _check_unused_distributions(probe: Probe) -> Iterator[Finding]:
    unused = tuple(
        f"{wheels.home}/bin/nvcc"
        for found in probe.objects
        for wheels in found.wheels
        if "nvcc" in wheels.programs
    )
    if unused:
        yield Code.CUDA_VERSION_UNKNOWN.found(
            "there is an nvcc among the Python distributions, but not of the Python in use, or "
            "without the metadata that tells its CUDA version: not used",
            unused,
            "choose its Python with `--python X.Y`",
        )


def _check_parts(
    toolkit: CudaToolkit, files: ToolkitFiles, others: Sequence[str], *, linked: bool
) -> Iterator[Finding]:
    cuda = f"CUDA {toolkit.version}"

    def add(package: str) -> str:
        if others:
            return f"take the closure's whole toolkit: `--cuda {others[0]}`"
        return install_cuda(toolkit.version, package)

    headers = _headers(toolkit, files)
    # From CUDA 13.0 on, nvcc's own headers are a package by themselves.
    crt = "cuda_nvcc" if numbers(toolkit.version) < (13, 0) else "cuda_crt"
    for header, package in (("cuda_runtime.h", "cuda_cudart"), ("crt/host_config.h", crt)):
        if header not in headers:
            yield Code.CUDA_RUNTIME_HEADERS_MISSING.found(
                f"{cuda}: {header} is not there; nvcc includes it by itself, and compiles nothing",
                toolkit.include_dirs,
                add(package),
            )
    if "nv/target" not in headers:
        yield Code.CUDA_CCCL_MISSING.found(
            f"{cuda}: nv/target is not there; cuda_fp16.h and cuda_bf16.h include it",
            toolkit.include_dirs,
            add("cuda_cccl"),
        )
    libraries = _link_libraries(toolkit, files, linked=linked)
    for code, library, flag in (
        (Code.CUDA_RUNTIME_LIBRARY_MISSING, "libcudart.so", "-lcudart"),
        (Code.CUDA_STUBS_MISSING, "libcuda.so", "-lcuda"),
    ):
        if library not in libraries:
            yield code.found(
                f"{cuda}: {library} is not there; what is built with {flag} does not link",
                (*toolkit.library_dirs, *toolkit.stub_dirs),
                add("cuda_cudart"),
            )


def _check_library_headers(toolkit: CudaToolkit, files: ToolkitFiles) -> Iterator[Finding]:
    headers = _headers(toolkit, files)
    held = _files_in(files.libraries, toolkit.library_dirs)
    for package in LIBRARY_PACKAGES:
        lacking = {
            header: path
            for library, header in package.headers.items()
            if header not in headers and (path := _find_library(library, held))
        }
        if lacking:
            yield Code.CUDA_LIBRARY_WITHOUT_HEADERS.found(
                f"CUDA {toolkit.version}: {package.name} is there without "
                f"{' and '.join(lacking)}; what a JIT compiler builds with it fails",
                tuple(lacking.values()),
                install_cuda(toolkit.version, package.name),
            )


def _check_versions(probe: Probe, toolkit: CudaToolkit, files: ToolkitFiles) -> Iterator[Finding]:
    others = tuple(found for found in probe.objects if _is_other_version(found, toolkit))
    if not others:
        return
    versions = ", ".join(sorted({_other_version(found) for found in others}, key=numbers))
    ours = _sonames(files, toolkit.library_dirs)
    theirs = _sonames(files, tuple(path for found in others for path in found.library_dirs))
    twice = sorted(ours.keys() & theirs.keys())
    if twice:
        store_dir = os.path.dirname(toolkit.nvcc)
        bringer = enclosing_store_path(theirs[twice[0]], store_dir) or others[0].path
        yield Code.CUDA_SEVERAL_VERSIONS.found(
            f"{', '.join(twice)} is there of CUDA {versions} and of the toolkit's "
            f"{toolkit.version}; a process loads one for both",
            tuple(path for name in twice for path in (ours[name], theirs[name])),
            f"`nixenv inspect --why {shlex.quote(bringer)}` tells what brings it; install that "
            f"from a build for CUDA {toolkit.version}",
        )
    else:
        yield Code.CUDA_SEVERAL_VERSIONS.found(
            f"parts of CUDA {versions} beside the toolkit's {toolkit.version}; none is used to "
            "compile",
            tuple(found.path for found in others),
            severity=Severity.NOTE,
        )


def _check_ninja(inventory: Inventory, machine: Machine | None) -> Iterator[Finding]:
    if inventory.ninja is None and (machine is None or "ninja" not in machine.programs):
        yield Code.CUDA_NO_NINJA.found(
            "no ninja in the closure or on PATH; flashinfer, tvm-ffi and torch build with it",
            remedy=install_tool("ninja", "ninja"),
        )


def _check_stubs_at_run_time(
    toolkit: CudaToolkit | None, files: ToolkitFiles, machine: Machine | None
) -> Iterator[Finding]:
    stub_dirs = _stub_dirs(toolkit, files)
    variables = machine.variables if machine is not None else {}
    # ld.so(8): the one is separated by colons or semicolons, the other by colons or spaces.
    for name, separators, directory_of in (
        ("LD_LIBRARY_PATH", "[:;]", os.path.normpath),
        ("LD_PRELOAD", "[: ]", os.path.dirname),
    ):
        entries = list(filter(None, re.split(separators, variables.get(name, ""))))
        stubs = tuple(entry for entry in entries if _is_stub_dir(directory_of(entry), stub_dirs))
        if stubs:
            # Nor what has a finding and a remedy of its own, which this one must not undo.
            unwanted = list_unwanted(machine) if machine else set()
            rest = [e for e in entries if e not in stubs and e not in unwanted]
            yield Code.CUDA_STUBS_AT_RUN_TIME.found(
                f"{name} holds stubs of CUDA's libraries; they are for linking only, and answer "
                "every call with error 34",
                stubs,
                set_list(name, rest),
            )


def _check_torch(
    probe: Probe, inventory: Inventory, toolkit: CudaToolkit, sites: Sequence[SiteListing]
) -> Iterator[Finding]:
    torch = _find_torch(inventory, sites)
    if torch is None or torch.cuda == toolkit.version:
        return
    if torch.cuda is None:
        # Where neither a CUDA version nor this is told, nothing is known of it.
        if torch.version.endswith("+cpu"):
            yield Code.TORCH_WITHOUT_CUDA.found(
                f"torch {torch.version} is built for the CPU alone; it sees no GPU",
                (torch.directory,),
                f"install a build of {store_name(inventory.root)} with CUDA's torch",
            )
        return
    if torch.cuda.partition(".")[0] == toolkit.version.partition(".")[0]:
        severity, consequence = Severity.WARNING, "its extension builder warns of it"
    else:
        severity, consequence = Severity.ERROR, "its extension builder refuses that"
    yield Code.TORCH_OTHER_CUDA.found(
        f"torch is built for CUDA {torch.cuda}, the toolkit is CUDA {toolkit.version}; "
        f"{consequence}",
        (torch.directory, f"{toolkit.home}/bin/nvcc"),
        _take_toolkit(probe, inventory, torch.cuda),
        severity=severity,
    )


def _headers(toolkit: CudaToolkit, files: ToolkitFiles) -> frozenset[str]:
    """Name the headers that a compiler finds: in the toolkit, and on CPATH."""
    directories = set(toolkit.include_dirs)
    listings = [item for item in files.headers if item.directory in directories]
    return _names(*listings, *files.given_headers)


def _link_libraries(toolkit: CudaToolkit, files: ToolkitFiles, *, linked: bool) -> frozenset[str]:
    """Name the libraries that a linker finds: in the toolkit, stubs too, and on LIBRARY_PATH."""
    directories = {*toolkit.library_dirs, *toolkit.stub_dirs}
    listings = [item for item in files.libraries if item.directory in directories]
    names = _names(*listings, *files.given_libraries)
    # The toolkit root makes the names without version, which wheels lack. That wheels in several
    # places need a root is a finding of its own.
    if linked or (toolkit.of_wheels and not toolkit.in_one_place):
        names |= {name.partition(".so.")[0] + ".so" for name in names if ".so." in name}
    return names


def _names(*listings: DirectoryListing) -> frozenset[str]:
    return frozenset(name for listing in listings for name in listing.names)


def _files_in(listings: Sequence[DirectoryListing], directories: Collection[str]) -> list[str]:
    wanted = set(directories)
    return [
        f"{listing.directory}/{name}"
        for listing in listings
        if listing.directory in wanted
        for name in listing.names
    ]


def _find_library(library: str, paths: Sequence[str]) -> str | None:
    """Find a shared library, ``libcublas.so`` or ``libcublas.so.12``, among paths."""
    names = (f"{library}.so", f"{library}.so.")
    for path in paths:
        name = os.path.basename(path)
        if name == names[0] or name.startswith(names[1]):
            return path
    return None


def _sonames(files: ToolkitFiles, directories: Collection[str]) -> dict[str, str]:
    """Give the path of each library that the loader may look for, by its name."""
    paths = _files_in(files.libraries, directories)
    return {
        os.path.basename(path): path for path in paths if _SONAME.fullmatch(os.path.basename(path))
    }


def _is_other_version(found: StoreObject, toolkit: CudaToolkit) -> bool:
    """Whether it is a part of another CUDA version, and not there to serve this one.

    A second nvcc is told elsewhere. cuda_compat is always newer: it lets an old driver run this
    toolkit. Stubs are loaded by nobody.
    """
    if not may_be_known(store_name(found.path)) and not found.cuda_marker:
        return False
    name = parse_cuda_name(store_name(found.path))
    return (
        (name.known or found.cuda_marker)
        and not name.is_of(toolkit.version)
        and "nvcc" not in found.programs
        and name.output != "stubs"
        and name.part != "cuda_compat"
    )


def _other_version(found: StoreObject) -> str:
    """Give the CUDA version, or of a part that numbers itself the major versions it may be of."""
    name = parse_cuda_name(store_name(found.path))
    return name.cuda or " or ".join(map(str, name.majors))


def _check_patch_levels(toolkit: CudaToolkit) -> Iterator[Finding]:
    if toolkit.passed_over:
        yield Code.CUDA_PATCH_LEVELS.found(
            f"the closure holds parts of CUDA {toolkit.version} in several patch levels; of each, "
            "the one that nvcc names is used, else the highest. Not used:",
            toolkit.passed_over,
        )


def _stub_dirs(toolkit: CudaToolkit | None, files: ToolkitFiles) -> frozenset[str]:
    """Name the toolkit's directories that hold a libcuda: the real one comes with the driver."""
    if toolkit is None:
        return frozenset()
    directories = (*toolkit.library_dirs, *toolkit.stub_dirs)
    paths = _files_in(files.libraries, directories)
    stand_ins = (path for path in paths if os.path.basename(path).startswith("libcuda.so"))
    return frozenset(map(os.path.dirname, stand_ins))


def _is_stub_dir(directory: str, known: Collection[str]) -> bool:
    # lib/stubs and lib64/stubs are NVIDIA's layout, wherever it is installed; of nixpkgs' -stubs
    # outputs, lib itself is like them.
    path = os.path.normpath(directory)
    name, holder = os.path.basename(path), os.path.basename(os.path.dirname(path))
    by_layout = (name == "stubs" and holder.startswith("lib")) or (
        name.startswith("lib") and holder.endswith("-stubs")
    )
    return by_layout or directory in known


def _find_torch(inventory: Inventory, sites: Sequence[SiteListing]) -> _Torch | None:
    """Find the torch that is imported: the first on the path."""
    listings = {listing.directory: listing for listing in sites}
    for part in inventory.site_packages:
        listing = listings.get(part.directory, SiteListing(part.directory, ()))
        for found in listing.distributions:
            if found.name.lower() == "torch":
                return _Torch(part.directory, found.version, inventory.torch_cuda)
    return None


def _take_toolkit(probe: Probe, inventory: Inventory, version: str) -> str:
    sites = tuple(part.directory for part in inventory.site_packages)
    for candidate in find_candidates(probe, sites, None):
        if candidate.version == version:
            return f"take the closure's other nvcc: `--cuda {version}`"
    return (
        f"install a build of {store_name(inventory.root)} whose torch and nvcc are of one CUDA "
        "version"
    )


def _cuda_version(path: StorePath) -> str | None:
    return parse_cuda_version(store_name(path))
