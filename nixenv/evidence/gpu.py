"""The NVIDIA driver and its GPUs: what the machine shows, and what nvidia-smi answers.

For people: ``export`` does without. The driver's libraries are looked for and never loaded, and an
nvidia-smi that hangs is left behind.
"""

import contextlib
import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from attrs import frozen

from nixenv.kernel import read_kernel_file
from nixenv.process import Cut, Outcome, Patience, Wait, describe_status, run
from nixenv.road.root import find_executable


@frozen
class Gpu:
    """One GPU, by nvidia-smi.

    Attributes:
        name: ``NVIDIA H200``.
        compute_capability: ``9.0``; None when nvidia-smi is too old to tell.
        memory: In MiB; None when it does not tell.
        memory_used: Likewise, by whomever; None when it does not tell.
        uuid: ``GPU-…``, by which CUDA_VISIBLE_DEVICES can name it; empty when it does not tell.
        mode: Who may use it: ``Default``, ``Exclusive_Process`` or ``Prohibited``; likewise.
        is_split: Whether it is split into MIG instances.
        bus: Its place on the PCI bus, ``00000000:17:00.0``; empty when it does not tell.
        number: Which of its GPUs it is, from 0.
    """

    name: str
    compute_capability: str | None
    memory: int | None
    memory_used: int | None = None
    uuid: str = ""
    mode: str = ""
    is_split: bool = False
    bus: str = ""
    number: int = 0

    @property
    def label(self) -> str:
        """The GPU among others, which may have the same name."""
        return f"GPU {self.number}, {self.name}"

    @property
    def description(self) -> str:
        """What is known of it, in a line."""
        parts = (
            self.label,
            self.compute_capability and f"compute capability {self.compute_capability}",
            f"{self.memory} MiB" if self.memory is not None else "",
            "split into MIG instances" if self.is_split else "",
            self.bus,
            self.uuid,
        )
        return ", ".join(filter(None, parts))


class Platform(StrEnum):
    """Where the driver is another one than that of a machine of its own."""

    WSL = "WSL"
    JETSON = "Jetson"


@frozen
class GpuDriver:
    """What is known of the NVIDIA driver and its GPUs.

    Attributes:
        devices: The device files ``/dev/nvidia0`` and so on: there is a GPU, whatever else fails.
        pci: NVIDIA's display controllers on the PCI bus, such as ``0000:01:00.0``. A container sees
            them even when it was given none of them.
        module: The version of the kernel module that is loaded; None when none is.
        nvidia_smi: The program that was asked; None when there is none.
        failure: Why it gave no answer; empty when it did, or was not asked.
        hindered_by: The variables without which it does answer.
        version: The driver's version, ``570.86.15``; None when unknown.
        gpus: The GPUs, in its order.
        libcuda: Where ``libcuda.so.1`` is found by the loader of a program in the store; None when
            it is not.
        missing_nodes: The device files that programs need beside these, and that are not there.
        platform: WSL or Jetson; None on any other machine.
        host_libcuda: Where the machine's own loader would find it, which a program in the store
            does not ask; None when it is in none of the usual places.
    """

    devices: tuple[str, ...] = ()
    pci: tuple[str, ...] = ()
    module: str | None = None
    nvidia_smi: str | None = None
    failure: str = ""
    hindered_by: tuple[str, ...] = ()
    version: str | None = None
    gpus: tuple[Gpu, ...] = ()
    libcuda: str | None = None
    host_libcuda: str | None = None
    missing_nodes: tuple[str, ...] = ()
    platform: Platform | None = None


@frozen
class Answer:
    """What nvidia-smi answered.

    Attributes:
        version: The driver's version; None when no line tells.
        gpus: The GPUs.
        failure: Why there is no answer; empty when there is one.
    """

    version: str | None = None
    gpus: tuple[Gpu, ...] = ()
    failure: str = ""


_LIBCUDA = "libcuda.so.1"

PROHIBITED = "Prohibited"
"""The mode of a GPU that no program may use."""

# Seconds. A healthy nvidia-smi may take a few where the driver first has to wake the GPUs.
_PATIENCE = 10.0

_FIELDS = (
    *("name", "driver_version", "compute_cap", "memory.total", "memory.used", "uuid"),
    *("compute_mode", "mig.mode.current", "pci.bus_id"),
)

# nvidia-smi 470 has no compute_cap, and one unknown field spoils the whole answer.
_OLD_FIELDS = ("name", "driver_version", "memory.total")

# Where nvidia-smi does not know, it puts [N/A], [Not Supported] or [Unknown Error].
_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}")
_UNKNOWN = "[N/A]"
_CAPABILITY = re.compile(r"[0-9]{1,2}\.[0-9]")
_MEGABYTES = re.compile(r"[0-9]{1,9}")
_UUID = re.compile(r"GPU-[0-9a-f-]{1,40}")
_BUS = re.compile(r"[0-9A-Fa-f]{1,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")
_MODE = re.compile(r"[A-Z][A-Za-z_]{1,30}")

_DEVICE = re.compile(r"dev/nvidia(?P<number>[0-9]{1,4})")

# An answer has some hundred bytes; a program that prints without end is none.
_LONGEST_ANSWER = 1 << 20

# Of a failure, so many lines and characters are kept.
_FAILURE_LINES = 5
_LINE_LENGTH = 300

# What a user's shell may hold for programs of the store, and what breaks a program of the machine.
_LOADER_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT")

# Where nvidia-smi is when it is not on PATH: NixOS, distributions, GKE's nodes, WSL.
_SMI_DIRS = (
    *("run/opengl-driver/bin", "run/current-system/sw/bin", "usr/bin", "usr/local/bin"),
    *("usr/local/nvidia/bin", "usr/lib/wsl/lib"),
)

# Where distributions, NVIDIA's container runtime, GKE and WSL put the driver's libraries.
_HOST_LIBRARY_DIRS = (
    *("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"),
    *("usr/local/nvidia/lib64", "usr/lib/wsl/lib", "lib/x86_64-linux-gnu", "lib64"),
    *("usr/lib/aarch64-linux-gnu/nvidia", "usr/lib/aarch64-linux-gnu/tegra"),
)

# CUDA opens both beside the GPU's own: the driver's control node and unified memory's.
_NODES = ("dev/nvidiactl", "dev/nvidia-uvm")

# WSL: the GPU that Windows lends, and its library. Jetson: its system's release and libraries.
_MARKS = {
    Platform.WSL: ("dev/dxg", "usr/lib/wsl/lib/libdxcore.so"),
    Platform.JETSON: ("etc/nv_tegra_release", "usr/lib/aarch64-linux-gnu/tegra"),
}


def query_driver(
    environ: Mapping[str, str], filesystem: str = "/", patience: float = _PATIENCE
) -> GpuDriver:
    """Look for GPUs and ask nvidia-smi about them, if there is one.

    Args:
        environ: The variables of the process: PATH, and what the loader reads.
        filesystem: What stands for ``/`` in front of the machine's own directories.
        patience: The seconds that nvidia-smi may take.
    """
    module = read_kernel_file(os.path.join(filesystem, "sys/module/nvidia/version")) or None
    nvidia_smi = find_executable("nvidia-smi", _smi_search_path(environ, filesystem))
    answer, hindered_by = (
        _ask(nvidia_smi, environ, patience) if nvidia_smi is not None else (Answer(), ())
    )
    devices = tuple(_find_devices(filesystem))
    return GpuDriver(
        devices=devices,
        pci=tuple(_find_pci(filesystem)),
        module=module,
        nvidia_smi=nvidia_smi,
        failure=answer.failure,
        hindered_by=hindered_by,
        version=answer.version or module,
        gpus=answer.gpus,
        libcuda=_first_library(_libcuda_candidates(environ, filesystem)),
        host_libcuda=_first_library(
            os.path.join(filesystem, directory, _LIBCUDA) for directory in _HOST_LIBRARY_DIRS
        ),
        missing_nodes=tuple(_find_missing_nodes(filesystem)) if devices else (),
        platform=_find_platform(filesystem),
    )


def parse_answer(text: str, fields: Sequence[str]) -> Answer:
    """Read what ``nvidia-smi --query-gpu=… --format=csv,noheader,nounits`` printed. Pure.

    Lines look like ``NVIDIA H200, 570.86.15, 9.0, 143771``; others are passed over.

    Args:
        text: What it printed.
        fields: The fields that it was asked for, the name first: that alone may hold commas.
    """
    rows = (
        dict(zip(fields, map(str.strip, values), strict=True))
        for line in text.splitlines()
        if len(values := line.rsplit(",", len(fields) - 1)) == len(fields)
    )
    told = [row for row in rows if row["name"] and _is_driver_version(row["driver_version"])]
    versions = (row["driver_version"] for row in told if row["driver_version"] != _UNKNOWN)
    gpus = tuple(_parse_gpu(number, row) for number, row in enumerate(told))
    return Answer(next(versions, None), gpus)


def _is_driver_version(text: str) -> bool:
    return text == _UNKNOWN or _VERSION.fullmatch(text) is not None


def _parse_gpu(number: int, row: Mapping[str, str]) -> Gpu:
    def told(field: str, pattern: re.Pattern[str]) -> str:
        value = row.get(field, "")
        return value if pattern.fullmatch(value) else ""

    memory, used = (told(field, _MEGABYTES) for field in ("memory.total", "memory.used"))
    return Gpu(
        row["name"],
        told("compute_cap", _CAPABILITY) or None,
        int(memory) if memory else None,
        int(used) if used else None,
        told("uuid", _UUID),
        told("compute_mode", _MODE),
        row.get("mig.mode.current") == "Enabled",
        told("pci.bus_id", _BUS),
        number,
    )


# nvidia-smi --------------------------------------------------------------------------------------


def _smi_search_path(environ: Mapping[str, str], filesystem: str) -> str:
    usual = (os.path.join(filesystem, directory) for directory in _SMI_DIRS)
    return os.pathsep.join((environ.get("PATH", ""), *usual))


def _ask(
    nvidia_smi: str, environ: Mapping[str, str], patience: float
) -> tuple[Answer, tuple[str, ...]]:
    """Ask as the shell would; if that fails, without what may lead its loader astray.

    All of it together has the time that one answer may take.
    """
    wait = Wait(Patience(patience))
    given = tuple(name for name in _LOADER_VARIABLES if environ.get(name))
    # One by one first: in a Flox environment programs of the store need LD_AUDIT.
    suspects = [*((name,) for name in given), *([given] if len(given) > 1 else [])]
    answer = Answer(failure=f"nvidia-smi gave no answer within {patience:g} seconds")
    with contextlib.suppress(TimeoutError):
        answer = _ask_in(nvidia_smi, environ, wait)
        for names in suspects if answer.failure else ():
            without = {name: environ[name] for name in environ if name not in names}
            second = _ask_in(nvidia_smi, without, wait)
            if not second.failure:
                return Answer(second.version, second.gpus, answer.failure), names
    return answer, ()


def _ask_in(nvidia_smi: str, environ: Mapping[str, str], wait: Wait) -> Answer:
    answer = _query(nvidia_smi, _FIELDS, environ, wait)
    if answer.failure:
        with contextlib.suppress(TimeoutError):
            old = _query(nvidia_smi, _OLD_FIELDS, environ, wait)
            return answer if old.failure else old
    return answer


def _query(
    nvidia_smi: str, fields: Sequence[str], environ: Mapping[str, str], wait: Wait
) -> Answer:
    """Ask once.

    Raises:
        TimeoutError: it does not answer; asked again, it would not either.
    """
    left = wait.left
    if left is not None and left <= 0:
        raise TimeoutError
    argv = (nvidia_smi, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
    try:
        outcome = run(argv, environ, _LONGEST_ANSWER, Patience(left))
    except OSError as error:
        return Answer(failure=error.strerror or str(error))
    if outcome.cut is Cut.OUT_OF_TIME:
        raise TimeoutError
    answer = parse_answer(outcome.stdout, fields)
    if outcome.status == 0 and answer.gpus:
        return answer
    return Answer(answer.version, answer.gpus, _describe(outcome))


def _describe(outcome: Outcome) -> str:
    said = f"{outcome.stdout}\n{outcome.stderr}"
    lines = [line[:_LINE_LENGTH] for line in map(str.strip, said.splitlines()) if line]
    if not lines:
        return f"it ended without a word ({describe_status(outcome.status)})"
    return "\n".join(lines[:_FAILURE_LINES])


# What the machine shows --------------------------------------------------------------------------


def _find_devices(filesystem: str) -> Iterator[str]:
    found = map(_DEVICE.fullmatch, glob.iglob("dev/nvidia[0-9]*", root_dir=filesystem))
    for match in sorted(filter(None, found), key=lambda match: int(match["number"])):
        yield os.path.join(filesystem, match[0])


def _find_missing_nodes(filesystem: str) -> Iterator[str]:
    nodes = (os.path.join(filesystem, node) for node in _NODES)
    return (node for node in nodes if not os.path.exists(node))


def _find_platform(filesystem: str) -> Platform | None:
    for platform, marks in _MARKS.items():
        if any(os.path.exists(os.path.join(filesystem, mark)) for mark in marks):
            return platform
    return None


def _find_pci(filesystem: str) -> Iterator[str]:
    for directory in sorted(glob.iglob("sys/bus/pci/devices/*", root_dir=filesystem)):
        vendor = read_kernel_file(os.path.join(filesystem, directory, "vendor"))
        kind = read_kernel_file(os.path.join(filesystem, directory, "class"))
        # 0x03: a display controller; the audio and USB functions of a card are others.
        if vendor == "0x10de" and kind.startswith("0x03"):
            yield os.path.basename(directory)


# libcuda -----------------------------------------------------------------------------------------


def _libcuda_candidates(environ: Mapping[str, str], filesystem: str) -> Iterator[str]:
    """Give the files that the loader of a program in the store tries, in its order.

    glibc of nixpkgs does not read ``/etc/ld.so.cache``. nixpkgs gives its CUDA programs the RUNPATH
    ``/run/opengl-driver/lib`` (addDriverRunpath); Flox lets ``ld-floxlib.so`` search where the
    loader found nothing (LD_AUDIT), with the driver's libraries listed one by one.
    """
    # ld.so(8): the one is separated by colons or spaces, the other by colons or semicolons.
    for file in re.split("[: ]", environ.get("LD_PRELOAD", "")):
        if os.path.basename(file) == _LIBCUDA:
            yield file
    for directory in re.split("[:;]", environ.get("LD_LIBRARY_PATH", "")):
        yield os.path.join(directory, _LIBCUDA)
    yield os.path.join(filesystem, "run/opengl-driver/lib", _LIBCUDA)
    audit = environ.get("LD_AUDIT", "").split(os.pathsep)
    if any(os.path.basename(file) == "ld-floxlib.so" for file in audit):
        yield from _flox_candidates(environ)


def _flox_candidates(environ: Mapping[str, str]) -> Iterator[str]:
    for directory in _entries(environ, "FLOX_ENV_DIRS"):
        yield os.path.join(directory, "lib", _LIBCUDA)
    # The second belongs to earlier releases of Flox.
    for variable in ("LD_FLOXLIB_DIRS_PATH", "FLOX_ENV_LIB_DIRS"):
        for directory in _entries(environ, variable):
            yield os.path.join(directory, _LIBCUDA)
    for file in _entries(environ, "LD_FLOXLIB_FILES_PATH"):
        if os.path.basename(file) == _LIBCUDA:
            yield file


def _entries(environ: Mapping[str, str], variable: str) -> Iterator[str]:
    return filter(None, environ.get(variable, "").split(os.pathsep))


def _first_library(files: Iterator[str]) -> str | None:
    return next((file for file in files if file.startswith("/") and _is_driver(file)), None)


def _is_driver(file: str) -> bool:
    # nixpkgs gives its stubs the name of the real one, too.
    return os.path.isfile(file) and "stubs" not in os.path.realpath(file).split("/")
