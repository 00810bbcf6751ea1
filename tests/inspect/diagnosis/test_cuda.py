"""What is said of the CUDA toolkit: each finding on plain data, and each remedy followed."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import jsonschema
import pytest
from attrs import evolve, frozen
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from fixtures.wheels import fetch_wheels
from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.evidence.machine import Machine
from nixenv.evidence.toolkit_files import (
    DirectoryListing,
    ToolkitFiles,
    probe_toolkit_files,
)
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.cuda import check_cuda
from nixenv.road.classify import Inventory, classify
from nixenv.road.cuda_files import CudaWheels, Torch
from nixenv.road.prefix import HEADERS
from nixenv.road.probe import Probe, StoreObject, probe_closure
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath
from nixenv.text import split_code
from tests.closures import closure_of, probe_of, store_path
from tests.inspect.diagnosis.remedies import command_in
from tests.real_shells import require_tool

MANIFEST_SCHEMA = Path(__file__).parents[2] / "flox/data/manifest-v1.schema.json"


@frozen
class Part:
    """A store object and the files that matter in it."""

    found: StoreObject
    headers: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()


def part(
    name: str,
    *,
    headers: tuple[str, ...] = (),
    libraries: tuple[str, ...] = (),
    stubs: tuple[str, ...] = (),
    programs: tuple[str, ...] = (),
    newest_gcc: int | None = None,
) -> Part:
    path = store_path(name)
    found = StoreObject(
        path,
        programs=programs,
        include_dirs=(f"{path}/include",) if headers else (),
        library_dirs=(f"{path}/lib",) if libraries or stubs else (),
        stub_dirs=(f"{path}/lib/stubs",) if stubs else (),
        cuda_marker="cuda" in name,
        headers=tuple(header for header in HEADERS if header in headers),
        newest_gcc=newest_gcc,
    )
    return Part(found, headers, libraries, stubs)


def gcc(version: str) -> Part:
    return part(f"gcc-wrapper-{version}", programs=("gcc", "g++"))


PYTHON = Part(StoreObject(store_path("python3-3.12.12"), pythons=("3.12",)))
GCC = gcc("14.3.0")
NINJA = part("ninja-1.13.1", programs=("ninja",))
NVCC = part(
    "cuda12.8-cuda_nvcc-12.8.93",
    headers=("crt/host_config.h",),
    programs=("nvcc",),
    newest_gcc=14,
)
CUDART_DEV = part("cuda12.8-cuda_cudart-12.8.90-dev", headers=("cuda.h", "cuda_runtime.h"))
CUDART_LIB = part(
    "cuda12.8-cuda_cudart-12.8.90-lib",
    libraries=("libcudart.so", "libcudart.so.12", "libcudart.so.12.8.90"),
)
CUDART_STUBS = part("cuda12.8-cuda_cudart-12.8.90-stubs", stubs=("libcuda.so",))
CCCL = part("cuda12.8-cuda_cccl-12.8.90", headers=("nv/target",))
ROOT = Part(StoreObject(store_path("python3.12-sglang-0.5.9"), site_packages=("3.12",)))
WHOLE = (PYTHON, GCC, NINJA, NVCC, CUDART_DEV, CUDART_LIB, CUDART_STUBS, CCCL, ROOT)

# What each package brings into a Flox environment, as far as it matters here.
PACKAGES = {
    "cuda_cudart": (*CUDART_DEV.headers, *CUDART_LIB.libraries, *CUDART_STUBS.stubs),
    "cuda_cccl": CCCL.headers,
    "cuda_crt": NVCC.headers,
    "cuda_nvcc": NVCC.headers,
    "libcublas": ("cublas.h", "cublas_v2.h", "cublasLt.h"),
    "libcusparse": ("cusparse.h",),
    "libcusolver": ("cusolverDn.h",),
    "libcurand": ("curand.h", "curand_kernel.h"),
    "cuda_nvrtc": ("nvrtc.h",),
}


def without(*parts: Part) -> tuple[Part, ...]:
    return tuple(one for one in WHOLE if one not in parts)


def files_of(parts: Iterable[Part], given: Sequence[str] = ()) -> ToolkitFiles:
    parts = tuple(parts)
    libraries = [(one.found.path, "lib", one.libraries) for one in parts]
    stubs = [(one.found.path, "lib/stubs", one.stubs) for one in parts]
    return ToolkitFiles(
        headers=tuple(DirectoryListing(f"{one.found.path}/include", one.headers) for one in parts),
        libraries=tuple(
            DirectoryListing(f"{path}/{where}", names)
            for path, where, names in (*libraries, *stubs)
            if names
        ),
        given_headers=(DirectoryListing("/flox/include", tuple(given)),) if given else (),
        given_libraries=(DirectoryListing("/flox/lib", tuple(given)),) if given else (),
    )


def classified(parts: Iterable[Part], cuda: str | None = None) -> tuple[Probe, Inventory]:
    objects = tuple(one.found for one in parts)
    return probe_of(*objects), classify(closure_of(*objects), probe_of(*objects), cuda=cuda)


def check(
    *parts: Part,
    machine: Machine | None = None,
    sites: tuple[SiteListing, ...] = (),
    given: Sequence[str] = (),
    cuda: str | None = None,
    linked: bool = False,
) -> list[Finding]:
    probe, inventory = classified(parts, cuda)
    files = files_of(parts, given)
    return list(check_cuda(probe, inventory, files, sites, machine, linked=linked))


def codes(findings: Iterable[Finding]) -> list[tuple[str, Severity]]:
    return [(finding.code, finding.severity) for finding in findings]


def on_machine(variables: dict[str, str] | None = None, **programs: str) -> Machine:
    variables = variables or {}
    given = variables.get("CC")
    target = programs.get(given, given) if given else programs.get("gcc")
    return Machine("x86_64", variables=variables, programs=programs, compiler_target=target)


def manifest_line(finding: Finding) -> str:
    """The line that a remedy adds to [install]."""
    return next(code for code, is_code in split_code(finding.remedy) if is_code and "pkg" in code)


def installed(findings: Iterable[Finding]) -> dict[str, dict[str, object]]:
    """The packages that a user has who follows all of these remedies, by Flox's own schema."""
    lines = dict.fromkeys(manifest_line(finding) for finding in findings)
    document = tomllib.loads("\n".join(['schema-version = "1.10.0"', "[install]", *lines]))
    jsonschema.validate(document, json.loads(MANIFEST_SCHEMA.read_text()))
    install: dict[str, dict[str, object]] = document["install"]
    return install


def exported(remedy: str, before: dict[str, str]) -> dict[str, str]:
    """The variables after a remedy that is a shell command."""
    command, *words = shlex.split(command_in(remedy))
    if command == "unset":
        return {name: value for name, value in before.items() if name not in words}
    assert command == "export"
    return before | dict(word.split("=", 1) for word in words)


def test_a_whole_toolkit_is_no_news() -> None:
    """With or without a machine at hand."""
    assert check(*WHOLE) == []
    assert check(*WHOLE, machine=on_machine({"LD_LIBRARY_PATH": "/run/opengl-driver/lib"})) == []


def test_a_joined_toolkit_is_no_news() -> None:
    """One object that holds all, with include/cccl as CUDA 13 has it."""
    joined = part("cuda-merged-13.0", programs=("nvcc",), headers=("x.h",), libraries=("y.so",))
    path = joined.found.path
    found = joined.found._replace(include_dirs=(f"{path}/include", f"{path}/include/cccl"))
    files = ToolkitFiles(
        headers=(
            DirectoryListing(f"{path}/include", ("crt/host_config.h", "cuda_runtime.h")),
            DirectoryListing(f"{path}/include/cccl", ("nv/target",)),
        ),
        libraries=(DirectoryListing(f"{path}/lib", ("libcuda.so", "libcudart.so")),),
    )
    probe, inventory = classified((PYTHON, gcc("15.2.0"), NINJA, Part(found), ROOT))
    assert list(check_cuda(probe, inventory, files, (), None, linked=False)) == []


def test_no_toolkit_is_a_note() -> None:
    """A CPU-only program is fine, and nothing else is said of its CUDA."""
    assert codes(check(PYTHON, ROOT)) == [("cuda-none", Severity.NOTE)]


def test_a_compiler_of_no_known_version_is_told_and_taken_at_the_users_word() -> None:
    """It is not the same as none; --cuda, which the remedy names, takes it."""
    odd = part("my-own-toolkit", programs=("nvcc",), headers=NVCC.headers, newest_gcc=14)
    parts = (odd, *without(NVCC))
    (finding,) = check(*parts)
    assert codes([finding]) == [("cuda-version-unknown", Severity.WARNING)]
    assert finding.evidence == (f"{odd.found.path}/bin/nvcc",)
    assert f"`{odd.found.path}/bin/nvcc --version`" in finding.remedy
    assert "--cuda X.Y" in finding.remedy
    assert check(*parts, cuda="12.8") == []


def test_a_compiler_of_no_known_version_is_told_where_nothing_could_be_chosen() -> None:
    """A profile that requires CUDA ends the road there; nothing else is guessed then."""
    odd = probe_of(part("my-own-toolkit", programs=("nvcc",)).found)
    findings = check_cuda(odd, None, files_of(()), (), None, linked=False)
    assert codes(findings) == [("cuda-version-unknown", Severity.WARNING)]
    assert list(check_cuda(probe_of(NVCC.found), None, files_of(()), (), None, linked=False)) == []
    assert list(check_cuda(probe_of(), None, files_of(()), (), None, linked=False)) == []


@pytest.mark.parametrize(
    ("missing", "code", "package"),
    [
        (CUDART_DEV, "cuda-runtime-headers-missing", "cuda_cudart"),
        (CCCL, "cuda-cccl-missing", "cuda_cccl"),
        (CUDART_LIB, "cuda-runtime-library-missing", "cuda_cudart"),
        (CUDART_STUBS, "cuda-stubs-missing", "cuda_cudart"),
    ],
)
def test_a_part_that_is_missing_is_told_and_can_be_installed(
    missing: Part, code: str, package: str
) -> None:
    """Exactly that one; what the remedy's line installs cures it."""
    findings = check(*without(missing))
    assert codes(findings) == [(code, Severity.WARNING)]
    assert list(installed(findings)) == [package]
    assert check(*without(missing), given=PACKAGES[package]) == []


@pytest.mark.parametrize(
    ("version", "package"), [("12.9", "cuda_nvcc"), ("13.0", "cuda_crt"), ("13.1", "cuda_crt")]
)
def test_nvccs_own_headers_are_a_package_of_their_own_since_cuda_13(
    version: str, package: str
) -> None:
    """The remedy names the one that exists."""
    nvcc = part(f"cuda{version}-cuda_nvcc-{version}.48", programs=("nvcc",))
    rest = [
        evolve(
            one, found=one.found._replace(path=StorePath(one.found.path.replace("12.8", version)))
        )
        for one in without(NVCC, CUDART_DEV, CUDART_LIB, CUDART_STUBS, CCCL)
    ]
    given = (*PACKAGES["cuda_cudart"], *PACKAGES["cuda_cccl"])
    findings = check(nvcc, *rest, given=given)
    assert codes(findings) == [("cuda-runtime-headers-missing", Severity.WARNING)]
    assert "crt/host_config.h" in findings[0].summary
    (descriptor,) = installed(findings).values()
    assert descriptor["pkg-path"] == f"flox-cuda/cudaPackages_{version.replace('.', '_')}.{package}"
    assert check(nvcc, *rest, given=(*given, *PACKAGES[package])) == []


LIBRARIES = (
    ("libcublas", ("libcublas.so.12", "libcublasLt.so.12"), "cublas_v2.h and cublasLt.h"),
    ("libcublas", ("libcublasLt.so",), "cublasLt.h"),
    ("libcusparse", ("libcusparse.so.12",), "cusparse.h"),
    ("libcusolver", ("libcusolver.so.11",), "cusolverDn.h"),
    ("libcurand", ("libcurand.so.10",), "curand_kernel.h"),
    ("cuda_nvrtc", ("libnvrtc.so.12", "libnvrtc-builtins.so.12.8"), "nvrtc.h"),
)


@pytest.mark.parametrize(("package", "libraries", "headers"), LIBRARIES)
def test_a_library_without_its_headers_is_told_with_the_line_that_adds_them(
    package: str, libraries: tuple[str, ...], headers: str
) -> None:
    """One finding for a package, with the libraries that are there."""
    library = part(f"cuda12.8-{package}-12.8.4.1-lib", libraries=libraries)
    findings = check(library, *WHOLE)
    assert codes(findings) == [("cuda-library-without-headers", Severity.WARNING)]
    assert f" {headers}; " in findings[0].summary
    assert findings[0].evidence[0] == f"{library.found.path}/lib/{libraries[0]}"
    assert installed(findings)[package] == {
        "pkg-path": f"flox-cuda/cudaPackages_12_8.{package}",
        "pkg-group": "cuda",
        "outputs": "all",
        "priority": installed(findings)[package]["priority"],
    }
    assert check(library, *WHOLE, given=PACKAGES[package]) == []
    development = part(f"cuda12.8-{package}-12.8.4.1-dev", headers=PACKAGES[package])
    assert check(library, development, *WHOLE) == []


def test_all_the_lines_can_stand_in_one_manifest() -> None:
    """CUDA's packages share file names: each has a priority of its own, below the default's."""
    libraries = [
        part(f"cuda12.8-{package}-12.8.4.1-lib", libraries=names)
        for package, names, _ in (LIBRARIES[0], *LIBRARIES[2:])
    ]
    bare = without(CUDART_DEV, CUDART_LIB, CUDART_STUBS, CCCL, NVCC)
    findings = check(*libraries, part("cuda12.8-cuda_nvcc-12.8.93", programs=("nvcc",)), *bare)
    install = installed(findings)
    assert set(install) == set(PACKAGES) - {"cuda_crt"}
    priorities = [descriptor["priority"] for descriptor in install.values()]
    assert len(set(priorities)) == len(priorities)
    assert min(map(int, map(str, priorities))) > 5


@pytest.mark.parametrize(
    "name", ["libcudnn.so.9", "libnccl.so.2", "libcufft.so.11", "libcupti.so.12", "libcurandx.so"]
)
def test_a_library_that_no_jit_compiler_builds_with_needs_no_headers(name: str) -> None:
    """Every run-time closure holds such: nobody is to be alarmed."""
    assert check(part("cuda12.8-cudnn-9.13.0-lib", libraries=(name,)), *WHOLE) == []


def test_libraries_need_no_headers_where_nothing_compiles() -> None:
    """Without nvcc there is no JIT compiler that could ask for them."""
    library = part("cuda12.8-libcublas-12.8.4.1-lib", libraries=("libcublasLt.so.12",))
    assert codes(check(PYTHON, library, ROOT)) == [("cuda-none", Severity.NOTE)]


def test_headers_of_another_version_do_not_count() -> None:
    """They are in the closure, and no compiler is sent there."""
    library = part("cuda12.8-cuda_nvrtc-12.8.93-lib", libraries=("libnvrtc.so.12",))
    other = part("cuda13.0-cuda_nvrtc-13.0.48-dev", headers=("nvrtc.h",))
    assert codes(check(library, other, *WHOLE)) == [
        ("cuda-library-without-headers", Severity.WARNING),
        ("cuda-several-versions", Severity.NOTE),
    ]


def test_parts_of_another_version_are_a_note() -> None:
    """They work side by side, each library under a name of its own."""
    other = part("cuda13.0-cuda_cudart-13.0.48", libraries=("libcudart.so", "libcudart.so.13"))
    (finding,) = check(other, *WHOLE)
    assert codes([finding]) == [("cuda-several-versions", Severity.NOTE)]
    assert finding.evidence == (other.found.path,)
    assert "CUDA 13.0 beside the toolkit's 12.8" in finding.summary


def test_one_library_of_two_versions_is_a_warning() -> None:
    """The loader takes the first of one name for both; without the other all is well."""
    other = part("cuda12.6-cuda_cudart-12.6.77", libraries=("libcudart.so", "libcudart.so.12"))
    (finding,) = check(other, *WHOLE)
    assert codes([finding]) == [("cuda-several-versions", Severity.WARNING)]
    assert finding.evidence == (
        f"{CUDART_LIB.found.path}/lib/libcudart.so.12",
        f"{other.found.path}/lib/libcudart.so.12",
    )
    assert f"`nixenv inspect --why {other.found.path}`" in finding.remedy


@pytest.mark.parametrize(
    "other",
    [
        part("cuda13.0-cuda_compat-13.0.48", libraries=("libcuda.so.1",)),
        part("cuda_compat-13.0.48", libraries=("libcuda.so.1",)),
        part("cuda12.6-cuda_cudart-12.6.77-stubs", stubs=("libcuda.so.1",)),
        part("libcurand-10.3.9.90-lib", libraries=("libcurandx.so.10",)),
    ],
    ids=lambda other: str(other.found.path[44:]),
)
def test_what_serves_this_version_is_no_other_one(other: Part) -> None:
    """cuda_compat is newer by its nature, stubs are never loaded, some number themselves."""
    assert check(other, *WHOLE) == []


def test_a_second_nvcc_is_not_told_twice() -> None:
    """The choice between compilers is told with the choice (cuda-several-compilers)."""
    assert check(part("cuda12.6-cuda_nvcc-12.6.77", programs=("nvcc",)), *WHOLE) == []


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("{stubs}", None),
        ("/run/opengl-driver/lib:{stubs}/:/opt/my lib", "/run/opengl-driver/lib:/opt/my lib"),
        ("/usr/local/cuda/lib64/stubs;/a", "/a"),
        ("{output}/lib", None),
    ],
    ids=["alone", "among others", "NVIDIA's own", "nixpkgs' output"],
)
def test_stubs_on_the_loaders_path_are_an_error(value: str, rest: str | None) -> None:
    """The command in the remedy leaves the rest as it is."""
    output = CUDART_STUBS.found.path
    before = {"LD_LIBRARY_PATH": value.format(stubs=f"{output}/lib/stubs", output=output)}
    (finding,) = check(*WHOLE, machine=on_machine(before))
    assert codes([finding]) == [("cuda-stubs-at-run-time", Severity.ERROR)]
    after = exported(finding.remedy, before)
    assert after.get("LD_LIBRARY_PATH") == rest
    assert check(*WHOLE, machine=on_machine(after)) == []


def test_a_preloaded_stub_is_an_error() -> None:
    """A library there, not a directory, among others that stay."""
    stub = f"{CUDART_STUBS.found.path}/lib/stubs/libcuda.so"
    before = {"LD_PRELOAD": f"/usr/lib/libjemalloc.so {stub}"}
    (finding,) = check(*WHOLE, machine=on_machine(before))
    assert finding.evidence == (stub,)
    after = exported(finding.remedy, before)
    assert after == {"LD_PRELOAD": "/usr/lib/libjemalloc.so"}
    assert check(*WHOLE, machine=on_machine(after)) == []


def test_stubs_in_the_lib_of_a_joined_toolkit_are_stubs() -> None:
    """nixpkgs joins the stubs' links into lib; the libcuda that works is the driver's."""
    joined = part(
        "cuda-merged-12.8", programs=("nvcc",), libraries=("libcuda.so.1", "libcudart.so")
    )
    machine = on_machine({"LD_LIBRARY_PATH": f"{joined.found.path}/lib"})
    given = (*PACKAGES["cuda_cudart"], *PACKAGES["cuda_cccl"], *NVCC.headers)
    findings = check(PYTHON, GCC, NINJA, joined, ROOT, machine=machine, given=given)
    assert codes(findings) == [("cuda-stubs-at-run-time", Severity.ERROR)]


def test_stubs_are_told_without_a_toolkit_too() -> None:
    """They break a program that brings CUDA's libraries alone, or of which nothing is known."""
    machine = on_machine({"LD_LIBRARY_PATH": "/usr/local/cuda/lib64/stubs"})
    expected = ("cuda-stubs-at-run-time", Severity.ERROR)
    assert codes(check(PYTHON, ROOT, machine=machine))[0] == expected
    assert codes(check_cuda(probe_of(), None, files_of(()), (), machine, linked=False)) == [
        expected
    ]


@pytest.mark.parametrize(
    "directory",
    [
        "/run/opengl-driver/lib",
        "/usr/lib/wsl/lib",
        "/home/me/project/stubs",
        "/usr/local/nvidia/lib64",
    ],
)
def test_other_directories_are_nobodys_stubs(directory: str) -> None:
    """The driver's are what belongs there."""
    assert check(*WHOLE, machine=on_machine({"LD_LIBRARY_PATH": directory})) == []


def test_no_host_compiler_is_a_warning_and_can_be_installed() -> None:
    """The line asks for the newest that this nvcc takes; CC or a gcc on PATH will do."""
    (finding,) = check(*without(GCC))
    assert codes([finding]) == [("cuda-no-host-compiler", Severity.WARNING)]
    assert installed([finding])["gcc"]["pkg-path"] == "gcc14"
    assert check(*without(GCC), machine=on_machine(gcc="/flox/bin/gcc")) == []
    assert check(*without(GCC), machine=on_machine({"CC": "/flox/bin/clang"})) == []
    assert codes(check(*without(GCC), machine=on_machine({"CC": ""}))) == codes([finding])


def test_a_cc_that_is_no_program_is_a_warning() -> None:
    """JIT compilers call it, whatever the closure has; where that has none, a line adds one."""
    nowhere = Machine("x86_64", variables={"CC": "/nowhere/gcc"})
    (finding,) = check(*WHOLE, machine=nowhere)
    assert codes([finding]) == [("cuda-no-host-compiler", Severity.WARNING)]
    assert finding.evidence == ("CC=/nowhere/gcc",)
    assert check(*WHOLE, machine=on_machine(exported(finding.remedy, {"CC": "/nowhere/gcc"}))) == []
    (finding,) = check(*without(GCC), machine=nowhere)
    assert installed([finding])["gcc"]["pkg-path"] == "gcc14"
    assert finding.remedy.endswith('`export CC="$FLOX_ENV/bin/gcc" CXX="$FLOX_ENV/bin/g++"`')


def test_cc_is_judged_behind_its_links() -> None:
    """Where Flox and Debian put a link, the file behind it tells the version."""
    machine = Machine(
        "x86_64",
        variables={"CC": "/flox/bin/gcc"},
        compiler_target=f"{store_path('gcc-wrapper-15.2.0')}/bin/gcc",
    )
    (finding,) = check(*WHOLE, machine=machine)
    assert codes([finding]) == [("cuda-host-compiler-too-new", Severity.ERROR)]
    debian = Machine("x86_64", compiler_target="/usr/bin/x86_64-linux-gnu-gcc-15")
    assert codes(check(*without(GCC), machine=debian)) == codes([finding])


def test_no_ninja_is_a_warning_and_can_be_installed() -> None:
    """One on PATH will do."""
    (finding,) = check(*without(NINJA))
    assert codes([finding]) == [("cuda-no-ninja", Severity.WARNING)]
    assert installed([finding])["ninja"]["pkg-path"] == "ninja"
    assert check(*without(NINJA), machine=on_machine(ninja="/flox/bin/ninja")) == []


def test_a_gcc_that_nvcc_refuses_is_an_error() -> None:
    """Where the closure has an older one, that is taken, and the remedy where CC is another."""
    new, old, older = gcc("15.2.0"), gcc("13.4.0"), gcc("9.5.0")
    assert check(new, older, old, *without(GCC)) == []
    given = on_machine({"CC": f"{new.found.path}/bin/gcc"})
    (finding,) = check(new, older, old, *without(GCC), machine=given)
    assert codes([finding]) == [("cuda-host-compiler-too-new", Severity.ERROR)]
    assert "refuses gcc 15; gcc 14 is its newest" in finding.summary
    after = exported(finding.remedy, {})
    assert after == {"CC": f"{old.found.path}/bin/gcc", "CXX": f"{old.found.path}/bin/g++"}
    assert check(new, older, old, *without(GCC), machine=on_machine(after)) == []


def test_gcc_without_a_wrapper_is_no_way_out() -> None:
    """It is in the closure as the wrapper's own, and knows neither the C library nor the linker."""
    new, old = gcc("15.2.0"), gcc("13.4.0")
    bare = evolve(old, found=old.found._replace(path=store_path("gcc-14.3.0")))
    given = on_machine({"CC": f"{new.found.path}/bin/gcc"})
    (finding,) = check(bare, new, old, *without(GCC), machine=given)
    assert exported(finding.remedy, {})["CC"] == f"{old.found.path}/bin/gcc"


def test_an_older_gcc_can_be_installed() -> None:
    """Where the closure has none, a line of the manifest and one of the hook are the remedy."""
    (finding,) = check(gcc("15.2.0"), *without(GCC))
    assert installed([finding])["gcc"]["pkg-path"] == "gcc14"
    assert finding.remedy.endswith('`export CC="$FLOX_ENV/bin/gcc" CXX="$FLOX_ENV/bin/g++"`')
    machine = on_machine({"CC": "/flox/bin/gcc"})
    assert check(gcc("15.2.0"), *without(GCC), machine=machine) == []


@pytest.mark.parametrize(
    "given", ["/usr/bin/gcc-15", "gcc-15", f"{store_path('gcc-15.2.0')}/bin/cc"]
)
def test_cc_is_judged_where_it_is_set(given: str) -> None:
    """JIT compilers hand it to nvcc, whatever the closure has."""
    (finding,) = check(*WHOLE, machine=on_machine({"CC": given}))
    assert codes([finding]) == [("cuda-host-compiler-too-new", Severity.ERROR)]
    assert finding.evidence[0] == given
    after = exported(finding.remedy, {"CC": given})
    assert check(*WHOLE, machine=on_machine(after)) == []


@pytest.mark.parametrize(
    "given", ["gcc", "/usr/bin/clang-19", "ccache gcc-15", "/x/gcc-15-bin", ""]
)
def test_a_cc_that_does_not_tell_its_version_is_not_suspected(given: str) -> None:
    """Nor one that is empty, which JIT compilers take for unset."""
    assert check(*WHOLE, machine=on_machine({"CC": given})) == []


def test_a_gcc_that_path_finds_is_judged_by_where_it_is() -> None:
    """CC may be a bare name, or there is no other compiler."""
    machine = on_machine({"CC": "gcc"}, gcc=f"{gcc('15.2.0').found.path}/bin/gcc")
    assert codes(check(*WHOLE, machine=machine)) == [("cuda-host-compiler-too-new", Severity.ERROR)]
    machine = on_machine(gcc=f"{gcc('15.2.0').found.path}/bin/gcc")
    assert codes(check(*without(GCC), machine=machine)) == [
        ("cuda-host-compiler-too-new", Severity.ERROR)
    ]


def test_no_compiler_is_suspected_where_nvcc_does_not_say() -> None:
    """A header without the bound tells nothing of any compiler; the manifest line takes any."""
    silent = evolve(NVCC, found=NVCC.found._replace(newest_gcc=None))
    assert check(gcc("99.1.0"), silent, *without(GCC, NVCC)) == []
    (finding,) = check(silent, *without(GCC, NVCC))
    assert installed([finding])["gcc"]["pkg-path"] == "gcc"


def test_the_bound_is_found_where_cuda_13_keeps_it() -> None:
    """In cuda_crt, not with nvcc; that of another CUDA version is not asked."""
    nvcc = evolve(NVCC, headers=("x.h",), found=NVCC.found._replace(newest_gcc=None))
    crt = part("cuda12.8-cuda_crt-12.8.93", headers=NVCC.headers, newest_gcc=14)
    other = part("cuda12.6-cuda_crt-12.6.77", headers=NVCC.headers, newest_gcc=13)
    rest = without(GCC, NVCC)
    assert codes(check(gcc("15.2.0"), nvcc, crt, *rest)) == [
        ("cuda-host-compiler-too-new", Severity.ERROR)
    ]
    assert codes(check(GCC, nvcc, other, crt, *rest)) == [("cuda-several-versions", Severity.NOTE)]


def torch_in(part: Part, version: str = "2.9.1") -> SiteListing:
    directory = f"{part.found.path}/lib/python3.12/site-packages"
    return SiteListing(directory, (Distribution("torch", version),))


def built_for(cuda: str | None, part: Part = ROOT) -> Part:
    return evolve(part, found=part.found._replace(torch=Torch(cuda)))


@pytest.mark.parametrize(
    ("cuda", "severity"),
    [("12.6", Severity.WARNING), ("13.0", Severity.ERROR), ("1.8", Severity.ERROR)],
)
def test_a_torch_of_another_cuda_is_told(cuda: str, severity: Severity) -> None:
    """As torch judges: it warns of another minor version and refuses another major one."""
    (finding,) = check(*without(ROOT), built_for(cuda), sites=(torch_in(ROOT),))
    assert codes([finding]) == [("torch-other-cuda", severity)]
    assert f"CUDA {cuda}, the toolkit is CUDA 12.8" in finding.summary
    assert finding.remedy.startswith("install a build of python3.12-sglang-0.5.9 ")


def test_the_toolkit_of_torch_is_taken_where_the_closure_has_it() -> None:
    """By itself; and where another one was asked for, the remedy's option cures it."""
    new = part("cuda13.0-cuda_nvcc-13.0.48", programs=("nvcc",), headers=NVCC.headers)
    sites = (torch_in(ROOT),)
    parts = (new, *without(ROOT), built_for("12.8"))
    assert check(*parts, sites=sites) == []
    given = (*PACKAGES["cuda_cudart"], *PACKAGES["cuda_cccl"])
    found = check(*parts, sites=sites, given=given, cuda="13.0")
    (finding,) = (one for one in found if one.code == "torch-other-cuda")
    assert finding.remedy.endswith("`--cuda 12.8`")


def test_a_toolkit_that_works_is_named_before_a_package_to_install() -> None:
    """Where a bare nvcc was asked for, and another version is whole."""
    new = part("cuda13.0-cuda_nvcc-13.0.48", programs=("nvcc",))
    findings = check(new, *WHOLE, cuda="13.0")
    missing = [one for one in findings if one.code.endswith("-missing")]
    assert {one.code for one in missing} >= {"cuda-runtime-headers-missing", "cuda-cccl-missing"}
    assert all(one.remedy.endswith("`--cuda 12.8`") for one in missing)


@pytest.mark.parametrize("version", ["2.9.1+cpu", "2.9.1"])
def test_a_torch_for_the_cpu_is_told_where_that_is_certain(version: str) -> None:
    """A torch of which no CUDA version is known may be any."""
    findings = check(*without(ROOT), built_for(None), sites=(torch_in(ROOT, version),))
    certain = [("torch-without-cuda", Severity.WARNING)]
    assert codes(findings) == (certain if version.endswith("+cpu") else [])


def test_only_the_torch_that_is_imported_counts() -> None:
    """The first on the path, and none that is not on it; what only sounds like it is none."""
    first, second = (
        Part(ROOT.found._replace(path=store_path(name))) for name in ("torch-one", "torch-two")
    )
    stranger = torch_in(part("elsewhere"))
    other = SiteListing(torch_in(ROOT).directory, (Distribution("torchao", "0.9"),))
    sites = (torch_in(second), stranger, other, torch_in(first))
    # Nix lists references first, and dependents win.
    rest = WHOLE[:-1]
    right = (*rest, built_for("11.8", second), built_for("12.8", first), ROOT)
    assert check(*right, sites=sites) == []
    swapped = (*rest, built_for("12.8", second), built_for("11.8", first), ROOT)
    assert codes(check(*swapped, sites=sites)) == [("torch-other-cuda", Severity.ERROR)]


@hypothesis_given(
    variables=st.dictionaries(st.sampled_from(["LD_LIBRARY_PATH", "LD_PRELOAD", "CC"]), st.text()),
    names=st.lists(st.text()),
    torch=st.tuples(st.text(), st.one_of(st.none(), st.text())),
)
def test_nothing_that_a_machine_or_a_store_may_hold_is_an_error(
    variables: dict[str, str], names: list[str], torch: tuple[str, str | None]
) -> None:
    """Values, file names and versions are anybody's; a stub that is told can be taken away."""
    odd = part("cuda12.6-cuda_cudart-12.6.77", headers=tuple(names), libraries=tuple(names))
    sites = (torch_in(ROOT, torch[0]),)
    parts = (odd, *without(ROOT), built_for(torch[1]))
    for finding in check(*parts, machine=on_machine(variables), sites=sites, given=names):
        if finding.code == "cuda-stubs-at-run-time":
            after = on_machine(exported(finding.remedy, variables))
            assert finding not in check(*parts, machine=after, sites=sites, given=names)


# What looks into CUDA_HOME, patch levels, the compilers that nvcc's variables name ---------------


def site_of(*modules: str) -> SiteListing:
    directory = f"{ROOT.found.path}/lib/python3.12/site-packages"
    return SiteListing(directory, (), packages=modules)


@pytest.mark.parametrize(
    ("module", "severity"),
    [
        ("sgl_kernel", Severity.NOTE),
        ("cupy", Severity.WARNING),
        ("numba", Severity.WARNING),
        ("numba_cuda", Severity.WARNING),
    ],
)
def test_what_a_package_misses_in_cuda_home_is_told_once_for_layout_store(
    module: str, severity: Severity
) -> None:
    """nvcc's store object has no libraries and not the others' headers; a toolkit root has."""
    site = site_of(module, "torch")
    (finding,) = check(*WHOLE, sites=(site,))
    assert codes([finding]) == [("cuda-home-partial", severity)]
    assert "`--layout linked`" in finding.remedy
    assert module in finding.summary
    assert check(*WHOLE, sites=(site,), linked=True) == []
    (both,) = check(*WHOLE, sites=(site_of(module, "cupy"),))
    assert both.severity is Severity.WARNING


def test_cuda_pathfinder_is_known_by_its_distribution() -> None:
    """Its module is below `cuda`, a name that many share."""
    site = SiteListing(
        site_of().directory, (Distribution("cuda-pathfinder", "1.9.1", (), ("cuda",)),)
    )
    (finding,) = check(*WHOLE, sites=(site,))
    assert codes([finding]) == [("cuda-home-partial", Severity.NOTE)]
    assert "cuda-pathfinder" in finding.summary
    assert check(*WHOLE, sites=(site,), linked=True) == []


def test_a_joined_toolkit_has_what_they_miss() -> None:
    """There CUDA_HOME is all of it."""
    joined = part(
        "cuda-merged-12.8",
        programs=("nvcc",),
        headers=(*NVCC.headers, *CUDART_DEV.headers, *CCCL.headers, "cuda_fp16.h"),
        libraries=CUDART_LIB.libraries,
        stubs=CUDART_STUBS.stubs,
    )
    parts = (PYTHON, GCC, NINJA, joined, ROOT)
    assert check(*parts, sites=(site_of("sgl_kernel", "cupy"),)) == []


def test_stubs_by_the_drivers_own_name_are_a_note_in_layout_store() -> None:
    """Told once, with the layout that has them by the linker's name alone."""
    stubs = part("cuda12.8-cuda_cudart-12.8.90-stubs", stubs=("libcuda.so", "libcuda.so.1"))
    parts = (*without(CUDART_STUBS), stubs)
    (finding,) = check(*parts)
    assert codes([finding]) == [("cuda-stubs-on-run-path", Severity.NOTE)]
    assert finding.evidence == (f"{stubs.found.path}/lib/stubs/libcuda.so.1",)
    assert finding.remedy.startswith("take layout linked")
    assert check(*parts, linked=True) == []


CUOBJDUMP = part("cuda12.8-cuda_cuobjdump-12.8.90", programs=("cuobjdump",))


def test_deep_gemm_without_cuobjdump_is_a_warning() -> None:
    """The package brings it; where the closure has it, the layout does."""
    site = (site_of("deep_gemm"),)
    (finding,) = check(*WHOLE, sites=site)
    assert codes([finding]) == [("cuda-cuobjdump-missing", Severity.WARNING)]
    assert "cuda_cuobjdump" in installed([finding])
    assert codes(check(*WHOLE, sites=site, linked=True)) == codes([finding])
    (finding,) = check(CUOBJDUMP, *WHOLE, sites=site)
    assert codes([finding]) == [("cuda-cuobjdump-missing", Severity.WARNING)]
    assert finding.remedy.startswith("take layout linked")
    assert check(CUOBJDUMP, *WHOLE, sites=site, linked=True) == []
    own = evolve(NVCC, found=NVCC.found._replace(programs=("nvcc", "cuobjdump")))
    assert check(own, *without(NVCC), sites=site) == []
    assert check(CUOBJDUMP, *WHOLE, sites=(site_of("torch"),)) == []


def test_patch_levels_that_are_not_used_are_a_note() -> None:
    """And no trouble."""
    old = part("cuda12.8-cuda_cudart-12.8.57-lib", libraries=("libcudart.so",))
    (finding,) = check(old, *WHOLE)
    assert codes([finding]) == [("cuda-patch-levels", Severity.NOTE)]
    assert finding.evidence == (old.found.path,)


def test_a_library_of_another_major_version_is_seen() -> None:
    """Its name tells no CUDA version, and the major version of its own tells which not."""
    other = part("libcublas-11.11.3.6-lib", libraries=("libcublas.so.11",))
    (finding,) = check(other, *WHOLE)
    assert codes([finding]) == [("cuda-several-versions", Severity.NOTE)]
    assert "CUDA 11 beside" in finding.summary
    assert check(part("libcurand-10.3.9.90-lib"), *WHOLE) == []


def test_a_prefix_alone_is_no_part_of_another_version() -> None:
    """cutlass is built for a CUDA, and is none of it."""
    other = part("cuda13.0-cutlass-4.5.2", headers=("cutlass.h",))
    assert check(evolve(other, found=other.found._replace(cuda_marker=False)), *WHOLE) == []


def new_gcc_for(variable: str, value: str, **more: str) -> Machine:
    machine = on_machine({variable: value, **more})
    return evolve(machine, nvcc_compilers={variable: "/usr/bin/g++-16"})


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("NVCC_CCBIN", "/usr/bin/g++-16", "`unset NVCC_CCBIN`"),
        ("CUDAHOSTCXX", "/usr/bin/g++-16", "`unset CUDAHOSTCXX`"),
        ("NVCC_PREPEND_FLAGS", "-ccbin /usr/bin/g++-16", "`unset NVCC_PREPEND_FLAGS`"),
        (
            "NVCC_APPEND_FLAGS",
            "-O2 -ccbin=/usr/bin/g++-16 -g",
            "`export NVCC_APPEND_FLAGS='-O2 -g'`",
        ),
    ],
)
def test_a_compiler_that_nvccs_own_variables_name_is_judged(
    variable: str, value: str, remedy: str
) -> None:
    """The variable is named, and taken back."""
    (finding,) = check(*WHOLE, machine=new_gcc_for(variable, value))
    assert codes([finding]) == [("cuda-host-compiler-too-new", Severity.ERROR)]
    assert f"gcc 16, which {variable} names" in finding.summary
    assert finding.remedy == remedy


@pytest.mark.parametrize("variable", ["NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"])
@pytest.mark.parametrize("flag", ["-allow-unsupported-compiler", "--allow-unsupported-compiler"])
def test_nvcc_that_allows_any_compiler_refuses_none(variable: str, flag: str) -> None:
    """Neither CC nor the closure's."""
    machine = on_machine({variable: f"-O2 {flag}", "CC": "/usr/bin/gcc-16"})
    assert check(gcc("16.1.0"), *without(GCC), machine=machine) == []
    assert len(check(gcc("16.1.0"), *without(GCC), machine=on_machine())) == 1


def test_what_is_appended_is_what_nvcc_takes() -> None:
    """Whatever CC is."""
    machine = on_machine({"CC": "/usr/bin/gcc-16", "NVCC_APPEND_FLAGS": "-ccbin /usr/bin/g++-13"})
    given = evolve(machine, nvcc_compilers={"NVCC_APPEND_FLAGS": "/usr/bin/g++-13"})
    assert check(*WHOLE, machine=given) == []


def test_wheels_link_by_names_without_version_in_layout_linked_alone() -> None:
    """The toolkit root makes them."""
    lib = part("cuda12.8-cuda_cudart-12.8.90-lib", libraries=("libcudart.so.12",))
    parts = (*without(CUDART_LIB), lib)
    assert codes(check(*parts)) == [("cuda-runtime-library-missing", Severity.WARNING)]
    assert check(*parts, linked=True) == []


def test_an_nvcc_among_wheels_that_are_not_in_use_is_told() -> None:
    """It is not the same as none."""
    site = f"{ROOT.found.path}/lib/python3.13/site-packages"
    wheels = CudaWheels(f"{site}/nvidia/cu13", site, "13.0", ("nvcc",))
    root = evolve(ROOT, found=ROOT.found._replace(wheels=(wheels,)))
    (finding,) = check(PYTHON, root)
    assert codes([finding]) == [("cuda-version-unknown", Severity.WARNING)]
    assert finding.evidence == (f"{wheels.home}/bin/nvcc",)


# With the real headers, compilers and libraries.


def compiles(source: str, *include_dirs: str, cpath: str = "") -> bool:
    """Whether g++ takes a source, as nvcc would hand it over."""
    done = subprocess.run(
        [require_tool("g++"), "-fsyntax-only", "-x", "c++", "-"]
        + [f"-I{directory}" for directory in include_dirs],
        input=source,
        env={"PATH": os.environ["PATH"], "CPATH": cpath, "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize(
    ("header", "held", "missing", "code"),
    [
        ("cuda_fp16.h", ("runtime", "nvcc"), "cccl", "cuda-cccl-missing"),
        ("cuda_runtime.h", ("cccl", "nvcc"), "runtime", "cuda-runtime-headers-missing"),
        ("cuda_runtime.h", ("cccl", "runtime"), "nvcc", "cuda-runtime-headers-missing"),
    ],
)
def test_what_is_called_missing_does_not_compile_and_what_is_added_on_cpath_does(
    header: str, held: tuple[str, ...], missing: str, code: str
) -> None:
    """The finding comes and goes with g++'s own verdict on the real headers."""
    wheels = fetch_wheels()
    include = {
        "runtime": f"{wheels.runtime}/nvidia/cuda_runtime/include",
        "cccl": f"{wheels.cccl}/nvidia/cuda_cccl/include",
        "nvcc": f"{wheels.nvcc}/nvidia/cuda_nvcc/include",
    }
    nvcc = NVCC.found._replace(include_dirs=tuple(include[name] for name in held))
    rest = (PYTHON, GCC, NINJA, CUDART_LIB, CUDART_STUBS, ROOT)
    probe, inventory = classified((Part(nvcc), *rest))

    def verdicts(cpath: str) -> tuple[list[str], bool]:
        files = probe_toolkit_files(probe, cpath)
        files = evolve(files, libraries=files_of(rest).libraries)
        findings = check_cuda(probe, inventory, files, (), None, linked=False)
        compiled = compiles(f"#include <{header}>\n", *nvcc.include_dirs, cpath=cpath)
        return [finding.code for finding in findings], compiled

    assert verdicts("") == ([code], False)
    assert verdicts(include[missing]) == ([], True)


@pytest.mark.parametrize(("version", "accepted"), [(14, True), (15, False)])
def test_the_real_header_refuses_the_gcc_that_is_called_too_new(
    version: int, *, accepted: bool
) -> None:
    """NVIDIA's own #error, and the finding, at the same version."""
    include = f"{fetch_wheels().nvcc}/nvidia/cuda_nvcc/include"
    source = (
        f"#define __CUDACC__\n#undef __GNUC__\n#define __GNUC__ {version}\n"
        "#include <crt/host_config.h>\n"
    )
    done = subprocess.run(
        [require_tool("g++"), "-E", "-x", "c++", f"-I{include}", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("unsupported GNU version" not in done.stderr) is accepted
    findings = check(gcc(f"{version}.2.0"), *without(GCC))
    assert (findings == []) is accepted


def test_the_closure_that_nix_built_has_the_faults_that_are_in_it(
    sglang: SglangClosure, tmp_path: Path
) -> None:
    """Libraries without headers, and a decoy; Flox's directory on CPATH cures what can be."""
    paths = tuple(map(StorePath, sglang.store.closure(sglang.root)))
    closure = Closure(paths[-1], paths, Origin.NIX, "test")
    probe = probe_closure(closure, "sglang")
    inventory = classify(closure, probe)
    findings = tuple(
        check_cuda(probe, inventory, probe_toolkit_files(probe), (), None, linked=False)
    )
    assert codes(findings) == [
        ("cuda-library-without-headers", Severity.WARNING),
        ("cuda-library-without-headers", Severity.WARNING),
        ("cuda-several-versions", Severity.NOTE),
    ]
    assert findings[2].evidence == (sglang.objects["cuda13.0-cuda_cudart-13.0.48"],)
    for package in installed(findings[:2]):
        for header in PACKAGES[package]:
            (tmp_path / header).touch()
    files = probe_toolkit_files(probe, cpath=str(tmp_path))
    assert codes(check_cuda(probe, inventory, files, (), None, linked=False)) == codes(findings[2:])


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (
            "joined",
            {"cuda-library-without-headers", "cuda-several-versions", "cuda-no-ninja"},
        ),
        ("cpu", {"cuda-none"}),
    ],
)
def test_other_closures_that_nix_built_have_no_other_faults(
    sglang: SglangClosure, root: str, expected: set[str]
) -> None:
    """The joined toolkit is whole but for the same headers, the CPU's program has none."""
    paths = tuple(map(StorePath, sglang.store.closure(sglang.roots[root])))
    closure = Closure(paths[-1], paths, Origin.NIX, "test")
    probe = probe_closure(closure, None)
    files = probe_toolkit_files(probe)
    findings = check_cuda(probe, classify(closure, probe), files, (), None, linked=False)
    assert {finding.code for finding in findings} == expected


def test_stubs_do_answer_with_error_34_and_the_remedy_ends_it(sglang: SglangClosure) -> None:
    """The loader really takes them from there."""
    stubs = f"{sglang.objects['cuda12.8-cuda_cudart-12.8.90-stubs']}/lib/stubs"
    before = {"LD_LIBRARY_PATH": f"/nowhere:{stubs}"}

    def answer(variables: dict[str, str]) -> str:
        code = "import ctypes; print(ctypes.CDLL('libcuda.so').cuInit(0, linked=False))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    assert answer(before) == "34"
    (finding,) = check(*WHOLE, machine=on_machine(before))
    assert answer(exported(finding.remedy, before)) != "34"
