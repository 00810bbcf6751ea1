"""The CUDA toolkit root of links: real headers, a real libcudart, the fixture's nvcc."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from nixenv.linked.farm import ensure_farm
from nixenv.linked.farm_record import find_problems
from nixenv.linked.inspection import read_conflicts
from nixenv.linked.toolkit import plan_toolkit
from nixenv.road.cuda import CudaToolkit, choose_toolkit
from nixenv.road.farms import place_farms
from nixenv.road.probe import probe_closure
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath
from tests.linked.scene import Activated, activate, plan_farms

PROGRAM = """\
#include <cuda.h>
#include <cuda_runtime.h>
#include <cub/version.cuh>
#include <nv/target>
static_assert(CUDART_VERSION == 12080, "another CUDA's headers");
int main() {
  int devices = 0;
  return cuInit(0) + cudaGetDeviceCount(&devices);
}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "program.cu"
    file.write_text(PROGRAM)
    return file


@pytest.fixture(params=["root", "with_packages", "joined"])
def cuda_home(request: pytest.FixtureRequest, sglang: SglangClosure, tmp_path: Path) -> Path:
    return activate(sglang.store, sglang.roots[request.param], tmp_path / "cache").cuda_home


def compile_with(cuda_home: Path, *argv: str) -> None:
    """Run a compiler with nothing of CUDA in its environment but what the flags say."""
    done = subprocess.run(
        argv,
        env={"PATH": "/usr/bin:/bin", "CUDA_HOME": str(cuda_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def needed(program: Path) -> str:
    return subprocess.run(
        ["readelf", "-d", program], capture_output=True, text=True, check=True
    ).stdout


def test_flashinfers_flags_compile_and_link(cuda_home: Path, source: Path) -> None:
    """Include and library directories of CUDA_HOME, `lib64/stubs` for -lcuda; nothing else set."""
    program = source.with_suffix("")
    compile_with(
        cuda_home,
        *("g++", "-x", "c++", str(source), "-x", "none", "-o", str(program)),
        f"-I{cuda_home}/include",
        *(f"-L{cuda_home}/lib64", f"-L{cuda_home}/lib64/stubs", "-lcudart", "-lcuda"),
    )
    assert "libcudart.so.12" in needed(program)
    assert "libcuda.so.1" in needed(program)


def test_tvm_ffis_flags_compile_and_link(cuda_home: Path, source: Path) -> None:
    """nvcc finds the headers by itself; only `lib64` is named."""
    program = source.with_suffix(".so")
    compile_with(
        cuda_home,
        *(f"{cuda_home}/bin/nvcc", "-shared", "-Xcompiler=-fPIC", str(source), "-o", str(program)),
        *(f"-L{cuda_home}/lib64", "-lcudart"),
    )
    assert "libcudart.so.12" in needed(program)


def test_nvcc_called_by_its_name_finds_the_same(activated: Activated, source: Path) -> None:
    """It is the first on PATH."""
    activated.run("nvcc", str(source), "-o", str(source.with_suffix("")), "-lcudart", "-lcuda")
    assert "release 12.8" in activated.run("nvcc", "--version")


def test_it_has_the_shape_of_nvidias_installer(cuda_home: Path) -> None:
    """Whichever of its names a build system looks under."""
    assert (cuda_home / "lib64").readlink() == Path("lib")
    assert (cuda_home / "include/cuda_runtime.h").exists()
    for place in ("lib", "lib64"):
        assert (cuda_home / place / "libcudart.so").exists()
        assert (cuda_home / place / "stubs/libcuda.so").exists()
    assert (cuda_home / "nvvm/libdevice/libdevice.10.bc").exists()
    assert json.loads((cuda_home / "version.json").read_text())["cuda"]["version"] == "12.8"


def test_stubs_are_where_only_linkers_look(cuda_home: Path) -> None:
    """In `lib`, a stub would be found at run time, and answer with an error."""
    assert not (cuda_home / "lib/libcuda.so").exists()
    assert not (cuda_home / "lib/stubs/stubs").exists()
    assert not (cuda_home / "lib/stubs/libcuda.so.1").exists()


def test_linkers_find_the_root_and_compilers_are_left_alone(activated: Activated) -> None:
    """triton and inductor link -lcuda with no -L; CPATH would reach every other compiler."""
    root = activated.environ["CUDA_HOME"]
    assert activated.environ["CUDA_PATH"] == root
    assert activated.environ["LIBRARY_PATH"] == f"{root}/lib:{root}/lib/stubs"
    assert activated.environ["CUDA_LIB_PATH"] == f"{root}/lib"
    assert not {"CPATH", "LD_LIBRARY_PATH"} & activated.environ.keys()


def test_its_place_depends_on_the_cuda_set_alone(sglang: SglangClosure, tmp_path: Path) -> None:
    """Another program with the same CUDA keeps it, and with it what was compiled."""
    _, first = plan_farms(sglang, sglang.root, tmp_path)
    _, other = plan_farms(sglang, sglang.with_packages, tmp_path)
    assert first.toolkit == other.toolkit
    assert first.virtualenv != other.virtualenv


def test_its_place_changes_with_the_cuda_set(sglang: SglangClosure, tmp_path: Path) -> None:
    """Whatever member comes, goes or is another; their order is nothing."""
    inventory, farms = plan_farms(sglang, sglang.root, tmp_path)
    directory = Path(farms.toolkit or "").parent
    toolkit = inventory.cuda
    assert toolkit is not None

    def place(changed: CudaToolkit) -> str | None:
        return place_farms(inventory._replace(cuda=changed), str(directory)).toolkit

    def members(several: tuple[StorePath, ...]) -> CudaToolkit:
        return toolkit._replace(members=several, homes=several)

    assert place(members(toolkit.members[::-1])) == farms.toolkit
    assert place(members(toolkit.members[1:])) != farms.toolkit
    assert place(toolkit._replace(home=toolkit.members[0])) != farms.toolkit


WHEELS = "lib/python3.12/site-packages/nvidia/cu13"

# Made-up store objects: what the fixture closure does not have --------------------------------


def make_member(store: Path, name: str, *files: str) -> StorePath:
    path = store / f"{'a' * 32}-{name}"
    for file in files:
        place = path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    return StorePath(str(path))


def make_toolkit(nvcc: StorePath, *others: StorePath, **more: tuple[str, ...]) -> CudaToolkit:
    members = (*others, nvcc)
    return CudaToolkit("13.0", nvcc, nvcc, (), members, members, **more)  # type: ignore[arg-type]


def build(toolkit: CudaToolkit, root: Path) -> set[str]:
    """Build the root, and name what is in it; directories that are links are entered."""
    ensure_farm(str(root), lambda: plan_toolkit(toolkit, str(root)))
    assert find_problems(str(root)) == ()
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_cuda_13(tmp_path: Path) -> None:
    """CCCL's headers in a subdirectory, NVVM in an object of its own, a wrapped nvcc."""
    nvcc = make_member(
        tmp_path, "cuda13.0-cuda_nvcc-13.0.48", "bin/nvcc", "bin/.nvcc-wrapped", "bin/nvcc.profile"
    )
    nvvm = make_member(tmp_path, "cuda13.0-libnvvm-13.0.48", "nvvm/bin/cicc")
    cccl = make_member(
        tmp_path, "cuda13.0-cuda_cccl-13.0.50", "include/cccl/cub/cub.cuh", "include/cccl/nv/target"
    )
    cudart = make_member(
        tmp_path, "cuda13.0-cuda_cudart-13.0.48-dev", "include/cuda_runtime.h", "include/nv/other.h"
    )
    stubs = make_member(
        tmp_path, "cuda13.0-cuda_cudart-13.0.48-stubs", "lib/libcuda.so", "lib/stubs/libcuda.so"
    )
    toolkit = make_toolkit(
        nvcc,
        *(cudart, cccl, nvvm, stubs),
        include_dirs=(f"{cudart}/include", f"{cccl}/include", f"{cccl}/include/cccl"),
        stub_dirs=(f"{stubs}/lib/stubs", f"{stubs}/lib"),
    )
    root = tmp_path / "root"
    assert build(toolkit, root) == {
        "bin/.nvcc-wrapped",
        "bin/nvcc",
        "bin/nvcc.profile",
        "include/cuda_runtime.h",
        "include/nv/other.h",
        "include/nv/target",
        "lib/stubs/libcuda.so",
        "nixenv-farm.json",
        "version.json",
    }
    assert (root / "include/cub/cub.cuh").exists()
    assert (root / "include/cccl/cub/cub.cuh").exists()
    assert (root / "nvvm/bin/cicc").exists()
    assert read_conflicts(str(root)) == ()
    versions = {
        name: part["version"]
        for name, part in json.loads((root / "version.json").read_text()).items()
    }
    assert versions == {
        "cuda": "13.0",
        "cuda_cccl": "13.0.50",
        "cuda_cudart": "13.0.48",
        "cuda_nvcc": "13.0.48",
        "libnvvm": "13.0.48",
    }


def test_links_back_in_two_members(tmp_path: Path) -> None:
    """`include/cccl -> .`: the root has one that does the same."""
    nvcc = make_member(tmp_path, "cuda13.0-cuda_nvcc-13.0.48", "bin/nvcc")
    parts = [
        make_member(tmp_path, "cuda13.0-cuda_cccl-13.0.50", "include/nv/target"),
        make_member(tmp_path, "cuda13.0-cuda_cudart-13.0.48", "include/nv/x.h"),
    ]
    for part in parts:
        Path(part, "include/cccl").symlink_to(".")
    include_dirs = tuple(f"{part}/include" for part in parts)
    root = tmp_path / "root"
    build(make_toolkit(nvcc, *parts, include_dirs=include_dirs), root)
    assert (root / "include/cccl").readlink() == Path(".")
    assert (root / "include/cccl/cccl/nv/target").exists()


PLACES = (
    *("include", "include/cccl", "include/a/b", "lib", "lib64", "lib/stubs", "bin/sub", "nvvm"),
    *("nvvm/lib", "targets", "targets/x86_64-linux"),
)
TARGETS = (".", "..", "../..", "../include", "../lib", "../bin", "cccl", "nowhere", "include")


@settings(max_examples=40, deadline=None)
@given(
    several=st.lists(
        st.dictionaries(st.sampled_from(PLACES), st.sampled_from(TARGETS), max_size=3),
        min_size=1,
        max_size=3,
    )
)
@example(several=[{"include": "."}, {"include": "."}])
@example(several=[{"include": "/", "lib": "/", "nvvm": "/"}])
@example(several=[{"include/cccl": "."}, {"include/cccl": ".."}, {"include/cccl": "cccl"}])
def test_whatever_links_there_are_the_root_is_built(
    tmp_path_factory: pytest.TempPathFactory, several: list[dict[str, str]]
) -> None:
    """Links back, to themselves, to nothing and out of the store: no traceback, and no end."""
    store = tmp_path_factory.mktemp("links")
    marker = "nix-support/include-in-cudatoolkit-root"
    names = ("cuda_cccl-13.0.85", "cuda_cudart-13.0.96", "cuda_nvcc-13.0.88")
    members = [
        make_member(store, f"cuda13.0-{name}", marker, *(["bin/nvcc"] if "nvcc" in name else []))
        for name in names[-len(several) :]
    ]
    for member, links in zip(members, several, strict=True):
        for place, target in links.items():
            # Nothing is made behind a link: it may lead anywhere.
            if not any(place.startswith(f"{other}/") for other in links):
                link = Path(member, place)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)
    closure = Closure(members[-1], tuple(members), Origin.NIX, "test")
    toolkit = choose_toolkit(probe_closure(closure, None), None, required=True)
    assert toolkit is not None
    build(toolkit, store / "root")


@pytest.mark.parametrize("directory", ["lib", "lib64"])
def test_libnvvm_is_where_both_look_for_it(tmp_path: Path, directory: str) -> None:
    """nixpkgs moves nvvm/lib64 to nvvm/lib; numba and cuda-pathfinder look in lib64."""
    nvcc = make_member(
        tmp_path, "cuda_nvcc-12.8.93", "bin/nvcc", f"nvvm/{directory}/libnvvm.so.4", "nvvm/bin/cicc"
    )
    root = tmp_path / "root"
    build(make_toolkit(nvcc), root)
    for place in ("nvvm/lib", "nvvm/lib64"):
        assert (root / place / "libnvvm.so.4").read_text() == "cuda_nvcc-12.8.93"
    assert (root / "nvvm/bin/cicc").exists()


def test_libnvvm_of_the_wheels(tmp_path: Path) -> None:
    """There it is in lib."""
    nvcc = make_member(tmp_path, "cuda-13", "bin/nvcc", "nvvm/bin/cicc", "lib/libnvvm.so.4")
    root = tmp_path / "root"
    build(make_toolkit(nvcc, library_dirs=(f"{nvcc}/lib",)), root)
    assert (root / "nvvm/lib64/libnvvm.so.4").exists()
    assert (root / "lib/libnvvm.so").readlink() == Path("libnvvm.so.4")


def test_libraries_get_the_name_that_linkers_look_for(tmp_path: Path) -> None:
    """Where they came without it; of several versions, the highest by number."""
    names = ("libcudart.so.9", "libcudart.so.13", "libx.so", "libx.so.1", "libcublas.so.13.1.0.3")
    nvcc = make_member(tmp_path, "cuda-13", "bin/nvcc", *(f"lib/{name}" for name in names))
    root = tmp_path / "root"
    build(make_toolkit(nvcc, library_dirs=(f"{nvcc}/lib",)), root)
    assert (root / "lib/libcudart.so").readlink() == Path("libcudart.so.13")
    assert (root / "lib/libcublas.so").readlink() == Path("libcublas.so.13.1.0.3")
    assert (root / "lib/libx.so").readlink() == Path(nvcc, "lib/libx.so")


def test_a_stub_that_is_linked_beside_libraries_stays_a_stub(tmp_path: Path) -> None:
    """cuda_cudart of one output has lib/libcuda.so.1 -> stubs/libcuda.so."""
    nvcc = make_member(tmp_path, "cuda_nvcc-12.8.93", "bin/nvcc")
    cudart = make_member(
        tmp_path, "cuda_cudart-12.8.90", "lib/libcudart.so", "lib/stubs/libcuda.so"
    )
    for name in ("libcuda.so", "libcuda.so.1", "stubs/libcuda.so.1"):
        Path(cudart, "lib", name).symlink_to(f"{cudart}/lib/stubs/libcuda.so")
    toolkit = make_toolkit(
        nvcc, cudart, library_dirs=(f"{cudart}/lib",), stub_dirs=(f"{cudart}/lib/stubs",)
    )
    root = tmp_path / "root"
    build(toolkit, root)
    assert {path.name for path in (root / "lib").iterdir()} == {"libcudart.so", "stubs"}
    assert {path.name for path in (root / "lib/stubs").iterdir()} == {"libcuda.so"}


@pytest.mark.parametrize("triple", ["x86_64-linux", "sbsa-linux", "aarch64-linux"])
def test_targets_are_the_members_own(tmp_path: Path, triple: str) -> None:
    """Of a toolkit that came as a whole; nothing of it is made up for a machine."""
    header = f"targets/{triple}/include/cuda_runtime.h"
    nvcc = make_member(tmp_path, "cudatoolkit-12.2.2", "bin/nvcc", header)
    root = tmp_path / "root"
    build(make_toolkit(nvcc), root)
    assert [path.name for path in (root / "targets").iterdir()] == [triple]
    assert (root / header).exists()


def test_an_nvcc_that_is_a_script_is_called_with_the_roots_directories(tmp_path: Path) -> None:
    """That of 2026 starts the compiler under its own store path: no profile beside it is read."""
    nvcc = make_member(tmp_path, "cuda_nvcc-13.0.88", "bin/nvcc", "bin/nvcc.profile")
    script = Path(nvcc, "bin/nvcc")
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    script.chmod(0o755)
    root = tmp_path / "a b'c/root"
    build(make_toolkit(nvcc), root)
    done = subprocess.run(
        [root / "bin/nvcc", "-c", "x y.cu"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        *("-c", "x y.cu"),
        *(f"-I{root}/include", f"-L{root}/lib", f"-L{root}/lib/stubs"),
    ]


def test_distributions_are_merged_as_pip_would(tmp_path: Path) -> None:
    """Each holds its part of nvidia/cu13."""
    homes = [
        f"{make_member(tmp_path, name, *(f'{WHEELS}/{file}' for file in files))}/{WHEELS}"
        for name, *files in (
            ("nvidia-cuda-nvcc-13.0.88", "bin/nvcc", "bin/nvcc.profile"),
            ("nvidia-nvvm-13.0.88", "nvvm/bin/cicc", "lib/libnvvm.so.4"),
            ("nvidia-cuda-runtime-13.0.96", "include/cuda_runtime.h", "lib/libcudart.so.13"),
        )
    ]
    members = tuple(StorePath(home.removesuffix(f"/{WHEELS}")) for home in homes)
    toolkit = CudaToolkit(
        *("13.0", homes[0], members[0], (), members, tuple(homes)),
        include_dirs=(f"{homes[2]}/include",),
        library_dirs=(f"{homes[1]}/lib", f"{homes[2]}/lib"),
    )
    root = tmp_path / "root"
    build(toolkit, root)
    assert (root / "bin/nvcc").readlink() == Path(homes[0], "bin/nvcc")
    assert (root / "nvvm/bin/cicc").exists()
    assert (root / "lib64/libcudart.so").exists()
    assert (root / "include/cuda_runtime.h").exists()


def test_the_profile_of_nvcc_is_kept_and_extended(cuda_home: Path) -> None:
    """nixpkgs' names its own headers and its host compiler; the farm's libraries come last."""
    profile = (cuda_home / "bin/nvcc.profile").read_text()
    assert "compiler-bindir = " in profile
    kept = profile.rindex("compiler-bindir")
    assert profile.index('INCLUDES        =+ $(_SPACE_) "-I$(_HERE_)/../include" $(_SPACE_)') < kept
    assert kept < profile.index('INCLUDES        =+ $(_SPACE_) "-I$(TOP)/include"')
    assert kept < profile.index('LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib"')
    assert str(cuda_home) not in profile
