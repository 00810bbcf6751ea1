"""Let `nixenv prove` prove itself on a GPU: `python3 -m tests.manual_gpu.prove_gpu`.

For a machine with an NVIDIA GPU, a CUDA toolkit, PyTorch, ninja and g++, and without Nix and
network; it needs nixenv's dependencies. The machine's toolkit is split into store objects as
nixpkgs does it, PyTorch and all beside it are the root's modules, and the closure is recorded in a
requisites.txt, as in a pod. All steps have to pass in both layouts; then each seeded fault has to
fail the step that it should.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixenv.road.query import Closure
from tests.manual_gpu.machine_closure import make_closure, run_nixenv
from tests.manual_gpu.toolkit_root import find_toolkit, without_nvcc

PROFILE = """\
binary = "torchrun"
path = ["nvcc", "ninja", "host-compiler"]
compiler = true
[cuda]
required = true
[cache]
TRITON_CACHE_DIR = "triton"
TORCH_EXTENSIONS_DIR = "torch-extensions"
"""


def make_environment(base: Path) -> tuple[Closure, dict[str, str]]:
    """Make the closure, and the variables in which nixenv finds it and no CUDA of the machine."""
    closure, variables = make_closure(base)
    (base / "profile.toml").write_text(PROFILE)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CUDA", "NVCC", "CPATH", "LIBRARY_PATH", "CC", "CXX", "PYTHON"))
    }
    return closure, {
        **kept,
        **variables,
        "PATH": without_nvcc(kept["PATH"]),
        "NIXENV_PROFILE": str(base / "profile.toml"),
    }


def prove(root: str, layout: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run `nixenv prove --json`, and print a line for each step."""
    done = run_nixenv(
        *("prove", "torchrun", "--root", root, "--json", "--layout", layout), environ=environ
    )
    if done.returncode not in (0, 1):
        sys.stdout.write(done.stderr)
        return []
    steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
    for step in steps:
        told = step["detail"].splitlines()[-1:] or [""]
        finding = step["finding"]["code"] if step["finding"] else ""
        sys.stdout.write(
            f"  {step['state']:9} {step['seconds']:6.1f} s  {step['name']}: {told[0]} {finding}\n"
        )
    sys.stdout.flush()
    return steps


def seed_faults(base: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Give each fault the part that it should fail, and the variables that bring it."""
    gcc = base / "old/bin/gcc"
    gcc.parent.mkdir(parents=True)
    gcc.write_text('#!/bin/sh\necho "error: this gcc compiles nothing" >&2\nexit 1\n')
    gcc.chmod(0o755)
    (library, *_) = Path(find_toolkit(), "lib64").glob("libcudart.so.*")
    foreign = base / "libcudart.so"
    foreign.write_bytes(library.resolve().read_bytes())
    stale = base / "stale/norm/build.ninja"
    stale.parent.mkdir(parents=True)
    stale.write_text("ninja_required_version = 1.3\ncuda_home = /nix/store/of-last-year\n")
    return {
        "a gcc that compiles nothing": ("device code", {"CC": str(gcc)}),
        "a build file of another toolkit": (
            "build file",
            {"TORCH_EXTENSIONS_DIR": str(stale.parents[1])},
        ),
        # LD_LIBRARY_PATH would not do: torch loads its own by the path.
        "a libcudart of the machine's": ("load", {"LD_PRELOAD": str(foreign)}),
        "a cache directory that is a file": ("cache", {"TRITON_CACHE_DIR": str(gcc)}),
    }


def main() -> int:
    """Prove, and seed faults."""
    base = Path(tempfile.mkdtemp(prefix="nixenv-prove-")).resolve()
    closure, environ = make_environment(base)
    good = True
    for layout in ("store", "linked"):
        sys.stdout.write(f"layout {layout}\n")
        steps = prove(closure.root, layout, environ)
        passed = bool(steps) and all(step["state"] == "passed" for step in steps)
        ran = any(step["part"] == "gpu" for step in steps)
        sys.stdout.write(f"{'PASS' if passed and ran else 'FAIL'} all steps, on a GPU: {layout}\n")
        good &= passed and ran
    for fault, (part, variables) in seed_faults(base).items():
        sys.stdout.write(f"fault: {fault}\n")
        steps = prove(closure.root, "store", {**environ, **variables})
        found = any(step["part"] == part and step["state"] == "failed" for step in steps)
        sys.stdout.write(f"{'PASS' if found else 'FAIL'} it fails the part {part}\n")
        good &= found
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
