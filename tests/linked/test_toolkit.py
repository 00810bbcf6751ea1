"""The CUDA toolkit root of links: real headers, a real libcudart, the fixture's nvcc."""

import json
import subprocess
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from nixenv.linked.farm import ensure_farm, find_problems, read_conflicts
from nixenv.linked.toolkit import plan_toolkit
from nixenv.road.cuda import CudaToolkit
from nixenv.road.farms import place_farms
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
    for place in ("include", "targets/x86_64-linux/include"):
        assert (cuda_home / place / "cuda_runtime.h").exists()
    for place in ("lib", "lib64", "targets/x86_64-linux/lib"):
        assert (cuda_home / place / "libcudart.so").exists()
        assert (cuda_home / place / "stubs/libcuda.so").exists()
    assert (cuda_home / "nvvm/libdevice/libdevice.10.bc").exists()
    assert json.loads((cuda_home / "version.json").read_text())["cuda"]["version"] == "12.8"


def test_stubs_are_where_only_linkers_look(cuda_home: Path) -> None:
    """In `lib`, a stub would be found at run time, and answer with an error."""
    assert not (cuda_home / "lib/libcuda.so").exists()
    assert not (cuda_home / "lib/stubs/stubs").exists()


def test_the_variables_of_layout_store_are_not_needed(activated: Activated) -> None:
    """And they would reach every other compiler of the shell."""
    assert not {"CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH"} & activated.environ.keys()


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

    assert place(toolkit._replace(members=toolkit.members[::-1])) == farms.toolkit
    assert place(toolkit._replace(members=toolkit.members[1:])) != farms.toolkit
    assert place(toolkit._replace(nvcc=toolkit.members[0])) != farms.toolkit


# Made-up store objects: what the fixture closure does not have --------------------------------


def make_member(store: Path, name: str, *files: str) -> StorePath:
    path = store / f"{'a' * 32}-{name}"
    for file in files:
        place = path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    return StorePath(str(path))


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
    toolkit = CudaToolkit(
        version="13.0",
        nvcc=nvcc,
        reasons=(),
        members=(cudart, cccl, nvvm, stubs, nvcc),
        include_dirs=(f"{cudart}/include", f"{cccl}/include", f"{cccl}/include/cccl"),
        library_dirs=(),
        stub_dirs=(f"{stubs}/lib/stubs", f"{stubs}/lib"),
        others=(),
    )
    root = tmp_path / "root"
    ensure_farm(str(root), lambda: plan_toolkit(toolkit))
    assert find_problems(str(root)) == ()
    held = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    assert held == {
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


def test_the_profile_of_nvcc_is_kept_and_extended(cuda_home: Path) -> None:
    """nixpkgs' names its own headers and its host compiler; the farm's come last."""
    profile = (cuda_home / "bin/nvcc.profile").read_text()
    assert "compiler-bindir = " in profile
    assert profile.rindex("compiler-bindir") < profile.index("INCLUDES        =+")
    assert str(cuda_home) not in profile
