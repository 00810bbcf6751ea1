"""Environments of many shapes, each with its built-in profile, activated by the hook.

What their programs need is there: shown by running them, or what they run.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fixtures.environments import Environments
from tests.hook.scene import Environ, activate, environment_after
from tests.real_shells import SEARCH_PATH, require_tool

LAYOUTS = ("store", "linked")

KERNEL = """\
#include <cuda_fp16.h>
#include <cuda/std/type_traits>
__global__ void square(__half *x) { x[threadIdx.x] = __float2half(1.f); }
extern "C" void go(__half *x) { square<<<1, 32>>>(x); }
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.18)
project(example LANGUAGES CXX CUDA)
find_package(CUDAToolkit REQUIRED)
add_library(kernel SHARED kernel.cu)
set_target_properties(kernel PROPERTIES CUDA_ARCHITECTURES 90)
add_executable(ask ask.cpp)
target_link_libraries(ask PRIVATE CUDA::cudart)
file(WRITE ${CMAKE_BINARY_DIR}/toolkit
  "${CMAKE_CUDA_COMPILER};${CMAKE_CUDA_HOST_COMPILER};${CUDA_CUDART};${CMAKE_CXX_COMPILER}")
"""

ASK = """\
#include <cuda_runtime.h>
#include <cstdio>
int main() {
  int version = 0;
  if (cudaRuntimeGetVersion(&version)) return 1;
  std::printf("%d\\n", version);
}
"""


class Scene(NamedTuple):
    """An environment that is activated by the hook, and run in.

    Attributes:
        environ: What a Flox hook runs in.
        calls: How often nixenv was run.
    """

    environ: Environ
    calls: Callable[[], int]

    def activate(self, **more: str) -> "Activated":
        """Activate twice: the second time is warm, and the environment the same."""
        environ = {**self.environ, **more}
        before = self.calls()
        cold, warm = (activate(environ) for _ in range(2))
        assert (cold.returncode, warm.returncode) == (0, 0), cold.stderr
        assert self.calls() == before + 1, warm.stderr
        found = environment_after(warm)
        assert found == environment_after(cold)
        return Activated(found, cold.stderr)


class Activated(NamedTuple):
    """What the hook leaves, and what it said."""

    environ: Environ
    said: str

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        """Run a program in it; a failure shows what it said."""
        done = subprocess.run(
            argv, env=self.environ, cwd=cwd, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def find_runtime(self, *argv: str) -> tuple[str, bool]:
        """Run a program that tells which CUDA runtime it finds: its version, and if the store's."""
        version, path = self.run(*argv).split()
        return version, os.path.realpath(path).startswith(self.environ["NIX_STORE_DIR"])

    def python(self, code: str) -> Any:
        """Run code in the python3 of its PATH, and read the JSON that it prints."""
        return json.loads(self.run("python3", "-c", code))


@pytest.fixture
def scene(environments: Environments, tmp_path: Path) -> Callable[[str], Scene]:
    """Give an environment, as a Flox hook in run mode finds it, by its profile."""
    log = tmp_path / "calls"
    program = tmp_path / "nixenv-bin/nixenv"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho run >>"{log}"\nexec "{sys.executable}" -I -m nixenv "$@"\n'
    )
    program.chmod(0o755)

    def calls() -> int:
        return len(log.read_text().splitlines()) if log.exists() else 0

    def of(profile: str) -> Scene:
        link = tmp_path / "flox-env"
        link.symlink_to(environments.paths[profile])
        environ = {
            **environments.store.environ,
            "PATH": f"{link}/bin:{SEARCH_PATH}:{program.parent}",
            "HOME": str(tmp_path / "home"),
            "LANG": "C.UTF-8",
            "FLOX_ENV": str(link),
            "FLOX_ENV_CACHE": str(tmp_path / "cache"),
            "NIXENV_PROFILE": profile,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return Scene(environ, calls)

    return of


def versions(*names: str) -> str:
    """Code that tells the version and the file of modules."""
    return (
        "import importlib, json, os; print(json.dumps({n: [m.__version__, os.path.realpath("
        f"m.__file__)] for n in {names} for m in [importlib.import_module(n)]}}))"
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_with_jupyter(layout: str, scene: Callable[[str], Scene], tmp_path: Path) -> None:
    """python3, torch, numba and Jupyter side by side: all are found, by kernels too; nvcc works."""
    activated = scene("pytorch").activate(NIXENV_LAYOUT=layout)
    found = activated.python(versions("torch.version", "numba", "numpy"))
    assert {name: version for name, (version, _) in found.items()} == {
        "torch.version": "2.9.1",
        "numba": "0.63.1",
        "numpy": "2.3.5",
    }
    listed = json.loads(activated.run("jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    assert Path(listed["python3"]["resource_dir"], "kernel.json").is_file()
    script = tmp_path / "cell.py"
    script.write_text("import numba, torch.version\nprint('in the kernel', torch.version.cuda)\n")
    assert "in the kernel 13.0" in activated.run("jupyter", "run", str(script))
    (tmp_path / "kernel.cu").write_text(KERNEL)
    nvcc = ("nvcc", "-arch=sm_90", "-shared", "-Xcompiler", "-fPIC", "kernel.cu", "-o", "kernel.so")
    activated.run(*nvcc, cwd=tmp_path)
    assert activated.environ["HF_HOME"] == f"{tmp_path}/cache/huggingface"
    assert os.path.isdir(activated.environ["TORCH_HOME"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_virtual_environment_on_top_of_pytorch(
    layout: str, scene: Callable[[str], Scene], tmp_path: Path
) -> None:
    """As uv makes it, with a torch of its own: it stays, and CUDA comes from below."""
    below = scene("pytorch")
    venv = tmp_path / "cache/venv"
    subprocess.run(
        ["python3", "-m", "venv", "--without-pip", str(venv)], env=below.environ, check=True
    )
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "torch").mkdir()
    (site / "torch/__init__.py").write_text("__version__ = '2.10.0'\n")
    activated = below.activate(
        NIXENV_LAYOUT=layout,
        VIRTUAL_ENV=str(venv),
        PATH=f"{venv}/bin:{below.environ['PATH']}",
    )
    assert "is kept" in activated.said
    assert activated.environ["VIRTUAL_ENV"] == str(venv)
    assert activated.python(versions("torch")) == {
        "torch": ["2.10.0", str((site / "torch/__init__.py").resolve())]
    }
    assert os.access(f"{activated.environ['CUDA_HOME']}/bin/nvcc", os.X_OK)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("profile", ["jax", "tensorflow"])
def test_what_xla_compiles_with(profile: str, layout: str, scene: Callable[[str], Scene]) -> None:
    """Of several packages, and of withPackages: the modules, and XLA's ptxas and libdevice."""
    activated = scene(profile).activate(NIXENV_LAYOUT=layout)
    found = activated.python(versions(profile, "numpy"))
    assert set(found) == {profile, "numpy"}
    data = activated.environ["XLA_FLAGS"].removeprefix("--xla_gpu_cuda_data_dir=")
    assert "release 13.0" in activated.run(f"{data}/bin/ptxas", "--version")
    assert Path(data, "nvvm/libdevice/libdevice.10.bc").is_file()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_comfyui_beside_another_torch(layout: str, scene: Callable[[str], Scene]) -> None:
    """Its own torch is that with CUDA, by its launcher; the one without comes behind it."""
    activated = scene("comfyui").activate(NIXENV_LAYOUT=layout)
    own = json.loads(activated.run("comfyui"))
    assert own[0] == "13.0"
    code = "import json, os, torch.version as v; told = [v.cuda, os.path.realpath(v.__file__)]"
    assert activated.python(f"{code}; print(json.dumps(told))") == own
    assert activated.python(versions("open_clip_torch"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_triton_server(layout: str, scene: Callable[[str], Scene], tmp_path: Path) -> None:
    """The server itself is no Python program; what its Python backend starts is."""
    activated = scene("triton-server").activate(NIXENV_LAYOUT=layout)
    assert activated.find_runtime("tritonserver", "HF_HOME", "TORCH_HOME") == ("13000", True)
    assert (tmp_path / "cache/huggingface/model").is_file()
    stub = f"{activated.environ['FLOX_ENV']}/backends/python/triton_python_backend_stub"
    assert activated.run(stub) == "13.0\n"


def test_llama_cpp(scene: Callable[[str], Scene], tmp_path: Path) -> None:
    """No Python, no nvcc: the program runs, and what it downloads has a place."""
    activated = scene("llama-cpp").activate()
    assert activated.said == ""
    assert activated.find_runtime("llama-server", "LLAMA_CACHE") == ("13000", True)
    assert (tmp_path / "cache/llama.cpp/model").is_file()
    assert not {"CUDA_HOME", "PYTHONPATH", "PYTHONNOUSERSITE"} & activated.environ.keys()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_program_that_finds_no_library_by_itself(
    layout: str, scene: Callable[[str], Scene], tmp_path: Path
) -> None:
    """A profile of one's own, of three lines, names the libraries of the closure for it."""
    profile = tmp_path / "server.toml"
    profile.write_text(
        'root = "{flox_env}"\nbinary = "server"\n[prepend]\nLD_LIBRARY_PATH = "{library_dirs}"\n'
    )
    activated = scene("unpacked").activate(NIXENV_PROFILE=str(profile), NIXENV_LAYOUT=layout)
    assert activated.find_runtime("server") == ("13000", True)


def test_cmake_builds_with_the_compilers_of_the_environment(
    scene: Callable[[str], Scene], tmp_path: Path
) -> None:
    """CUDA as a language and as a package: nvcc, its host compiler and the libraries are found.

    To what a compiler links by itself CMake gives no run path: docs/profiles.md has the option.
    """
    require_tool("cmake")
    project = tmp_path / "project"
    project.mkdir()
    for name, text in (("CMakeLists.txt", CMAKE), ("kernel.cu", KERNEL), ("ask.cpp", ASK)):
        (project / name).write_text(text)
    activated = scene("cuda").activate()
    build = tmp_path / "build"
    run_path = f"-DCMAKE_BUILD_RPATH={activated.environ['CUDA_HOME']}/lib"
    activated.run("cmake", "-G", "Ninja", run_path, "-S", str(project), "-B", str(build))
    activated.run("cmake", "--build", str(build))
    assert activated.run(str(build / "ask")) == "13000\n"
    (loaded,) = re.findall(r"libcudart\S+ => (\S+)", activated.run("ldd", str(build / "ask")))
    assert os.path.realpath(loaded).startswith(activated.environ["NIX_STORE_DIR"])
    home = activated.environ["CUDA_HOME"]
    nvcc, host, cudart, cxx = (build / "toolkit").read_text().split(";")
    assert (nvcc, cudart) == (f"{home}/bin/nvcc", f"{home}/lib/libcudart.so")
    assert host == cxx == activated.environ["CXX"]
    assert "gcc-wrapper-14" in host


def test_the_first_headers_that_nvcc_shows_are_all_of_them(
    scene: Callable[[str], Scene], tmp_path: Path
) -> None:
    """New CMakes take them for the toolkit's, whatever nvcc adds in front."""
    (tmp_path / "kernel.cu").write_text(KERNEL)
    activated = scene("cuda").activate()
    shown = activated.run("sh", "-c", "nvcc -v --dryrun kernel.cu 2>&1", cwd=tmp_path)
    first = next(line for line in shown.splitlines() if line.startswith("#$ INCLUDES="))
    (directory,) = re.findall(r'"-I([^"]+)"', first)
    assert os.path.realpath(directory) == f"{activated.environ['CUDA_HOME']}/include"


def test_nvcc_by_hand_in_layout_store(scene: Callable[[str], Scene], tmp_path: Path) -> None:
    """What the profile says of the layout gives way to what is asked for; no Python is set up."""
    activated = scene("cuda").activate(NIXENV_LAYOUT="store")
    assert "PYTHONPATH" not in activated.environ
    (tmp_path / "ask.cpp").write_text(ASK)
    activated.run("sh", "-c", "$CXX ask.cpp -o ask -lcudart", cwd=tmp_path)
    (tmp_path / "kernel.cu").write_text(KERNEL)
    command = "$CUDACXX -ccbin $CUDAHOSTCXX -arch=sm_90 -shared -Xcompiler -fPIC kernel.cu -o k.so"
    activated.run("sh", "-c", command, cwd=tmp_path)


def test_an_environment_of_links_has_no_false_findings(scene: Callable[[str], Scene]) -> None:
    """Its nvcc and its interpreter are no second ones; the names of its programs are BINARY."""
    for_inspect = scene("pytorch")
    root = for_inspect.environ["FLOX_ENV"]
    command = [sys.executable, "-I", "-m", "nixenv", "inspect", "--json"]

    def inspect(*arguments: str) -> Any:
        done = subprocess.run(
            [*command, *arguments],
            env=for_inspect.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = inspect()
    told = [
        finding for finding in found["findings"] if re.search("several|duplicate", finding["code"])
    ]
    assert os.path.realpath(root) not in json.dumps([finding["evidence"] for finding in told])
    assert not [finding for finding in told if finding["code"].startswith("cuda")]
    assert inspect("jupyter", "--root", root)["root"]["program"] == "jupyter"
    assert inspect("torch", "--root", root)["name"] == "torch"


@pytest.mark.parametrize(
    ("environment", "profile"),
    [("comfyui", "comfyui"), ("pytorch", "python-cuda"), ("llama-cpp", "llama-cpp")],
)
def test_the_profile_of_a_root_is_that_of_its_program(
    environment: str, profile: str, scene: Callable[[str], Scene]
) -> None:
    """Where nothing says which; python3, which several profiles are for, tells nothing."""
    environ = scene(environment).environ
    del environ["NIXENV_PROFILE"]
    done = subprocess.run(
        [sys.executable, "-I", "-m", "nixenv", "run", "--root", environ["FLOX_ENV"], "--", "env"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f" profile:{profile} " in done.stdout
