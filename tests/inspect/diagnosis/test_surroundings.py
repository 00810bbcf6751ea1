"""What else the shell is set up for: as plain data, and as faults in a real environment."""

import pytest

from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.machine import Machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.surroundings import check_surroundings
from tests.inspect.diagnosis.faults import assert_found_and_cured, codes, inspect

H100 = Gpu("H100", "9.0", 80_000)
L4 = Gpu("L4", "8.9", 24_000)


def check(environ: dict[str, str], *gpus: Gpu, cuda: str | None = "12.8") -> list[Finding]:
    machine = Machine("x86_64", variables=environ, driver=GpuDriver(gpus=gpus))
    nvcc = ("50", "80", "86", "89", "90", "100", "101", "120") if cuda else ()
    return list(check_surroundings({}, machine, "/nix/store", cuda, "nixenv export", nvcc))


@pytest.mark.parametrize("name", ["TORCH_CUDA_ARCH_LIST", "FLASHINFER_CUDA_ARCH_LIST"])
@pytest.mark.parametrize(
    ("listed", "gpus", "severity"),
    [
        ("9.0", [H100], None),
        ("9.0a 10.0a", [H100], None),
        ("8.0 8.6+PTX", [H100, L4], None),
        ("8.0", [L4], None),
        ("Hopper", [L4], None),
        ("", [L4], None),
        ("9.0", [], None),
        ("10.0f 9.0", [Gpu("B300", "10.3", 1)], None),
        ("8.9", [H100], Severity.ERROR),
        ("8.9a", [Gpu("A40", "8.6", 1)], Severity.ERROR),
        ("9.0", [H100, L4], Severity.WARNING),
        ("9.0 12.1", [H100], Severity.WARNING),
        ("3.5", [], Severity.WARNING),
        ("8.9,9.0", [H100], Severity.WARNING),
        ("sm_90", [H100], Severity.WARNING),
    ],
)
def test_lists_of_architectures(
    name: str, listed: str, gpus: list[Gpu], severity: Severity | None
) -> None:
    """What runs on each visible GPU, and what nvcc compiles for."""
    found = [finding.severity for finding in check({name: listed}, *gpus)]
    assert found == ([severity] if severity else [])
    assert check({name: listed}, *gpus, cuda=None) == []


def test_what_separates_a_list_of_architectures() -> None:
    """Torch takes a semicolon, flashinfer does not."""
    assert check({"TORCH_CUDA_ARCH_LIST": "8.9;9.0"}, H100) == []
    (found,) = check({"FLASHINFER_CUDA_ARCH_LIST": "8.9;9.0"}, H100)
    assert "cannot be read: 8.9;9.0" in found.summary


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("-O3 -lineinfo", None),
        ("-arch=sm_90", None),
        ("-gencode=arch=compute_90a,code=sm_90a", None),
        ("-arch=sm_70", "sm_70"),
        ("-gencode arch=compute_70,code=sm_70", "compute_70, sm_70"),
    ],
)
def test_architectures_that_nvcc_is_told_at_each_call(flags: str, named: str | None) -> None:
    """Those that it does not know end every compilation."""
    found = check({"NVCC_APPEND_FLAGS": flags}, H100)
    assert [finding.severity for finding in found] == ([Severity.ERROR] if named else [])
    assert not named or f"asks for {named}, which" in found[0].summary


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("CFLAGS", "-O2 -g -DX=/usr", None),
        ("NVCC_APPEND_FLAGS", "-I/nix/store/x/include -O3 -lineinfo", None),
        ("NVCC_CCBIN", "/nix/store/x/bin/gcc", None),
        ("NVCC_CCBIN", "/usr/bin/gcc-13", "/usr/bin/gcc-13"),
        ("NVCC_PREPEND_FLAGS", "-O3 -ccbin /usr/bin/g++", "-ccbin /usr/bin/g++"),
        ("CPPFLAGS", "-isystem /usr/include/x -O2", "-isystem /usr/include/x"),
        ("LDFLAGS", "-L/opt/x -Wl,-rpath,/opt/x", "-L/opt/x -Wl,-rpath,/opt/x"),
        ("CXXFLAGS", "-I/opt 'unbalanced", "-I/opt"),
        ("NIX_LDFLAGS", "-L/opt/x -L/nix/store/x/lib", "-L/opt/x"),
        ("CPLUS_INCLUDE_PATH", "/flox/env/include:/nix/store/x/include:", None),
        ("CPLUS_INCLUDE_PATH", "/usr/include:/nix/store/x/include", "/usr/include"),
        ("TRITON_PTXAS_PATH", "/usr/local/cuda/bin/ptxas", "/usr/local/cuda/bin/ptxas"),
        ("TRITON_PTXAS_PATH", "/nix/store/x/bin/ptxas", None),
    ],
)
def test_flags(name: str, flags: str, words: str | None) -> None:
    """Only what leads out of the store; a toolkit is what makes it matter."""
    found = check({name: flags, "FLOX_ENV": "/flox/env"})
    assert [finding.evidence for finding in found] == ([(f"{name}: {words}",)] if words else [])


@pytest.mark.parametrize(
    ("name", "flags", "left"),
    [
        ("NVCC_CCBIN", "/usr/bin/gcc-16", None),
        ("NVCC_APPEND_FLAGS", "-ccbin=/usr/bin/gcc-16 -O2", None),
        ("NVCC_PREPEND_FLAGS", "-ccbin /usr/bin/gcc-16 -I/opt/x", "-I/opt/x"),
    ],
)
def test_a_compiler_that_nvcc_refuses_is_not_told_twice(
    name: str, flags: str, left: str | None
) -> None:
    """What else the variable leads to is."""
    machine = Machine("x86_64", variables={name: flags})
    found = check_surroundings({}, machine, "/nix/store", "12.8", "nixenv export", (), {name})
    assert [finding.evidence for finding in found] == ([(f"{name}: {left}",)] if left else [])


def test_what_the_profile_sets_is_no_flag_of_others() -> None:
    """In layout linked it leads to a farm, below the cache directory."""
    ptxas = {"TRITON_PTXAS_PATH": "/cache/linked/bin/ptxas"}
    machine = Machine("x86_64", variables=ptxas)
    assert list(check_surroundings(ptxas, machine, "/nix/store", "12.8", "nixenv export")) == []


def test_conda_behind_the_environment() -> None:
    """Is there, and does little: a note."""
    environ = {"CONDA_PREFIX": "/opt/conda", "PATH": "/nix/store/a/bin:/opt/conda/bin"}
    (found,) = check(environ)
    assert (found.code, found.severity) == ("conda-active", Severity.NOTE)


# Faults in a real environment, and their cures ---------------------------------------------------

CONDA = """
mkdir -p ~/conda/bin; before=$PATH
export CONDA_PREFIX=~/conda PATH=~/conda/bin:"$PATH"
conda() { unset CONDA_PREFIX; PATH=$before; }
"""
BROKEN = """
mkdir -p ~/bin; printf '#!/bin/sh\\nexit 127\\n' > ~/bin/{0}; chmod +x ~/bin/{0}
export PATH=~/bin:"$PATH"
"""
GCC_16 = """
mkdir -p ~/bin; printf '#!/bin/sh\\nexec g++ "$@"\\n' > ~/bin/g++-16; chmod +x ~/bin/g++-16
"""
LIBRARY = "mkdir -p ~/lib && echo | /usr/bin/gcc -shared -x c - -o ~/lib/{0} && export {1}=~/lib{2}"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("conda-active", CONDA),
        ("tool-broken", BROKEN.format("ninja")),
        ("compiler-flags-foreign", "export NVCC_APPEND_FLAGS='-ccbin /usr/bin/gcc'"),
        ("compiler-flags-foreign", "export LDFLAGS=-L/usr/lib CFLAGS=-I/usr/include"),
        ("compiler-flags-foreign", "export CPLUS_INCLUDE_PATH=/usr/include"),
        ("compiler-flags-foreign", "export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas"),
        ("architecture-list-unfit", "export TORCH_CUDA_ARCH_LIST=3.5"),
        ("architecture-list-unfit", "export TORCH_CUDA_ARCH_LIST=8.9,9.0"),
        ("cuda-host-compiler-too-new", GCC_16 + "export NVCC_CCBIN=~/bin/g++-16"),
        (
            "cuda-host-compiler-too-new",
            GCC_16 + 'export NVCC_APPEND_FLAGS="-ccbin $HOME/bin/g++-16"',
        ),
        (
            "environment-foreign-entries",
            LIBRARY.format("libcudart.so.12", "LD_PRELOAD", "/libcudart.so.12"),
        ),
        ("preload-ignored", "export LD_PRELOAD=/no/such/libjemalloc.so"),
        ("preload-ignored", "mkdir -p ~; touch ~/lib.so; export LD_PRELOAD=~/lib.so"),
        ("preload-ignored", "export LD_PRELOAD=libno-such.so.2"),
        ("network-interface-missing", "export NCCL_SOCKET_IFNAME==no-such0"),
        ("network-interface-missing", "export GLOO_SOCKET_IFNAME=^lo"),
    ],
)
def test_a_fault_is_found_and_cured(nixenv_on_path: dict[str, str], code: str, fault: str) -> None:
    """It triggers its own finding and no other; after the remedy all is as before."""
    assert_found_and_cured(nixenv_on_path, code, fault)


def test_a_snapshot_says_the_same_elsewhere(nixenv_on_path: dict[str, str]) -> None:
    """What the loader made of LD_PRELOAD and which interfaces there were is recorded."""
    found = inspect(
        nixenv_on_path,
        "export LD_PRELOAD=/no/such.so NCCL_SOCKET_IFNAME=no-such",
        "mkdir -p ~; nixenv snapshot -o ~/taken.json; unset LD_PRELOAD NCCL_SOCKET_IFNAME",
        'nixenv() { command nixenv "$@" --from ~/taken.json; }',
    )
    assert {"preload-ignored", "network-interface-missing"} <= set(codes(found))


def test_a_compiler_that_does_not_start(nixenv_on_path: dict[str, str]) -> None:
    """CC names one, and the remedy takes the closure's in its place."""
    found = inspect(nixenv_on_path, 'export CXX="/no/such/g++ -m64"')
    (finding,) = [one for one in found if one["code"] == "tool-broken"]
    assert finding["remedy"].endswith('`unset CXX; eval "$(nixenv export)"`')


@pytest.mark.parametrize("library", ["libcublasLt.so.12"])
def test_any_library_of_the_toolkit(nixenv_on_path: dict[str, str], library: str) -> None:
    """On LD_LIBRARY_PATH it takes the closure's place."""
    fault = LIBRARY.format(library, "LD_LIBRARY_PATH", "")
    assert "environment-foreign-entries" in codes(inspect(nixenv_on_path, fault))
