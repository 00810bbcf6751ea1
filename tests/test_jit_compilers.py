"""What the JIT compilers of Python programs do, with NVIDIA's own compiler and no GPU.

flashinfer, tvm-ffi, torch, deep_gemm and triton each write their own commands; here they are, in
nixenv's environment and no other, for closures as nixpkgs makes them.
"""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fixtures.jit import JitPrograms
from tests.linked.scene import Activated, activate

LAYOUTS = ("store", "linked")

KERNEL = """\
#include <cuda_runtime.h>
#include <cuda_fp16.h>
#include <cuda.h>
#include <cuda/std/type_traits>
__global__ void square(__half *x) { x[threadIdx.x] = __float2half(1.f); }
extern "C" int go() {
  square<<<1, 32>>>(nullptr);
  return cuInit(0) + (int)cudaDeviceSynchronize();
}
"""

HOST = """\
#include <cuda_runtime.h>
extern "C" int host() {
  int version;
  return (int)cudaRuntimeGetVersion(&version);
}
"""

# flashinfer jit/cpp_ext.py, tvm_ffi cpp/extension.py, torch utils/cpp_extension.py, deep_gemm's
# jit/compiler.hpp, triton runtime/build.py; nvcc linking by itself, as people do. What includes
# the most comes first, and later ones link what an earlier one compiled.
COMMANDS = {
    "flashinfer": (
        "$CUDA_HOME/bin/nvcc -ccbin $CC -isystem $CUDA_HOME/include"
        " -isystem $CUDA_HOME/include/cccl --compiler-options=-fPIC --expt-relaxed-constexpr"
        " -gencode=arch=compute_90,code=sm_90 -c kernel.cu -o flashinfer.o",
        "$CXX flashinfer.o -shared -L$CUDA_HOME/lib64 -L$CUDA_HOME/lib64/stubs -lcudart -lcuda"
        " -o flashinfer.so",
    ),
    "tvm-ffi": (
        "$CUDA_HOME/bin/nvcc -Xcompiler -fPIC -std=c++17 -O2"
        " -gencode=arch=compute_90,code=sm_90 -c kernel.cu -o tvm-ffi.o",
        "$CXX tvm-ffi.o -shared -L$CUDA_HOME/lib64 -lcudart -o tvm-ffi.so",
    ),
    "torch": (
        "$CXX -fPIC -isystem $CUDA_HOME/include -c host.cc -o host.o",
        "$CXX host.o -shared -L$CUDA_HOME/lib64 -lcudart -o torch.so",
    ),
    "deep_gemm": (
        "$CUDA_HOME/bin/nvcc -I$CUDA_HOME/include -cubin -gencode=arch=compute_90a,code=sm_90a"
        " -o kernel.cubin kernel.cu",
        "$CUDA_HOME/bin/cuobjdump -symbols kernel.cubin",
    ),
    "triton": ("$CC -x c++ -shared -fPIC host.cc -I$CUDA_HOME/include -lcuda -o triton.so",),
    "nvcc": ("nvcc kernel.cu -shared -Xcompiler -fPIC -o program.so -lcuda",),
}

# None of NVIDIA's wheels has cuobjdump, so deep_gemm stops there, where nothing else is said.
WITHOUT_CUOBJDUMP = {"deep_gemm": "bin/cuobjdump"}


def run_all(activated: Activated, directory: Path, *names: str) -> dict[str, str]:
    """Run the commands of some of the compilers; give the words of each that failed."""
    (directory / "kernel.cu").write_text(KERNEL)
    (directory / "host.cc").write_text(HOST)
    failed = {}
    for name in names or COMMANDS:
        for command in COMMANDS[name]:
            done = subprocess.run(
                ["sh", "-c", command],
                env=dict(activated.environ),
                cwd=directory,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                failed[name] = done.stdout + done.stderr
                break
    return failed


def needed(library: Path) -> set[str]:
    """The libraries of CUDA that a library asks the loader for."""
    text = subprocess.run(
        ["readelf", "-d", library], capture_output=True, text=True, check=True
    ).stdout
    return {word.strip("[]") for word in text.split() if word.startswith("[libcud")}


def failures(failed: dict[str, str], expected: dict[str, str]) -> list[str]:
    """What failed and should not have, or did not and should, or for another reason."""
    wrong = [f"{name}: {words}" for name, words in failed.items() if name not in expected]
    wrong += [
        f"{name} did not fail by {words!r}: {failed.get(name)}"
        for name, words in expected.items()
        if words not in failed.get(name, "")
    ]
    return wrong


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wiring", ["bindir", "path", "script"])
def test_all_compile_and_link_however_nvcc_is_wired(
    jit: JitPrograms, wiring: str, layout: str, tmp_path: Path
) -> None:
    """A kernel for sm_90; and what is linked asks for the runtime and the driver, not for stubs."""
    activated = activate(jit.store, jit.roots[wiring], tmp_path / "cache", layout=layout)
    assert failures(run_all(activated, tmp_path), WITHOUT_CUOBJDUMP) == []
    assert needed(tmp_path / "flashinfer.so") == {"libcudart.so.13", "libcuda.so.1"}
    assert needed(tmp_path / "tvm-ffi.so") == {"libcudart.so.13"}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("root", ["joined", "joinedWithLoop", "cutlass", "newerNvcc"])
def test_closures_that_lead_astray(
    jit: JitPrograms, root: str, layout: str, tmp_path: Path
) -> None:
    """A toolkit of one piece, with a link to itself; another cutlass; a newer nvcc by itself."""
    activated = activate(jit.store, jit.roots[root], tmp_path / "cache", layout=layout)
    assert failures(run_all(activated, tmp_path, "flashinfer", "nvcc"), {}) == []
    assert "release 13.0" in activated.run("nvcc", "--version")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_cutlass_of_the_program_comes_before_one_that_has_cudas_prefix(
    jit: JitPrograms, layout: str, tmp_path: Path
) -> None:
    """CPATH comes before -isystem: what is on it would win."""
    activated = activate(jit.store, jit.roots["cutlass"], tmp_path / "cache", layout=layout)
    header = tmp_path / "bundled/cutlass/version.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define CUTLASS_MAJOR 3\n")
    source = tmp_path / "uses.cu"
    source.write_text("#include <cutlass/version.h>\nstatic_assert(CUTLASS_MAJOR == 3);\n")
    activated.run("nvcc", "-isystem", f"{tmp_path}/bundled", "-c", str(source), "-o", os.devnull)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_toolkit_is_taken_before_a_bare_nvcc_of_a_newer_major(
    jit: JitPrograms, layout: str, tmp_path: Path
) -> None:
    """torch and the root's name say 12.8, and only that one has headers. It is the stand-in."""
    root = jit.roots["olderWhole"]
    activated = activate(jit.store, root, tmp_path / "cache", layout=layout)
    assert "release 12.8" in activated.run("nvcc", "--version")
    assert failures(run_all(activated, tmp_path, "torch", "triton"), {}) == []


def test_cuobjdump_beside_nvcc_runs_in_layout_linked(jit: JitPrograms, tmp_path: Path) -> None:
    """In layout store CUDA_HOME is nvcc's own store object; then it is on PATH."""
    root = jit.roots["cuobjdump"]
    linked = activate(jit.store, root, tmp_path / "cache")
    assert failures(run_all(linked, tmp_path, "deep_gemm"), {}) == []
    store = activate(jit.store, root, tmp_path / "cache", layout="store")
    assert failures(run_all(store, tmp_path, "deep_gemm"), WITHOUT_CUOBJDUMP) == []
    assert "STT_FUNC" in store.run("cuobjdump", "-symbols", "kernel.cubin")


def test_cuda_of_distributions_compiles_and_links_in_layout_linked(
    jit: JitPrograms, tmp_path: Path
) -> None:
    """The root makes libcudart.so; NVIDIA's wheels have no stub of the driver for -lcuda."""
    activated = activate(jit.store, jit.roots["distributions"], tmp_path / "cache")
    no_stub = {"flashinfer": "-lcuda", "triton": "-lcuda", "nvcc": "-lcuda"}
    failed = run_all(activated, tmp_path)
    assert failures(failed, {**WITHOUT_CUOBJDUMP, **no_stub}) == []
    assert (tmp_path / "flashinfer.o").exists()
    assert needed(tmp_path / "tvm-ffi.so") == {"libcudart.so.13"}


def test_distributions_under_the_names_of_uv_are_the_same(jit: JitPrograms, tmp_path: Path) -> None:
    """nvidia-cuda-nvcc-13.0.88, where nixpkgs would write python3.12- before it."""
    activated = activate(jit.store, jit.roots["distributionsOfUv"], tmp_path / "cache")
    assert failures(run_all(activated, tmp_path, "tvm-ffi"), {}) == []


def test_cuda_of_distributions_compiles_nothing_in_layout_store(
    jit: JitPrograms, tmp_path: Path
) -> None:
    """Which is what the warning says: each distribution holds a part, and nvcc no cicc."""
    root = jit.roots["distributions"]
    activated = activate(jit.store, root, tmp_path / "cache", layout="store")
    assert "cicc" in run_all(activated, tmp_path, "tvm-ffi")["tvm-ffi"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("root", ["pathBesideGcc16", "scriptBesideGcc16"])
def test_the_host_compiler_is_nvccs_own(
    jit: JitPrograms, root: str, layout: str, tmp_path: Path
) -> None:
    """Though the closure holds a newer one, which nvcc refuses."""
    activated = activate(jit.store, jit.roots[root], tmp_path / "cache", layout=layout)
    assert "gcc-wrapper-14.3.0" in activated.environ["CC"]
    assert failures(run_all(activated, tmp_path, "tvm-ffi"), {}) == []
    command = shlex.split(COMMANDS["tvm-ffi"][0].replace("$CUDA_HOME", str(activated.cuda_home)))
    dry = subprocess.run(
        [*command, "--dryrun"],
        env={name: value for name, value in activated.environ.items() if name not in ("CC", "CXX")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "gcc-wrapper-16" not in dry.stderr
