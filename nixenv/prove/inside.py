"""What is tried inside the closure's own interpreter, which runs a copy of this file.

It imports nothing of nixenv, for nixenv is not there. The result is one line of JSON on stdout,
the last: what is imported may print as well.
"""

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable

RESULT = "nixenv-result:"

NIXOS_DRIVER = "/run/opengl-driver/lib/libcuda.so.1"


def import_entry_point(program: str) -> dict[str, object]:
    """Import the module in which the program begins, by the metadata of its distribution."""
    found = importlib.metadata.entry_points(group="console_scripts", name=program)
    modules = [entry_point.module for entry_point in found][:1]
    if not modules and program.isidentifier() and importlib.util.find_spec(program):
        modules = [program]
    if not modules:
        return {"skipped": f"no distribution has an entry point {program!r}"}
    importlib.import_module(modules[0])
    return {"module": modules[0], "file": sys.modules[modules[0]].__file__}


def load(library: str, runtime: str) -> dict[str, object]:
    """Load a library as the JIT compilers do, and tell which CUDA runtime came with it."""
    preloaded = _preload_runtime(runtime)
    loaded = ctypes.CDLL(library)
    version = loaded.nixenv_runtime_version()
    return {"version": version, "preloaded": preloaded, "libcudart": _mapped("libcudart.so")}


def initialise_driver() -> dict[str, object]:
    """Load the driver's library and initialise it, which makes no context."""
    libcuda = _load_driver()
    status, count = libcuda.cuInit(0), ctypes.c_int()
    if status == 0:
        libcuda.cuDeviceGetCount(ctypes.byref(count))
    return {"status": status, "devices": count.value, "libcuda": _mapped("libcuda.so")}


def _load_driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        # What nixpkgs builds for CUDA has this directory on its run path, and its Python has not.
        if not os.path.exists(NIXOS_DRIVER):
            raise
        return ctypes.CDLL(NIXOS_DRIVER)


def run_kernel(library: str, runtime: str) -> dict[str, object]:
    """Run the kernel on the one GPU that can be seen."""
    _preload_runtime(runtime)
    return {"sum": ctypes.CDLL(library).nixenv_run_kernel(0)}


def import_launcher(directory: str) -> dict[str, object]:
    """Import the module that stands for triton's launchers."""
    sys.path.insert(0, directory)
    return {"devices": importlib.import_module("nixenv_launcher").device_count()}


def describe_python() -> dict[str, object]:
    """Tell what triton asks the interpreter before it compiles."""
    spec = importlib.util.find_spec("triton")
    base = os.path.dirname(spec.origin) if spec and spec.origin else ""
    headers = os.path.join(base, "backends/nvidia/include") if base else ""
    return {
        "python_include": sysconfig.get_path("include"),
        "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
        "triton_include": headers if os.path.isfile(os.path.join(headers, "cuda.h")) else "",
    }


def _preload_runtime(runtime: str) -> str:
    """Bring a libcudart into the process, as the programs' own libraries do before a JIT's.

    flashinfer names a directory, torch has its own way; else the closure's own, ``runtime``, as a
    library with a RUNPATH has it: LD_LIBRARY_PATH comes before that.
    """
    if importlib.util.find_spec("flashinfer"):
        usual = f"/usr/local/cuda/targets/{platform.machine()}-linux/lib/"
        directory = os.environ.get("CUDA_LIB_PATH", usual)
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            if name.startswith("libcudart.so.") and name.count(".") == 2:
                return _bring(os.path.join(directory, name))
    if importlib.util.find_spec("torch"):
        importlib.import_module("torch")
    if _mapped("libcudart.so") or not runtime:
        return ""
    before = re.split("[:;]", os.environ.get("LD_LIBRARY_PATH", ""))
    candidates = (os.path.join(place, os.path.basename(runtime)) for place in before if place)
    return _bring(next(filter(os.path.exists, candidates), runtime))


def _bring(library: str) -> str:
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    return library


def _mapped(name: str) -> list[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
        files = {line.rstrip("\n").partition("/")[2] for line in stream if "/" in line}
    return sorted(f"/{file}" for file in files if os.path.basename(file).startswith(name))


TASKS: dict[str, Callable[..., dict[str, object]]] = {
    "import": import_entry_point,
    "load": load,
    "driver": initialise_driver,
    "kernel": run_kernel,
    "launcher": import_launcher,
    "describe": describe_python,
}


def main(arguments: list[str]) -> int:
    """Do one task, and tell what came of it."""
    try:
        result = TASKS[arguments[0]](*arguments[1:])
    except BaseException as error:  # noqa: BLE001 -- whatever a package raises when it is imported
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.flush()
    sys.stdout.write(f"\n{RESULT}{json.dumps(result)}\n")
    sys.stdout.flush()
    # No library's own end may change what was found out.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
