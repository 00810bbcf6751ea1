"""Prove the GPU part of `inspect` on a machine with an NVIDIA GPU: a program to run by hand.

`python3 -m tests.manual_gpu.inspect_gpu` in the repository; it needs attrs and packaging, and
neither Nix nor network. It looks at the real driver, prints all that was found, and judges it: as
it is, with a toolkit that the driver is too old for, with a package that was built for another GPU,
with the GPU hidden, and with a libcuda that programs of the store do not find. What CUDA itself
says (by torch, where that is installed) is held against what was found.

One line a check, PASS or FAIL; exit status 1 when one failed.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import asdict, evolve

from nixenv.evidence.gpu import GpuDriver
from nixenv.evidence.machine import Machine, probe_machine
from nixenv.findings import Finding
from nixenv.inspect.diagnosis.environment import check_environment
from nixenv.inspect.diagnosis.gpu import check_gpu
from tests.inspect.diagnosis.remedies import command_in

NAME = "python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9"

ASK_TORCH = """\
import torch
assert torch.cuda.is_available()
for number in range(torch.cuda.device_count()):
    seen = torch.cuda.get_device_properties(number)
    print(f"{seen.major}.{seen.minor}", seen.total_memory // 2**20, seen.name, sep="|")
"""

LOAD_LIBCUDA = """\
import ctypes, sys
version = ctypes.c_int()
driver = ctypes.CDLL(sys.argv[1])
assert driver.cuInit(0) == 0
assert driver.cuDriverGetVersion(ctypes.byref(version)) == 0
print(f"{version.value // 1000}.{version.value % 1000 // 10}")
"""


def look(environ: Mapping[str, str]) -> Machine:
    """Look at this machine."""
    return probe_machine(
        environ,
        names=("TRITON_CACHE_DIR", "SGLANG_PORT"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        directories={"TRITON_CACHE_DIR": tempfile.gettempdir()},
        ports={"SGLANG_PORT": "30000"},
    )


def judge(machine: Machine, cuda: str = "12.8", name: str = NAME) -> dict[str, Finding]:
    """Give the findings on the GPU by their codes."""
    return {found.code: found for found in check_gpu(machine, cuda, name)}


def with_driver(machine: Machine, driver: GpuDriver) -> Machine:
    """Give the machine with another driver."""
    return evolve(machine, driver=driver)


def check_what_was_found(machine: Machine) -> Iterator[tuple[str, bool]]:
    """Hold what was found against itself and against torch."""
    driver = machine.driver
    yield "there is a GPU, and nvidia-smi told of it", bool(driver.devices and driver.gpus)
    yield (
        "each GPU has its compute capability and memory",
        all(gpu.compute_capability and gpu.memory for gpu in driver.gpus),
    )
    yield (
        "nvidia-smi and the kernel module tell the same version",
        driver.module in (None, driver.version),
    )
    yield "nvidia-smi did not fail", driver.failure == ""
    seen = _run([sys.executable, "-c", ASK_TORCH])
    if seen is None:
        _say("  torch is not installed, or finds no GPU: not compared")
        return
    rows = [line.split("|", 2) for line in seen.splitlines()]
    yield (
        "torch tells the same names and compute capabilities",
        [(row[2], row[0]) for row in rows]
        == [(gpu.name, gpu.compute_capability) for gpu in driver.gpus],
    )
    yield (
        "torch tells about the same memory",
        all(
            gpu.memory is not None and 0.9 < int(row[1]) / gpu.memory <= 1
            for row, gpu in zip(rows, driver.gpus, strict=True)
        ),
    )


def check_libcuda(machine: Machine) -> Iterator[tuple[str, bool]]:
    """Load what was found, in another process, and follow the remedy where it is unreachable."""
    driver = machine.driver
    library = driver.libcuda or driver.host_libcuda
    yield "a libcuda is on this machine", library is not None
    if library is None:
        return
    version = _run([sys.executable, "-c", LOAD_LIBCUDA, library])
    _say(f"  {library}: CUDA {version}")
    yield "it loads, and finds the GPU", version is not None
    bare = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    with tempfile.TemporaryDirectory() as home:
        bare["HOME"] = home
        seen = look(bare)
        hidden = with_driver(seen, evolve(seen.driver, libcuda=None))
        found = judge(hidden)["gpu-libcuda-unreachable"]
        done = _run(
            ["bash", "-ec", f'{command_in(found.remedy)}\nprintf %s "$LD_LIBRARY_PATH"'], bare
        )
        cured = look({**bare, "LD_LIBRARY_PATH": done or ""})
        yield "the remedy for an unreachable libcuda cures", cured.driver.libcuda is not None
        linked = _run(
            [sys.executable, "-c", LOAD_LIBCUDA, str(cured.driver.libcuda)],
            {**bare, "LD_LIBRARY_PATH": done or ""},
        )
        yield "and what it links to loads", linked is not None and linked == version


def check_judgement(machine: Machine) -> Iterator[tuple[str, bool]]:
    """Judge the machine as it is, and as it might be."""
    driver = machine.driver
    driver = evolve(driver, libcuda=driver.libcuda or driver.host_libcuda)
    reachable = with_driver(machine, driver)
    _say_findings(judge(machine).values())
    yield (
        "a program for every GPU has no error here",
        not any(found.severity == "error" for found in judge(reachable).values()),
    )
    older = with_driver(machine, evolve(driver, version="535.161.08", module="535.161.08"))
    yield "a driver that is too old is told", "gpu-driver-too-old" in judge(older)
    capability = driver.gpus[0].compute_capability or ""
    own = "sm" + capability.replace(".", "")
    yield (
        f"a package for {own} runs",
        "gpu-architecture-unsupported" not in judge(reachable, name=NAME.replace("all", own)),
    )
    other = "sm89" if own != "sm89" else "sm90"
    unfit = judge(reachable, name=NAME.replace("all", other)).get("gpu-architecture-unsupported")
    yield (
        f"a package for {other} does not, and {own} is named",
        unfit is not None and own in unfit.remedy,
    )
    hidden = look({**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    yield "hidden GPUs are told", "gpu-hidden" in judge(hidden)


def check_fake_nvidia_smi() -> Iterator[tuple[str, bool]]:
    """Put another nvidia-smi before the real one: it is asked, and what it says is judged."""
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "nvidia-smi")
        program.write_text("#!/bin/sh\necho NVIDIA A100-SXM4-40GB, 525.60.13, 8.0, 40960\n")
        program.chmod(0o755)
        environ = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
        found = judge(look(environ))
        yield "a driver too old by a faked nvidia-smi", "gpu-driver-too-old" in found
        program.write_text("#!/bin/sh\necho Failed to initialize NVML; exit 18\n")
        yield "a driver that fails", "gpu-nvidia-smi-failed" in judge(look(environ))


def main() -> int:
    """Run all checks."""
    machine = look(os.environ)
    _say_value("machine", asdict(machine))
    if not machine.driver.gpus:
        _say("FAIL no GPU was found: nothing can be proved here")
        return 1
    verdicts = []
    for check in (
        check_what_was_found(machine),
        check_libcuda(machine),
        check_judgement(machine),
        check_fake_nvidia_smi(),
    ):
        for name, passed in check:
            _say(f"{'PASS' if passed else 'FAIL'} {name}")
            verdicts.append(passed)
    store_dir = os.environ.get("NIX_STORE_DIR", "/nix/store")
    _say_findings(check_environment({}, machine, store_dir, NAME))
    return 0 if all(verdicts) else 1


def _run(argv: list[str], environ: Mapping[str, str] | None = None) -> str | None:
    done = subprocess.run(
        argv,
        env=None if environ is None else dict(environ),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        _say(f"  {shlex.join(argv[:1])}: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return done.stdout.strip()


def _say_findings(findings: Iterable[Finding]) -> None:
    for found in findings:
        _say(f"  {found.severity} {found.code}: {found.summary}")
        for line in found.evidence:
            _say(f"      {line}")
        if found.remedy:
            _say(f"      next: {found.remedy}")


def _say_value(name: str, value: object, indent: str = "") -> None:
    """Print nested plain data, one value a line."""
    if isinstance(value, dict):
        _say(f"{indent}{name}:")
        for key, part in value.items():
            _say_value(key, part, f"{indent}  ")
    elif isinstance(value, tuple) and value:
        for part in value:
            _say_value(name, part, indent)
    else:
        _say(f"{indent}{name}: {value!r}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
