"""Prove both layouts on a GPU: `python3 -m tests.manual_gpu.toolkit_root [--base DIR]`.

For a machine with an NVIDIA GPU, a CUDA toolkit, PyTorch, ninja and g++, and without Nix and
network. It splits the machine's toolkit into store objects as nixpkgs does, goes nixenv's own road
over them (probe, classify, plan), builds the toolkit root, and in each layout lets nvcc and ninja
build kernels and runs them, with no variables but those that nixenv sets.

One line a check, PASS or FAIL; exit status 1 when one failed.
"""

import argparse
import enum
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from nixenv import classify, plan_environment, probe_closure, require_complete, resolve
from nixenv.linked.farm import ensure_farm
from nixenv.linked.farm_record import find_problems
from nixenv.linked.toolkit import plan_toolkit
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms, place_farms
from nixenv.road.profile import Profile
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# Which redistributable a header or library belongs to, by the beginning of its name.
REDISTRIBUTABLES = {
    "cuda_cudart": (
        *("cuda", "channel_", "device_", "driver_", "host_", "library_", "math_", "sm_", "mma"),
        *("surface_", "texture_", "vector_", "builtin_", "common_", "libcudart"),
    ),
    "libcublas": ("cublas", "nvblas", "libcublas", "libnvblas"),
    "libcufft": ("cufft", "libcufft"),
    "libcurand": ("curand", "libcurand"),
    "libcusolver": ("cusolver", "libcusolver"),
    "libcusparse": ("cusparse", "libcusparse"),
    "libnvjitlink": ("nvJitLink", "libnvJitLink"),
    "cuda_nvrtc": ("nvrtc", "libnvrtc"),
}

KERNEL = """\
#include <cub/cub.cuh>
#include <cuda_fp16.h>
#include <nv/target>

__global__ void sum(const float* in, float* out, int n) {
  using Reduce = cub::BlockReduce<float, 256>;
  __shared__ typename Reduce::TempStorage storage;
  float mine = 0;
  NV_IF_TARGET(NV_IS_DEVICE, (for (int i = threadIdx.x; i < n; i += 256) mine += in[i];))
  float total = Reduce(storage).Sum(mine);
  if (threadIdx.x == 0) *out = total;
}
"""

TORCH_EXTENSION = f"""{KERNEL}
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>

torch::Tensor total(torch::Tensor in) {{
  auto out = torch::empty({{}}, in.options());
  sum<<<1, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
      in.data_ptr<float>(), out.data_ptr<float>(), in.numel());
  return out;
}}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{ m.def("total", &total); }}
"""

RUN_TORCH_EXTENSION = """\
import sys, torch
from torch.utils import cpp_extension
module = cpp_extension.load("nixenv_proof", [sys.argv[1]], verbose=True)
numbers = torch.arange(1000, dtype=torch.float32, device="cuda")
assert module.total(numbers).item() == 499500.0
print("CUDA_HOME", cpp_extension.CUDA_HOME)
"""

PROGRAM = f"""{KERNEL}
#include <cstdio>
#include <cuda.h>
#include <cuda_runtime.h>

int main() {{
  float numbers[1000], *in, *out, total = 0;
  for (int i = 0; i < 1000; ++i) numbers[i] = i;
  int driver = 0;
#ifdef WITH_DRIVER
  if (cuInit(0) != CUDA_SUCCESS || cuDriverGetVersion(&driver) != CUDA_SUCCESS) return 2;
#endif
  cudaMalloc(&in, sizeof numbers);
  cudaMalloc(&out, sizeof total);
  cudaMemcpy(in, numbers, sizeof numbers, cudaMemcpyHostToDevice);
  sum<<<1, 256>>>(in, out, 1000);
  cudaMemcpy(&total, out, sizeof total, cudaMemcpyDeviceToHost);
  std::printf("total %g, driver %d, %s\\n", total, driver, cudaGetErrorString(cudaGetLastError()));
  return total == 499500.0f ? 0 : 1;
}}
"""

# What makeBinaryWrapper compiles: nvcc is called by the name that the wrapper was called by.
COMPILED_WRAPPER = """\
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {{
  const char *before = getenv("PATH");
  char *path;
  if (asprintf(&path, "{gcc}/bin%s%s", before ? ":" : "", before ? before : "") < 0) return 127;
  setenv("PATH", path, 1);
  execv("{nvcc}/bin/.nvcc-wrapped", argv);
  return 127;
}}
"""

SCRIPT_WRAPPER = """\
#!/bin/bash
set -e
export NVCC_CCBIN="${{NVCC_CCBIN:-{gcc}/bin/g++}}"
exec -a {nvcc}/bin/nvcc {nvcc}/bin/.nvcc-wrapped "$@"
"""


class Wiring(enum.Enum):
    """How nvcc finds its host compiler and the rest of the toolkit, by the revision of nixpkgs."""

    BINDIR = "a compiled wrapper; compiler-bindir in the profile"
    SCRIPT = "a shell wrapper that execs nvcc under its own store path; a profile with all of it"


@frozen
class Splitter:
    """Makes store objects out of an installed toolkit.

    Attributes:
        source: The toolkit.
        store: The store directory.
        version: Of nvcc, such as 13.0.88.
        made: The names of the store objects so far.
    """

    source: Path
    store: Path
    version: str
    made: dict[str, Path] = field(factory=dict)

    @property
    def cuda(self) -> str:
        """The CUDA version X.Y."""
        return ".".join(self.version.split(".")[:2])

    def object(self, name: str) -> Path:
        """Give the store object of that name, which is made where it is not there."""
        if name not in self.made:
            self.made[name] = self.store / f"{len(self.made):032d}-{name}"
            self.made[name].mkdir(parents=True)
        return self.made[name]

    def part(self, name: str, output: str = "") -> Path:
        """Give the store object of a redistributable's output, marked as nixpkgs marks it."""
        path = self.object(f"cuda{self.cuda}-{name}-{self.version}{output}")
        (path / "nix-support").mkdir(exist_ok=True)
        (path / "nix-support/include-in-cudatoolkit-root").touch()
        return path

    def program(self, name: str, *programs: str) -> Path:
        """Make a store object whose programs start those of the machine."""
        path = self.object(name)
        (path / "bin").mkdir()
        for program in programs:
            found = shutil.which(program)
            assert found is not None, f"{program} is not on PATH"
            script = path / "bin" / program
            script.write_text(f'#!/bin/sh\nexec {found} "$@"\n')
            script.chmod(0o755)
        return path


def split_toolkit(
    source: Path, store: Path, wiring: Wiring = Wiring.BINDIR
) -> tuple[Splitter, Closure]:
    """Split a toolkit as nixpkgs does, and put a root, an interpreter and tools beside it."""
    said = subprocess.run([source / "bin/nvcc", "-V"], capture_output=True, text=True, check=True)
    match = re.search(r"V(\d+\.\d+\.\d+)", said.stdout)
    assert match is not None, said.stdout
    splitter = Splitter(source, store, match[1])
    gcc = splitter.program("gcc-wrapper-1.0", "gcc", "g++")
    splitter.program("ninja-1.0", "ninja")
    _split_includes(splitter)
    _split_libraries(splitter)
    _make_nvcc(splitter, gcc, wiring)
    python = splitter.object(f"python3-{PYTHON}.0")
    (python / "bin").mkdir()
    (python / f"bin/python{PYTHON}").symlink_to(sys.executable)
    root = splitter.object(f"python{PYTHON}-proof-1.0")
    paths = tuple(StorePath(str(path)) for path in splitter.made.values())
    return splitter, Closure(
        StorePath(str(root)), paths, Origin.NIX, f"the toolkit {source}, split"
    )


def _owner(name: str) -> str:
    for redistributable, beginnings in REDISTRIBUTABLES.items():
        if name.startswith(beginnings):
            return redistributable
    return "cuda_rest"


def _split_includes(splitter: Splitter) -> None:
    """The headers are copies: what they include by relative names must be in the same object."""
    for entry in (splitter.source / "include").resolve().iterdir():
        if entry.name in {"cccl", "cub", "thrust", "nv", "cuda"}:
            target = splitter.part("cuda_cccl") / "include"
        elif entry.name == "crt":
            target = splitter.part("cuda_crt") / "include"
        else:
            target = splitter.part(_owner(entry.name), "-dev") / "include"
        target.mkdir(exist_ok=True)
        if entry.is_dir():
            shutil.copytree(entry, target / entry.name, ignore_dangling_symlinks=True)
        else:
            shutil.copy(entry, target / entry.name)


def _split_libraries(splitter: Splitter) -> None:
    """Shared libraries and the driver's stub; a closure has no static ones."""
    libraries = (splitter.source / "lib64").resolve()
    for entry in libraries.glob("*.so*"):
        target = splitter.part(_owner(entry.name), "-lib") / "lib" / entry.name
        target.parent.mkdir(exist_ok=True)
        if entry.is_symlink():
            target.symlink_to(entry.readlink())
        else:
            link_or_copy(entry, target)
    stubs = splitter.part("cuda_cudart", "-stubs") / "lib/stubs"
    stubs.mkdir(parents=True)
    shutil.copy(libraries / "stubs/libcuda.so", stubs)


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Give a file a second name, or copy it where that is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _make_nvcc(splitter: Splitter, gcc: Path, wiring: Wiring) -> None:
    """Do to nvcc what nixpkgs does: a wrapper in its place, and a profile that names the store."""
    nvcc = splitter.part("cuda_nvcc")
    shutil.copytree(splitter.source / "bin", nvcc / "bin", ignore_dangling_symlinks=True)
    shutil.copytree(splitter.source / "nvvm", nvcc / "nvvm", ignore_dangling_symlinks=True)
    (nvcc / "bin/nvcc").rename(nvcc / "bin/.nvcc-wrapped")
    profile = nvcc / "bin/nvcc.profile"
    text = _point_into_store(profile.read_text(), splitter, nvcc)
    if wiring is Wiring.BINDIR:
        text += f"compiler-bindir = {gcc}/bin\n"
        source = nvcc / "wrapper.c"
        source.write_text(COMPILED_WRAPPER.format(gcc=gcc, nvcc=nvcc))
        build = ("gcc", "-D_GNU_SOURCE", str(source), "-o", str(nvcc / "bin/nvcc"))
        subprocess.run(build, check=True)
        source.unlink()
    else:
        text = _name_all_of_it(text, splitter, nvcc)
        (nvcc / "bin/nvcc").write_text(SCRIPT_WRAPPER.format(gcc=gcc, nvcc=nvcc))
        (nvcc / "bin/nvcc").chmod(0o755)
    profile.write_text(text)


def _point_into_store(profile: str, splitter: Splitter, nvcc: Path) -> str:
    """Rewrite nvcc.profile as nixpkgs has done for long."""
    cccl = splitter.part("cuda_cccl")
    text = profile.replace("$(_TARGET_SIZE_)", "")
    text = text.replace("$(TOP)/$(_TARGET_DIR_)/include/cccl", f"{cccl}/include/cccl")
    text = text.replace("$(TOP)/$(_TARGET_DIR_)/include", f"{nvcc}/include")
    text = text.replace("$(TOP)/nvvm/", f"{nvcc}/nvvm/")
    return (
        f'{text}\nLIBRARIES =+ $(_SPACE_) "-L{nvcc}/nvvm/lib"\n'
        f'INCLUDES =+ $(_SPACE_) "-I{nvcc}/nvvm/include"\n'
    )


def _name_all_of_it(profile: str, splitter: Splitter, nvcc: Path) -> str:
    """Rewrite nvcc.profile as nixpkgs does since 2026: with cudart, and crt beside nvcc's own."""
    cudart = {output: splitter.part("cuda_cudart", output) for output in ("-dev", "-lib", "-stubs")}
    (nvcc / "include").mkdir(exist_ok=True)
    (nvcc / "include/crt").symlink_to(splitter.part("cuda_crt") / "include/crt")
    own = f'"-I{nvcc}/include"'
    text = profile.replace(own, f'"-I{cudart["-dev"]}/include" {own}')
    text = text.replace("$(TOP)/$(_TARGET_DIR_)/lib/stubs", f"{cudart['-stubs']}/lib/stubs")
    return text.replace('$(TOP)/$(_TARGET_DIR_)/lib"', f'{cudart["-lib"]}/lib"')


def go_the_road(
    closure: Closure, cache: Path
) -> tuple[Inventory, Farms, dict[str, dict[str, str]]]:
    """Probe, classify and plan; give each layout's variables."""
    probe = probe_closure(closure, None)
    require_complete(probe)
    inventory = classify(closure, probe, cuda_required=True)
    farms = place_farms(inventory, str(cache))
    profile = Profile("proof", path=("nvcc", "ninja", "host-compiler"), compiler=True)
    before = _surroundings()
    layouts = {}
    for layout, given in (("store", None), ("linked", farms)):
        environment = plan_environment(inventory, profile, str(cache), given)
        variables = {**before, **resolve(environment, before)}
        # The interpreter is the machine's own, with PyTorch: Python's variables are not the matter.
        layouts[layout] = {
            name: value
            for name, value in variables.items()
            if value is not None and name not in {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONNOUSERSITE"}
        }
    return inventory, farms, layouts


def _surroundings() -> dict[str, str]:
    """The machine's environment without anything that tells where CUDA is."""
    environ = dict(os.environ)
    for name in list(environ):
        if name.startswith(("CUDA", "NVCC", "CPATH", "LIBRARY_PATH", "CC", "CXX", "C_INCLUDE")):
            del environ[name]
    environ["PATH"] = without_nvcc(environ["PATH"])
    return environ


def without_nvcc(search_path: str) -> str:
    """Take the directories that have an nvcc off a PATH."""
    entries = search_path.split(os.pathsep)
    return os.pathsep.join(
        entry for entry in entries if not os.path.exists(os.path.join(entry, "nvcc"))
    )


@frozen
class Result:
    """One check."""

    name: str
    passed: bool
    output: str


def run_checks(layout: str, variables: Mapping[str, str], scratch: Path) -> Iterator[Result]:
    """Build and run with PyTorch's, flashinfer's and tvm-ffi's flags."""
    scratch.mkdir(parents=True)
    home = variables["CUDA_HOME"]
    environ = {**variables, "TORCH_EXTENSIONS_DIR": str(scratch / "extensions")}
    (scratch / "proof.cu").write_text(TORCH_EXTENSION)
    (scratch / "program.cu").write_text(PROGRAM)
    yield _check(
        f"{layout}: torch.utils.cpp_extension.load builds with nvcc and ninja, and the kernel runs",
        [[sys.executable, "-c", RUN_TORCH_EXTENSION, str(scratch / "proof.cu")]],
        environ,
    )
    host = variables.get("CXX", "g++")
    lib64 = f"-L{home}/lib64"
    rpath = _rpath(home, variables)
    flavours = {
        "flashinfer": (["-DWITH_DRIVER"], [lib64, f"{lib64}/stubs", "-lcudart", "-lcuda"]),
        "tvm-ffi": ([], [lib64, "-lcudart"]),
    }
    for flavour, (compile_flags, link_flags) in flavours.items():
        program = scratch / flavour
        yield _check(
            f"{layout}: {flavour}'s flags compile and link, and the program runs",
            [
                [
                    *(f"{home}/bin/nvcc", "-arch=native", *compile_flags, "-c"),
                    *(str(scratch / "program.cu"), "-o", f"{program}.o"),
                ],
                [host, f"{program}.o", *link_flags, rpath, "-o", str(program)],
                [str(program)],
            ],
            environ,
        )


def _rpath(home: str, variables: Mapping[str, str]) -> str:
    """Let programs find libcudart at run time; stubs are for linking only."""
    directories = [f"{home}/lib64", *variables.get("LIBRARY_PATH", "").split(os.pathsep)]
    named = (path for path in directories if path and "stubs" not in path)
    return f"-Wl,-rpath,{':'.join(named)}"


def _check(name: str, commands: list[list[str]], environ: Mapping[str, str]) -> Result:
    output = ""
    for command in commands:
        done = subprocess.run(
            command,
            env=dict(environ),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        output += done.stdout + done.stderr
        if done.returncode != 0:
            return Result(name, passed=False, output=output)
    return Result(name, passed=True, output=output)


def find_toolkit() -> Path:
    """Find the machine's toolkit: /usr/local/cuda, else the nvcc on PATH."""
    found = Path("/usr/local/cuda")
    if not (found / "bin/nvcc").exists():
        nvcc = shutil.which("nvcc")
        assert nvcc is not None, "no CUDA toolkit on this machine"
        found = Path(nvcc).resolve().parents[1]
    return found.resolve()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _verdict(name: str, *, passed: bool, output: str = "") -> bool:
    _say(f"{'PASS' if passed else 'FAIL'} {name}")
    if not passed and output:
        _say(output)
    return passed


def _describe(farms: Farms, layouts: Mapping[str, Mapping[str, str]]) -> None:
    """Say what is compared, and what nvcc makes of its profile in the toolkit root."""
    for name in ("CUDA_HOME", "CPATH", "LIBRARY_PATH"):
        for layout, variables in layouts.items():
            _say(f"  {layout}: {name}={variables.get(name, '(not set)')}")
    versions = "import torch; print(' torch', torch.__version__, torch.cuda.get_device_name())"
    subprocess.run([sys.executable, "-c", versions], check=True)
    dry_run = subprocess.run(
        [f"{farms.toolkit}/bin/nvcc", "--dryrun", "-c", "-x", "cu", "/dev/null"],
        env=dict(layouts["linked"]),
        capture_output=True,
        text=True,
        check=False,
    )
    wanted = ("#$ _HERE_", "#$ TOP", "#$ INCLUDES", "#$ SYSTEM_INCLUDES", "#$ LIBRARIES")
    for line in dry_run.stderr.splitlines():
        if line.startswith(wanted):
            _say(f"  {line}")


def _control(nvcc: str, variables: Mapping[str, str], scratch: Path) -> bool:
    """Show that the checks can fail: nvcc's store object alone is no CUDA_HOME."""
    bare = {**variables, "CUDA_HOME": nvcc, "PATH": f"{nvcc}/bin:{variables['PATH']}"}
    survived = [result.name for result in run_checks("control", bare, scratch) if result.passed]
    name = "control: with nvcc's store object alone as CUDA_HOME none of these builds"
    return _verdict(name, passed=not survived, output="\n".join(survived))


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="where to work; else a temporary directory")
    base = (parser.parse_args().base or Path(tempfile.mkdtemp(prefix="nixenv-proof-"))).resolve()
    toolkit = find_toolkit()
    splitter, closure = split_toolkit(toolkit, base / "store")
    _say(f"toolkit {toolkit}, nvcc {splitter.version}: {len(closure.paths)} store objects")
    inventory, farms, layouts = go_the_road(closure, base / "cache")
    cuda = inventory.cuda
    assert cuda is not None
    place = farms.toolkit
    assert place is not None
    ensure_farm(place, lambda: plan_toolkit(cuda, place))
    _describe(farms, layouts)
    problems = find_problems(place)
    verdicts = [_verdict("the toolkit root is whole", passed=not problems, output=str(problems))]
    for layout, variables in layouts.items():
        verdicts += [
            _verdict(result.name, passed=result.passed, output=result.output)
            for result in run_checks(layout, variables, base / f"scratch-{layout}")
        ]
    verdicts.append(_control(cuda.nvcc, layouts["linked"], base / "control"))
    _say("PASSED" if all(verdicts) else "FAILED")
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(main())
