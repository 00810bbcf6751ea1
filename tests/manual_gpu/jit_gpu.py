"""Run every JIT compiler on a GPU: `python3 -m tests.manual_gpu.jit_gpu [--wheels DIR]`.

For a machine with an NVIDIA GPU, a CUDA toolkit, PyTorch, CuPy, ninja and g++, and without Nix and
network. The wheels are those of flashinfer-python 0.6.5 and apache-tvm-ffi 0.1.9, as `pip download
--no-deps` leaves them. The machine's toolkit is split into store objects as nixpkgs does it, once
in each of two revisions, and in each layout the programs of jit_programs.py compile and run in
nixenv's environment: no variable tells of the machine's CUDA, and while they run its toolkit is
hidden below an empty directory.

One line a program: PASS, with the seconds that it took beside the others and the CUDA libraries
that it has loaded; TOLD, where it fails in layout store as `nixenv inspect` says that its package
must; or FAIL. Exit status 1 when one failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve, frozen

from tests.manual_gpu.jit_programs import PROGRAMS, TELL_LOADED, Program
from tests.manual_gpu.machine_closure import make_closure, run_nixenv
from tests.manual_gpu.toolkit_root import PYTHON, Wiring, find_toolkit, without_nvcc

WHEELS = Path(__file__).parents[2] / ".cache/gpu-wheels"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
LIMIT = 300
"""Seconds for a program."""


@frozen
class Outcome:
    """What became of a program.

    Attributes:
        verdict: PASS where it ended well, with libraries of the closure alone; TOLD; FAIL.
        seconds: How long it ran.
        said: What it loaded, or how it failed.
    """

    verdict: str
    seconds: float
    said: str


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
        return Outcome("FAIL", LIMIT, "out of time")
    seconds = time.monotonic() - begun
    *_, last = done.stdout.strip().splitlines() or [""]
    if done.returncode != 0 or not last.startswith("loaded"):
        return Outcome("FAIL", seconds, done.stdout[-4000:])
    loaded = [Path(library) for library in last.split()[1:]]
    own = all(library.is_relative_to(base) for library in loaded)
    return Outcome("PASS" if own else "FAIL", seconds, ", ".join(map(str, loaded)))


def find_told(root: str, layout: str, before: Mapping[str, str]) -> str:
    """Give what inspect says of packages that do not find in CUDA_HOME what they look for."""
    done = run_nixenv(
        *("inspect", "--root", root, "--profile", "sglang", "--layout", layout, "--json"),
        environ=before,
    )
    findings = json.loads(done.stdout)["findings"]
    return "\n".join(
        line
        for finding in findings
        if finding["code"] == "cuda-home-partial"
        for line in finding["evidence"]
    )


def check_layout(
    root: str, layout: str, before: Mapping[str, str], base: Path, programs: Sequence[Program]
) -> bool:
    """Run programs side by side in one layout, and print a line for each."""
    scratch = base / layout
    (scratch / "home").mkdir(parents=True)
    before = {**before, "HOME": f"{scratch}/home", "FLOX_ENV_CACHE": f"{scratch}/cache"}
    environ = export(root, layout, before)
    foreign = sorted(name for name, value in environ.items() if "/usr/local/cuda" in value)
    assert not foreign, f"these tell of the machine's CUDA: {foreign}"
    told = find_told(root, layout, before)

    def run(program: Program) -> Outcome:
        # Its directory is the first on sys.path: a file called triton.py would be the module.
        file = scratch / f"program-{program.name.replace(' ', '_')}.py"
        file.write_text(program.text + TELL_LOADED)
        outcome = run_program(file, program.arguments, environ, base)
        if outcome.verdict == "FAIL" and f"{program.package} looks for" in told:
            *_, last = outcome.said.strip().splitlines()
            return evolve(outcome, verdict="TOLD", said=f"{last}\n  inspect: {told}")
        return outcome

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(run, programs))
    for program, outcome in zip(programs, outcomes, strict=True):
        said = outcome.said.replace(f"{base}/", "").replace(SITE_PACKAGES, "…")
        sys.stdout.write(
            f"{outcome.verdict} {outcome.seconds:5.1f} s  {layout}: {program.name}: {said}\n"
        )
    sys.stdout.flush()
    return all(outcome.verdict != "FAIL" for outcome in outcomes)


def main() -> int:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="where the wheels are")
    parser.add_argument("--only", default="", help="the programs with this word in their name")
    arguments = parser.parse_args()
    wheels = sorted(arguments.wheels.glob("*.whl"))
    programs = [program for program in PROGRAMS if arguments.only in program.name]
    work = Path(tempfile.mkdtemp(prefix="nixenv-jit-")).resolve()
    sys.stdout.write(f"wheels: {', '.join(wheel.name for wheel in wheels)}\n")
    good = True
    for wiring in Wiring:
        base = work / wiring.name.lower()
        closure, variables = make_closure(base, wheels, wiring)
        before = {"PATH": without_nvcc(SEARCH_PATH), "LANG": "C.UTF-8", **variables}
        for layout in ("store", "linked"):
            sys.stdout.write(f"\nnvcc: {wiring.value}; layout {layout}\n")
            good &= check_layout(closure.root, layout, before, base, programs)
    sys.stdout.write(f"{'PASSED' if good else 'FAILED'}\n")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
