"""Run every JIT compiler on a GPU: `python3 -m tests.manual_gpu.jit_gpu [--wheels DIR]`.

For a machine with an NVIDIA GPU, a CUDA toolkit, PyTorch, CuPy, ninja and g++, and without Nix and
network. The wheels are those of flashinfer-python 0.6.5 and apache-tvm-ffi 0.1.9, as `pip download
--no-deps` leaves them. The machine's toolkit is split into store objects as nixpkgs does it, once
in each of two revisions, and in each layout the programs of jit_programs.py compile and run in
nixenv's environment: no variable tells of the machine's CUDA, and while they run its toolkit is
hidden below an empty directory.

One line a program, PASS or FAIL, with the seconds that it took beside the others and the CUDA
libraries that it has loaded; exit status 1 when one failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.manual_gpu.jit_programs import PROGRAMS, TELL_LOADED
from tests.manual_gpu.machine_closure import make_closure, run_nixenv
from tests.manual_gpu.toolkit_root import PYTHON, Wiring, find_toolkit, without_nvcc

WHEELS = Path(__file__).parents[2] / ".cache/gpu-wheels"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT = 300
"""Seconds for a program."""


@frozen
class Outcome:
    """What became of a program.

    Attributes:
        passed: Whether it ended well, with libraries of the closure alone.
        seconds: How long it ran.
        told: What it loaded, or how it failed.
    """

    passed: bool
    seconds: float
    told: str


def export(root: str, layout: str, before: Mapping[str, str]) -> dict[str, str]:
    """Give the environment that `nixenv export` makes."""
    done = run_nixenv(
        *("export", "--root", root, "--profile", "sglang", "--layout", layout, "--shell", "json"),
        environ=before,
    )
    sys.stdout.write(done.stderr)
    assert done.returncode == 0, f"export: exit status {done.returncode}"
    variables: dict[str, str | None] = json.loads(done.stdout)["variables"]
    return {name: value for name, value in {**before, **variables}.items() if value is not None}


def hiding(directory: Path) -> tuple[str, ...]:
    """Give the beginning of a command that finds an empty directory there."""
    script = f"mount -t tmpfs none '{directory}' && exec \"$@\""
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")


def run_program(
    file: Path, arguments: tuple[str, ...], environ: Mapping[str, str], base: Path
) -> Outcome:
    """Run a program and see where its CUDA libraries are from."""
    begun = time.monotonic()
    command = (*hiding(find_toolkit()), f"python{PYTHON}", str(file), *arguments)
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return Outcome(passed=False, seconds=LIMIT, told="out of time")
    seconds = time.monotonic() - begun
    *_, last = done.stdout.strip().splitlines() or [""]
    if done.returncode != 0 or not last.startswith("loaded"):
        return Outcome(passed=False, seconds=seconds, told=done.stdout[-4000:])
    loaded = last.split()[1:]
    own = all(Path(library).is_relative_to(base) for library in loaded)
    return Outcome(own, seconds, " ".join(loaded).replace(f"{base}/", ""))


def check_layout(root: str, layout: str, before: Mapping[str, str], base: Path) -> bool:
    """Run all programs at once in one layout, and print a line for each."""
    scratch = base / layout
    (scratch / "home").mkdir(parents=True)
    environ = export(
        root,
        layout,
        {**before, "HOME": f"{scratch}/home", "FLOX_ENV_CACHE": f"{scratch}/cache"},
    )
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_LIB_PATH", "CPATH", "LIBRARY_PATH", "CC", "CXX"):
        sys.stdout.write(f"  {name}={environ.get(name, '(not set)').replace(f'{base}/', '')}\n")
    files = {}
    for number, (name, (text, *_)) in enumerate(PROGRAMS.items()):
        files[name] = scratch / f"program_{number}.py"
        files[name].write_text(text + TELL_LOADED)

    def run(name: str) -> Outcome:
        return run_program(files[name], PROGRAMS[name][1:], environ, base)

    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        outcomes = list(zip(PROGRAMS, pool.map(run, PROGRAMS), strict=True))
    for name, outcome in outcomes:
        verdict = "PASS" if outcome.passed else "FAIL"
        sys.stdout.write(f"{verdict} {outcome.seconds:5.1f} s  {layout}: {name}: {outcome.told}\n")
    sys.stdout.flush()
    return all(outcome.passed for _, outcome in outcomes)


def main() -> int:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="where the wheels are")
    wheels = sorted(parser.parse_args().wheels.glob("*.whl"))
    work = Path(tempfile.mkdtemp(prefix="nixenv-jit-")).resolve()
    sys.stdout.write(f"wheels: {', '.join(wheel.name for wheel in wheels)}\n")
    good = True
    for wiring in Wiring:
        base = work / wiring.name.lower()
        closure, variables = make_closure(base, wheels, wiring)
        before = {"PATH": without_nvcc(SEARCH_PATH), "LANG": "C.UTF-8", **variables}
        for layout in ("store", "linked"):
            sys.stdout.write(f"\nnvcc: {wiring.value}; layout {layout}\n")
            good &= check_layout(closure.root, layout, before, base)
    sys.stdout.write(f"{'PASSED' if good else 'FAILED'}\n")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
