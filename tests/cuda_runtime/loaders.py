"""How packages come by CUDA's libraries, run in the closure's interpreter: that one runs this file.

`python3 loaders.py PACKAGES LOADER…`: the directory of the packages, and what is to load, one
after another in this process. Says on stdout, as JSON, what each gave and which files of CUDA the
process has mapped in the end.
"""

import ast
import ctypes
import importlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path


def load_as_flashinfer(packages: Path) -> None:
    """Do what `import flashinfer` does: flashinfer/jit/__init__.py, without the modules beside it.

    They need torch and tvm-ffi, and load nothing of CUDA.
    """
    file = packages / "flashinfer/jit/__init__.py"
    tree = ast.parse(file.read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.level)
    ]
    exec(compile(tree, file, "exec"), {})


def load_as_sgl_kernel(_: Path) -> None:
    """Do what `import sgl_kernel` does in 0.3.21, by load_utils.py there: a stand-in.

    The wheel has 536 MB. The package asks CUDA_HOME, CUDA_PATH, the nvcc on PATH and
    /usr/local/cuda for a toolkit, in this order; looks for libcudart.so.12 in its lib and lib64 and
    then in the machine's library directories; and loads the first that is there, from where links
    lead, for all to see.
    """
    nvcc = shutil.which("nvcc")
    home = (
        os.environ.get("CUDA_HOME")
        or os.environ.get("CUDA_PATH")
        or (str(Path(nvcc).parents[1]) if nvcc else "/usr/local/cuda")
    )
    machine = f"/usr/lib/{platform.machine()}-linux-gnu"
    places = (f"{home}/lib", f"{home}/lib64", machine, "/usr/lib64", "/usr/lib")
    for library in (Path(place, "libcudart.so.12") for place in places):
        if library.exists():
            ctypes.CDLL(str(library.resolve()), mode=ctypes.RTLD_GLOBAL)
            return


def ask_pathfinder(packages: Path, name: str) -> str | None:
    """Let cuda.pathfinder load a library (cuda-bindings, numba-cuda and CuPy do); its path."""
    sys.path.insert(0, str(packages))
    pathfinder = importlib.import_module("cuda.pathfinder")
    try:
        return str(pathfinder.load_nvidia_dynamic_lib(name).abs_path)
    except pathfinder.DynamicLibNotFoundError:
        return None


def find_headers(packages: Path) -> str | None:
    """Let cuda.pathfinder find the headers of the runtime, as CuPy does."""
    sys.path.insert(0, str(packages))
    found: str | None = importlib.import_module("cuda.pathfinder").find_nvidia_header_directory(
        "cudart"
    )
    return found


LOADERS: dict[str, Callable[[Path], str | None]] = {
    "flashinfer": load_as_flashinfer,
    "sgl_kernel": load_as_sgl_kernel,
    "pathfinder-cudart": lambda packages: ask_pathfinder(packages, "cudart"),
    "pathfinder-nvvm": lambda packages: ask_pathfinder(packages, "nvvm"),
    "pathfinder-headers": find_headers,
}


def mapped() -> list[str]:
    """Name the files of CUDA's that this process has mapped."""
    with open("/proc/self/maps") as stream:
        files = {line.split()[-1] for line in stream if "/" in line}
    return sorted(file for file in files if "/libcudart." in file or "/libnvvm." in file)


def main() -> None:
    """Let each load, and say what came of it."""
    packages, names = Path(sys.argv[1]), sys.argv[2:]
    gave = {name: LOADERS[name](packages) for name in names}
    sys.stdout.write(json.dumps({"gave": gave, "mapped": mapped()}))


if __name__ == "__main__":
    main()
