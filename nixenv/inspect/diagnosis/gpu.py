"""Whether the machine's GPUs and their driver can run what the closure holds. Pure."""

import itertools
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from nixenv.evidence.gpu import PROHIBITED, Gpu, GpuDriver, Platform
from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding, Severity
from nixenv.road.redistributables import numbers, parse_named_cuda
from nixenv.text import as_code, printable

# NVIDIA, CUDA Compatibility, "Minor Version Compatibility": what CUDA X.0 came with runs programs
# of every X.Y, except that it cannot compile the PTX of a later one.
_MINIMUM_OF_MAJOR = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}

# What Flox' environments with these versions ask for beyond that.
_MINIMUM_OF_ENVIRONMENTS = {"12.8": "550", "12.9": "550"}

# CUDA Toolkit Release Notes, "CUDA Toolkit and Corresponding Driver Versions", Linux x86_64, the
# first release of each: with it, everything of that CUDA works.
_DRIVER_OF_TOOLKIT = {
    "11.8": "520.61.05",
    "12.0": "525.60.13",
    "12.1": "530.30.02",
    "12.2": "535.54.03",
    "12.3": "545.23.06",
    "12.4": "550.54.14",
    "12.5": "555.42.02",
    "12.6": "560.28.03",
    "12.8": "570.26",
    "12.9": "575.51.03",
    "13.0": "580.65.06",
    "13.1": "590.44.01",
    "13.2": "595.45.04",
    "13.3": "610.43.02",
    # From here on no driver comes with it; its branch is what cuDNN's support matrix asks for.
    "13.4": "615",
}

# CUDA Toolkit Release Notes: the oldest compute capability that nvcc of that major version compiles
# for; the libraries of a release are built for no older one.
_OLDEST_CAPABILITY = {"11": "3.5", "12": "5.0", "13": "7.5"}

_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5})*")

# In a package's name: sm89, sm90a, sm121.
_NAMED_SM = re.compile(
    r"(?:^|[-_])(?P<sm>sm_?(?P<major>[0-9]{1,2})(?P<minor>[0-9])(?P<only>[af]?))(?=[-_.]|$)"
)

_LOAD_MODULE = "as root, run `modprobe nvidia`; where there is no such module, install the driver"

# What hides every GPU, as CUDA_VISIBLE_DEVICES.
_NO_GPU = ("", "-1", "NoDevFiles")


def check_gpu(
    machine: Machine,
    toolkit_version: str | None,
    package_name: str,
    torch_cuda: str | None = None,
    codes: Sequence[str] = (),
) -> Iterator[Finding]:
    """Judge the driver and the GPUs. A closure without CUDA asks nothing of them.

    Args:
        machine: The machine as it is.
        toolkit_version: The toolkit's CUDA version, ``12.8``; None where there is no toolkit.
        package_name: The root's store name, which may tell what it was built for.
        torch_cuda: The CUDA version that torch was built with, if known.
        codes: What the toolkit's nvcc compiles for, ``90`` for sm_90, if known.
    """
    cuda = toolkit_version or torch_cuda or parse_named_cuda(package_name)
    driver = machine.driver
    if cuda is None:
        return
    if not driver.devices and not driver.gpus:
        yield _explain_absence(driver)
        return
    yield from _check_nodes(driver)
    yield from _check_nvidia_smi(driver)
    yield from _check_version(driver, cuda)
    yield from _check_hidden(machine)
    yield from _check_sharing(machine)
    yield from _check_architecture(machine, package_name)
    yield from _check_capability(machine, cuda)
    yield from _check_codes(machine, cuda, codes)
    yield from _check_libcuda(machine)


def oldest_capability(cuda: str) -> str | None:
    """Give the oldest compute capability that nvcc of that CUDA compiles for, where it is known."""
    return _OLDEST_CAPABILITY.get(cuda.partition(".")[0])


def _explain_absence(driver: GpuDriver) -> Finding:
    words = _lines(driver)
    if driver.platform is Platform.WSL:
        return Code.GPU_DRIVER_NOT_LOADED.found(
            "this is WSL, and Windows shows it no NVIDIA GPU",
            words,
            "install NVIDIA's driver in Windows, and none in WSL; then, in Windows, "
            "`wsl --update; wsl --shutdown`",
        )
    if driver.platform is Platform.JETSON:
        return _explain_jetson(driver)
    if not driver.pci:
        return Code.GPU_NONE.found(
            "this machine has no NVIDIA GPU, or shows none: the GPU part was not checked",
            words,
        )
    return Code.GPU_DRIVER_NOT_LOADED.found(
        "there is an NVIDIA GPU, but no device file: no program can use it",
        (*(f"PCI {address}" for address in driver.pci), *words),
        "start the container with its GPUs (`docker run --gpus all`; in Kubernetes a limit "
        "`nvidia.com/gpu: 1`)"
        if driver.module
        else _LOAD_MODULE,
    )


def _explain_jetson(driver: GpuDriver) -> Finding:
    return Code.GPU_JETSON.found(
        "this is a Jetson: its GPU is part of the processor, and its driver part of JetPack; what "
        "nvidia-smi would tell was not checked",
        driver.devices,
        "take a build of the program for Jetson (aarch64; Orin: sm87, Thor: sm110); a newer driver "
        "comes with a newer JetPack alone",
    )


# The driver ---------------------------------------------------------------------------------------


def _check_nodes(driver: GpuDriver) -> Iterator[Finding]:
    if driver.missing_nodes and driver.platform is None:
        yield Code.GPU_DEVICE_NODE_MISSING.found(
            f"there is a GPU, but no {' or '.join(driver.missing_nodes)}: CUDA does not start",
            driver.devices,
            "as root, `modprobe nvidia-uvm && nvidia-modprobe -u -c 0`; in a container, hand in "
            "the GPUs by `--gpus all` or by all of their device files",
        )


def _check_nvidia_smi(driver: GpuDriver) -> Iterator[Finding]:
    if driver.nvidia_smi is None and driver.platform is Platform.JETSON:
        yield _explain_jetson(driver)
    elif driver.nvidia_smi is None:
        branch = (driver.version or "").partition(".")[0]
        package = f"nvidia-utils-{branch}" if branch else "nvidia-utils"
        yield Code.GPU_NVIDIA_SMI_MISSING.found(
            "there is a GPU, but no nvidia-smi to ask: its compute capability was not checked",
            driver.devices,
            f"install the driver's tools (Debian: nvidia-smi; Ubuntu: {package}); in a container, "
            "set NVIDIA_DRIVER_CAPABILITIES=compute,utility when it is started",
        )
    elif driver.hindered_by:
        names = " ".join(driver.hindered_by)
        yield Code.GPU_NVIDIA_SMI_FAILED.found(
            f"{driver.nvidia_smi} fails with {names} as set, and answers without",
            _lines(driver),
            as_code(f"unset {names}"),
            severity=Severity.WARNING,
        )
    elif driver.failure:
        yield Code.GPU_NVIDIA_SMI_FAILED.found(
            f"{driver.nvidia_smi} fails: the driver does not work",
            (*_lines(driver), f"kernel module: {driver.module or 'not loaded'}"),
            "reboot the machine: then the kernel module and the driver's libraries are of one "
            "version again; in a container, start it again after that"
            if driver.module
            else _LOAD_MODULE,
        )


def _check_version(driver: GpuDriver, cuda: str) -> Iterator[Finding]:
    version = driver.version or ""
    if not _VERSION.fullmatch(version) or _is_compatibility(driver.libcuda):
        return
    of_major = _MINIMUM_OF_MAJOR.get(cuda.partition(".")[0])
    minimum = _MINIMUM_OF_ENVIRONMENTS.get(cuda, of_major)
    shipped = _DRIVER_OF_TOOLKIT.get(cuda)
    if of_major and minimum and numbers(version) < numbers(minimum):
        runs = numbers(version) >= numbers(of_major)
        yield Code.GPU_DRIVER_TOO_OLD.found(
            f"the driver is {version}; CUDA {cuda} runs from {of_major} on"
            + (f", and Flox' environments ask for {minimum}" if minimum != of_major else ""),
            _version_evidence(driver),
            f"install driver {shipped or minimum} or newer, with which CUDA {cuda} works whole, on "
            "the machine itself, not in a container, and reboot",
            severity=Severity.WARNING if runs else Severity.ERROR,
        )
    elif shipped and numbers(version) < numbers(shipped):
        yield Code.GPU_DRIVER_OLDER_THAN_TOOLKIT.found(
            f"the driver is {version}, older than the one of CUDA {cuda} ({shipped}): compiled "
            "kernels run, but it cannot compile that CUDA's PTX",
            _version_evidence(driver),
            'where a program fails with "the provided PTX was compiled with an unsupported '
            f'toolchain", install driver {shipped} or newer',
        )


def _is_compatibility(libcuda: str | None) -> bool:
    # NVIDIA's forward compatibility package: a newer libcuda on an older kernel module.
    return libcuda is not None and "compat" in libcuda.split("/")


def _version_evidence(driver: GpuDriver) -> tuple[str, ...]:
    source = "nvidia-smi" if driver.gpus else "/sys/module/nvidia/version"
    return (f"{source}: {driver.version}",)


# The GPUs -----------------------------------------------------------------------------------------


def _check_hidden(machine: Machine) -> Iterator[Finding]:
    visible = machine.variables.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return
    names, known = _split_visible(visible, machine.driver.gpus)
    # -1 behind others ends the list, on purpose.
    if len(known) < len(names) and not (known and names[len(known)] in _NO_GPU):
        yield Code.GPU_HIDDEN.found(
            f"CUDA_VISIBLE_DEVICES names {printable(names[len(known)])}, which is not there: "
            f"programs see no more than what stands before it ({len(known)})"
            if known
            else "CUDA_VISIBLE_DEVICES hides every GPU from programs",
            (f"CUDA_VISIBLE_DEVICES={visible}",),
            "`unset CUDA_VISIBLE_DEVICES`",
        )


def _split_visible(visible: str, gpus: Sequence[Gpu]) -> tuple[Sequence[str], Sequence[str]]:
    """Give the names in CUDA_VISIBLE_DEVICES, and those of them that CUDA takes."""
    names = list(filter(None, map(str.strip, visible.split(",")))) or [""]
    return names, list(itertools.takewhile(lambda name: _is_there(name, gpus), names))


def count_visible(machine: Machine) -> int:
    """Count the GPUs that programs see, of those that nvidia-smi tells."""
    visible, gpus = machine.variables.get("CUDA_VISIBLE_DEVICES"), machine.driver.gpus
    return len(gpus) if visible is None else len(_split_visible(visible, gpus)[1])


def _is_there(name: str, gpus: Sequence[Gpu]) -> bool:
    """Say whether there is such a GPU or MIG instance: CUDA takes none from the first that is not.

    CUDA C++ Programming Guide, "CUDA Environment Variables": a number, or the beginning of a UUID.
    What nvidia-smi does not tell is not judged.
    """
    if name in _NO_GPU:
        return False
    if re.fullmatch(r"-?[0-9]{1,9}", name):
        return int(name) >= 0 and (not gpus or int(name) < len(gpus))
    if name.startswith("MIG-"):
        return not gpus or any(gpu.is_split or not gpu.uuid for gpu in gpus)
    if name.startswith("GPU-"):
        return any(not gpu.uuid or gpu.uuid.startswith(name) for gpu in gpus) or not gpus
    return True


def _check_sharing(machine: Machine) -> Iterator[Finding]:
    gpus = [gpu for _, gpu in visible_gpus(machine)]
    split = [gpu for gpu in gpus if gpu.is_split]
    if split:
        yield Code.GPU_SPLIT.found(
            f"{', '.join(dict.fromkeys(gpu.name for gpu in split))}: split into MIG instances; a "
            "process sees one of them, with its part of the memory",
            tuple(gpu.description for gpu in split),
            "choose one of those that `nvidia-smi -L` lists: set CUDA_VISIBLE_DEVICES to its MIG-…",
        )
    closed = [gpu for gpu in gpus if gpu.mode == PROHIBITED]
    if closed:
        yield Code.GPU_PROHIBITED.found(
            f"{', '.join(dict.fromkeys(gpu.name for gpu in closed))}: in compute mode Prohibited, "
            "in which no program may use it",
            tuple(gpu.description for gpu in closed),
            f"as root, {as_code(' && '.join(map(_open, closed)))}",
            severity=Severity.WARNING if len(closed) < len(gpus) else Severity.ERROR,
        )
    held = [gpu for gpu in gpus if not gpu.is_split and _is_held(gpu)]
    if held:
        yield Code.GPU_MEMORY_HELD.found(
            "memory of the GPU is held already; if that is your server, all is well",
            tuple(f"{gpu.label}: {gpu.memory_used} of {gpu.memory} MiB" for gpu in held),
            "`nvidia-smi` lists who holds it: end that, or choose another GPU by "
            "CUDA_VISIBLE_DEVICES",
        )


def _open(gpu: Gpu) -> str:
    return f"nvidia-smi{f' -i {gpu.uuid}' if gpu.uuid else ''} -c DEFAULT"


def _is_held(gpu: Gpu) -> bool:
    # A server takes 0.85 to 0.9 of a GPU for itself; a desktop holds some hundred MiB.
    return bool(gpu.memory and gpu.memory_used and gpu.memory_used > gpu.memory // 10)


def _check_architecture(machine: Machine, package_name: str) -> Iterator[Finding]:
    built_for = list(_NAMED_SM.finditer(package_name))
    gpus = [
        (number, gpu) for number, gpu in visible_gpus(machine) if gpu.compute_capability is not None
    ]
    unfit = [gpu for _, gpu in gpus if not any(_runs(match, gpu) for match in built_for)]
    if not built_for or not unfit:
        return
    fit = [str(number) for number, gpu in gpus if gpu not in unfit]
    names = ", ".join(dict.fromkeys(gpu.name for gpu in unfit))
    yield Code.GPU_ARCHITECTURE_UNSUPPORTED.found(
        f"the program is built for {_sm_names(built_for)}, which does not run on {names}",
        (
            package_name,
            *(f"{gpu.label}: compute capability {gpu.compute_capability}" for gpu in unfit),
        ),
        f"`export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={','.join(fit)}`"
        if fit
        else _take_variant(package_name, built_for, unfit[0]),
        severity=Severity.WARNING if fit else Severity.ERROR,
    )


def _check_capability(machine: Machine, cuda: str) -> Iterator[Finding]:
    oldest = oldest_capability(cuda)
    gpus = [gpu for _, gpu in visible_gpus(machine) if gpu.compute_capability is not None]
    old = [gpu for gpu in gpus if oldest and numbers(_capability(gpu)) < numbers(oldest)]
    if old:
        yield Code.GPU_TOO_OLD.found(
            f"CUDA {cuda} compiles for compute capability {oldest} and newer",
            tuple(f"{gpu.label}: compute capability {gpu.compute_capability}" for gpu in old),
            "take a newer GPU, or a build of the program for an older CUDA",
            severity=Severity.WARNING if len(old) < len(gpus) else Severity.ERROR,
        )


def _check_codes(machine: Machine, cuda: str, codes: Sequence[str]) -> Iterator[Finding]:
    """Look whether nvcc compiles for the GPUs: JIT compilers name exactly theirs to it."""
    known = list(map(int, codes))
    gpus = [gpu for _, gpu in visible_gpus(machine) if gpu.compute_capability is not None]
    # One that is older than all of them is told elsewhere.
    unfit = [
        gpu
        for gpu in gpus
        if known and _architecture(gpu) not in known and _architecture(gpu) > min(known)
    ]
    if unfit:
        names = ", ".join(dict.fromkeys(f"{gpu.name} ({_capability(gpu)})" for gpu in unfit))
        yield Code.GPU_NEWER_THAN_TOOLKIT.found(
            f"nvcc of CUDA {cuda} does not compile for {names}: a kernel that is compiled while "
            "the program runs ends with 'Unsupported gpu architecture'",
            ("it compiles for " + ", ".join(f"sm_{code}" for code in codes),),
            "install a build of the program for a newer CUDA",
        )


def _architecture(gpu: Gpu) -> int:
    return int(_capability(gpu).replace(".", ""))


def _capability(gpu: Gpu) -> str:
    return gpu.compute_capability or ""


def visible_gpus(machine: Machine) -> Iterator[tuple[int, Gpu]]:
    """Give the GPUs and their numbers, as far as CUDA_VISIBLE_DEVICES lets programs see them.

    nvidia-smi numbers them by their place on the bus, and CUDA only if it is told to.
    """
    by_place = machine.variables.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    chosen = machine.variables.get("CUDA_VISIBLE_DEVICES", "").split(",")
    is_told = by_place and all(number.isdecimal() for number in chosen)
    for number, gpu in enumerate(machine.driver.gpus):
        if not is_told or str(number) in chosen:
            yield number, gpu


def _runs(built_for: re.Match[str], gpu: Gpu) -> bool:
    """Say whether machine code of that architecture runs on the GPU.

    CUDA C++ Programming Guide, "Binary Compatibility": on the same major version and the same or a
    later minor one; code of an architecture with an ``a`` on that one alone.
    """
    has = numbers(_capability(gpu))
    wants = (int(built_for["major"]), int(built_for["minor"]))
    return has == wants if built_for["only"] == "a" else has[:1] == wants[:1] and has >= wants


def _take_variant(package_name: str, built_for: Sequence[re.Match[str]], gpu: Gpu) -> str:
    wanted = "sm" + _capability(gpu).replace(".", "")
    first, last = built_for[0], built_for[-1]
    names = (
        f"{package_name[: first.start('sm')]}{variant}{package_name[last.end() :]}"
        for variant in (wanted, "all")
    )
    return f"install the variant for this GPU: {' or '.join(names)}"


def _sm_names(built_for: Sequence[re.Match[str]]) -> str:
    return ", ".join(match["sm"] for match in built_for)


# libcuda ------------------------------------------------------------------------------------------


def _check_libcuda(machine: Machine) -> Iterator[Finding]:
    driver = machine.driver
    if driver.libcuda is not None:
        return
    if driver.host_libcuda is None:
        remedy = (
            "install the driver's CUDA library (Debian: libcuda1; Ubuntu: libnvidia-compute); in a "
            "container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility when it is started"
        )
    else:
        remedy = _link_to_driver(os.path.dirname(driver.host_libcuda), driver.platform)
        if "FLOX_ENV" in machine.variables:
            remedy = _remedy_in_flox(machine.variables, remedy)
    yield Code.GPU_LIBCUDA_UNREACHABLE.found(
        "programs of the store do not find libcuda.so.1, the driver's library: to them there is "
        "no GPU",
        (
            f"the machine's: {driver.host_libcuda or 'not found either'}",
            f"LD_LIBRARY_PATH={machine.variables.get('LD_LIBRARY_PATH', '')}",
            f"LD_AUDIT={machine.variables.get('LD_AUDIT', '')}",
            "/run/opengl-driver/lib: not there, or without it",
        ),
        remedy,
    )


def _remedy_in_flox(variables: Mapping[str, str], link: str) -> str:
    # In run mode, the default of pods, Flox never sets LD_AUDIT: activating again changes nothing.
    if variables.get("FLOX_NOSET_LD_AUDIT"):
        return "`unset FLOX_NOSET_LD_AUDIT`, and activate the Flox environment again"
    if variables.get("LD_AUDIT"):
        return (
            "activate the Flox environment again; in its manifest, `cuda-detection` under "
            "[options] must not be false"
        )
    return (
        "run mode leaves the driver out: activate in dev mode, `flox activate --mode dev`, a pod "
        f'by the annotation `flox.dev/activate-mode: "dev"`; or stay in run mode, and {link}'
    )


# Those of WSL and Jetson load more of the driver's than libnvidia-*.
_DRIVER_FILES = {
    None: ("libcuda.so*", "libnvidia-*.so*"),
    Platform.WSL: ("libcuda.so*", "libnvidia-*.so*", "libdxcore.so"),
    Platform.JETSON: ("libcuda.so*", "libnv*.so*"),
}


def _link_to_driver(directory: str, platform: Platform | None) -> str:
    chosen = " -o ".join(f"-name '{name}'" for name in _DRIVER_FILES[platform])
    # Not the directory itself: its libc and libstdc++ would take the place of the closure's.
    place = "~/.cache/nvidia-driver"
    return as_code(
        f"mkdir -p {place} && find {shlex.quote(directory)} -maxdepth 1 "
        f"'(' {chosen} ')' -exec ln -sf -t {place} {{}} + && "
        f'export LD_LIBRARY_PATH={place}"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"'
    )


def _lines(driver: GpuDriver) -> tuple[str, ...]:
    return tuple(driver.failure.splitlines())
