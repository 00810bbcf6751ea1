"""The machine under the environment, as it is now: for people, who look for what is wrong.

``export`` does without it. Everything here may differ in the next minute and on the next machine;
a snapshot records it, so that whoever reads it sees what its sender saw.
"""

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import field, frozen

from nixenv.evidence.caches import (
    CacheContents,
    DirectoryState,
    look_into_caches,
    probe_directory,
)
from nixenv.evidence.gpu import GpuDriver, query_driver
from nixenv.evidence.limits import Limits, probe_limits
from nixenv.evidence.network import probe_interfaces
from nixenv.evidence.nvcc_flags import split_flags, take_ccbin
from nixenv.evidence.preload import Preloads, try_preloads
from nixenv.evidence.serving import Server
from nixenv.evidence.tools import ToolState, try_tools
from nixenv.kernel import describe_process, find_open, read_kernel_file
from nixenv.places import StoreDirInvalid, find_store_dir
from nixenv.ports import find_port_trouble
from nixenv.road.root import find_executable
from nixenv.road.variables import RECORD_VARIABLE
from nixenv.storepath import DEFAULT_STORE_DIR
from nixenv.text import mask_urls


@frozen
class PortState:
    """A TCP port that something will listen on.

    Attributes:
        variable: The variable that names it.
        port: Its number; 0 when the variable holds none.
        problem: Why it cannot be bound, in the system's words; empty when it can.
        taken: Whether another process listens there.
        holder: Who that is, ``python3.12 (pid 1234)``; empty when it cannot be told.
        free: The next port that is free; None when it was not looked for, or there is none near.
    """

    variable: str
    port: int
    problem: str
    taken: bool = False
    holder: str = ""
    free: int | None = None


@frozen
class ForeignFile:
    """What a search path offers from outside the store to compilers, linkers, the loader or Python.

    Attributes:
        variable: The search path.
        entry: The entry that offers it, as it stands there.
        name: The file, below the entry; of PYTHONPATH, the module.
    """

    variable: str
    entry: str
    name: str


@frozen
class Machine:
    """The machine and the variables of the process, as they are now.

    Attributes:
        architecture: ``x86_64``, as ``uname -m``.
        avx2: Whether the CPU has AVX2; None when that cannot be told.
        variables: Those of the variables that matter here, and only those (`RECORDED`, and the
            ones that the environment sets): a snapshot leaves this machine.
        programs: Which file PATH finds for each of a few programs, links not followed; those that
            are found.
        python_target: The file behind all links of the ``pythonX.Y`` among these.
        compiler_target: The same of the compiler that CC names, or of gcc where CC is not set; None
            where there is no such program.
        nvcc_compilers: The same of those that nvcc's variables name, by the variable: NVCC_CCBIN,
            CUDAHOSTCXX, and -ccbin in NVCC_PREPEND_FLAGS and NVCC_APPEND_FLAGS.
        user_site: The directory of the user's own modules for the closure's Python, where it
            exists and holds something; else None.
        tools: Whether the tools start that JIT compilers start.
        preloads: What becomes of LD_PRELOAD when a program of the closure starts.
        limits: What the system allows a process.
        interfaces: The network interfaces that run and have an address; none where that cannot be
            told.
        driver: The GPU's side.
        directories: The cache directories, and those that `WRITTEN` names.
        caches: What the cache directories hold.
        ports: The ports.
        foreign_files: What search paths offer from outside the store that may replace what the
            closure has.
        server: What the server is told to do; None where the program is no known server.
    """

    architecture: str
    avx2: bool | None = None
    variables: Mapping[str, str] = field(factory=dict)
    programs: Mapping[str, str] = field(factory=dict)
    python_target: str | None = None
    compiler_target: str | None = None
    nvcc_compilers: Mapping[str, str] = field(factory=dict)
    user_site: str | None = None
    tools: tuple[ToolState, ...] = ()
    preloads: Preloads = field(factory=Preloads)
    limits: Limits = field(factory=Limits)
    interfaces: tuple[str, ...] = ()
    driver: GpuDriver = field(factory=GpuDriver)
    directories: tuple[DirectoryState, ...] = ()
    caches: CacheContents = field(factory=CacheContents)
    ports: tuple[PortState, ...] = ()
    foreign_files: tuple[ForeignFile, ...] = ()
    server: Server | None = None


RECORDED = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
    *("CUDA_HOME", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "NVCC_CCBIN", "CUDAHOSTCXX"),
    *("CC", "CXX", "FLOX_ENV", "FLOX_ENV_CACHE", "FLOX_ENV_DIRS", "HOME", "XDG_CACHE_HOME"),
    *("LD_AUDIT", "FLOX_NOSET_LD_AUDIT", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),
    *("NIX_CFLAGS_COMPILE", "NIX_LDFLAGS", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH"),
    *("GCC_EXEC_PREFIX", "TRITON_PTXAS_PATH", "TRITON_CUOBJDUMP_PATH", "TRITON_NVDISASM_PATH"),
    *("FLASHINFER_NVCC", "PYTORCH_NVCC", "CUDACXX"),
    *("CONDA_PREFIX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"),
    *("TORCH_CUDA_ARCH_LIST", "FLASHINFER_CUDA_ARCH_LIST", RECORD_VARIABLE),
    *("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"),
)
"""The variables that are recorded whatever the environment sets."""

WRITTEN = (
    *("TMPDIR", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "TORCH_HOME"),
    *("CUDA_CACHE_PATH", "TRITON_HOME", "NUMBA_CACHE_DIR", "CUPY_CACHE_DIR"),
)
"""The variables by which users say where programs write, whatever the profile sets."""

_PROGRAMS = (
    *("python3", "nvcc", "ninja", "gcc", "g++", "cc", "c++"),
    *("nvidia-smi", "nix-store"),
)

# What a closure of a CUDA program has itself, and what takes its place when a search path comes
# first: CPATH before a compiler's own directories, LD_LIBRARY_PATH before a library's RUNPATH.
_FOREIGN_NAMES = {
    "CPATH": ("cuda_runtime.h", "nv/target", "cublasLt.h", "Python.h", "stdlib.h"),
    "LIBRARY_PATH": ("libcudart.so", "libcublasLt.so", "libstdc++.so", "libc.so"),
    "LD_LIBRARY_PATH": (
        *("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1"),
        *("libcudart.so.11.0", "libcudart.so.12", "libcudart.so.13"),
        *("libcublas.so.11", "libcublas.so.12", "libcublas.so.13"),
        *("libcudnn.so.8", "libcudnn.so.9", "libnccl.so.2"),
    ),
}

_PORT = re.compile(r"[0-9]{1,5}")

# Where to look for a free port, and how far.
_FIRST_UNPRIVILEGED = 1024
_NEAR = 100


def probe_machine(
    environ: Mapping[str, str],
    names: Collection[str],
    python: str | None,
    directories: Mapping[str, str],
    ports: Mapping[str, str],
    host: str = "",
    modules: Collection[str] = (),
    libraries: Collection[str] = (),
    interpreter: str | None = None,
) -> Machine:
    """Look at the machine; nothing is left behind, and nothing is kept busy.

    Args:
        environ: The variables of the process.
        names: The variables that the environment sets.
        python: The closure's Python, ``3.12``, if known.
        directories: The cache directories, by the variables that name them.
        ports: What the variables hold that name ports.
        host: The address that will be listened on; empty for all.
        modules: The closure's top-level modules, to look for what hides them.
        libraries: The names by which the loader knows the toolkit's libraries, likewise.
        interpreter: The closure's, to see what its loader makes of LD_PRELOAD.
    """
    architecture = os.uname().machine
    programs = dict(_find_programs(environ, python))
    own = programs.get(f"python{python}")
    return Machine(
        architecture=architecture,
        avx2=parse_avx2(read_kernel_file("/proc/cpuinfo"))
        if architecture in ("x86_64", "i686")
        else None,
        variables=select_variables(environ, names),
        programs=programs,
        python_target=os.path.realpath(own) if own else None,
        compiler_target=_find_compiler(environ),
        nvcc_compilers=dict(_find_nvcc_compilers(environ)),
        user_site=_find_user_site(environ, python) if python else None,
        tools=tuple(try_tools(environ)),
        preloads=try_preloads(environ, interpreter) if interpreter else Preloads(),
        limits=probe_limits(),
        interfaces=probe_interfaces(),
        driver=query_driver(environ),
        directories=tuple(
            probe_directory(variable, path)
            for variable, path in {**directories, **_given_directories(environ)}.items()
            if path
        ),
        caches=look_into_caches(directories),
        ports=tuple(_try_port(variable, text, host) for variable, text in ports.items()),
        foreign_files=(
            *_find_foreign_files(environ, libraries),
            *_find_preloaded(environ, libraries),
            *_find_foreign_modules(environ, modules),
        ),
    )


def select_variables(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Take those that are recorded, and those with these names. Pure."""
    wanted = sorted({*RECORDED, *names} & environ.keys())
    return {name: mask_urls(environ[name]) for name in wanted}


def parse_avx2(cpuinfo: str) -> bool | None:
    """Read whether the CPU has AVX2 off the text of ``/proc/cpuinfo``. Pure.

    >>> parse_avx2("processor : 0\\nflags : fpu sse2 avx avx2 bmi2\\n")
    True
    """
    for line in cpuinfo.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return "avx2" in flags.split()
    return None


def parse_listeners(table: str, port: int) -> tuple[tuple[str, str], ...]:
    """Read who listens on a port off the text of ``/proc/net/tcp`` or ``tcp6``. Pure.

    Gives the inode of each socket and the number of its user. A line looks like
    ``0: 0100007F:7530 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 4242 …``,
    with the local address and port in hexadecimal, the state (0A: it listens), user and inode.
    """
    rows = (line.split() for line in table.splitlines())
    return tuple(
        (row[9], row[7])
        for row in rows
        if len(row) > 9 and row[3] == "0A" and row[1].endswith(f":{port:04X}")
    )


# Programs and search paths ------------------------------------------------------------------------


def _find_programs(environ: Mapping[str, str], python: str | None) -> Iterator[tuple[str, str]]:
    search_path = environ.get("PATH", "")
    # CC and CXX may be names, which PATH then finds.
    given = (environ.get("CC", ""), environ.get("CXX", ""))
    wanted = [*_PROGRAMS, *([f"python{python}"] if python else []), *given]
    for name in dict.fromkeys(name for name in wanted if name and "/" not in name):
        found = find_executable(name, search_path)
        if found is not None:
            yield name, found


def _find_compiler(environ: Mapping[str, str]) -> str | None:
    # CC may have arguments.
    name = (environ.get("CC") or "gcc").split(maxsplit=1)[:1]
    found = find_executable(name[0], environ.get("PATH", "")) if name else None
    return os.path.realpath(found) if found else None


def _given_directories(environ: Mapping[str, str]) -> dict[str, str]:
    given = {name: environ.get(name, "") for name in WRITTEN}
    return {name: path for name, path in given.items() if path.startswith("/")}


def _find_nvcc_compilers(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in ("NVCC_CCBIN", "CUDAHOSTCXX", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"):
        value = environ.get(variable, "")
        named = take_ccbin(split_flags(value))[0] if variable.endswith("FLAGS") else value
        # nvcc takes a directory, too, and calls the gcc in it.
        program = os.path.join(named, "gcc") if named and os.path.isdir(named) else named
        found = find_executable(program, environ.get("PATH", "")) if program else None
        if found:
            yield variable, os.path.realpath(found)


def _find_user_site(environ: Mapping[str, str], python: str) -> str | None:
    # As the module `site` of that Python has it.
    base = environ.get("PYTHONUSERBASE") or os.path.join(environ.get("HOME", ""), ".local")
    directory = os.path.join(base, f"lib/python{python}/site-packages")
    try:
        return directory if directory.startswith("/") and os.listdir(directory) else None
    except (OSError, ValueError):
        return None


def _find_foreign_files(
    environ: Mapping[str, str], libraries: Collection[str]
) -> Iterator[ForeignFile]:
    store_dir = os.path.realpath(_store_dir(environ))
    loaded = {"LD_LIBRARY_PATH": (*_FOREIGN_NAMES["LD_LIBRARY_PATH"], *sorted(libraries))}
    for variable, names in {**_FOREIGN_NAMES, **loaded}.items():
        for entry in dict.fromkeys(re.split("[:;]", environ.get(variable, ""))):
            for name in dict.fromkeys(names) if entry.startswith("/") else ():
                # A profile or a Flox environment is a directory of links into the store.
                file = os.path.realpath(os.path.join(entry, name))
                if os.path.isfile(file) and not file.startswith(f"{store_dir}/"):
                    yield ForeignFile(variable, entry, name)


def _find_preloaded(
    environ: Mapping[str, str], libraries: Collection[str]
) -> Iterator[ForeignFile]:
    """Find what LD_PRELOAD names file by file: the entry is the file, and has no name below it."""
    store_dir = os.path.realpath(_store_dir(environ))
    names = {*_FOREIGN_NAMES["LD_LIBRARY_PATH"], *libraries}
    for entry in dict.fromkeys(re.split("[: ]", environ.get("LD_PRELOAD", ""))):
        is_ours = os.path.realpath(entry).startswith(f"{store_dir}/")
        if os.path.basename(entry) in names and os.path.isfile(entry) and not is_ours:
            yield ForeignFile("LD_PRELOAD", entry, "")


def _find_foreign_modules(
    environ: Mapping[str, str], modules: Collection[str]
) -> Iterator[ForeignFile]:
    store_dir = os.path.realpath(_store_dir(environ))
    for entry in dict.fromkeys(environ.get("PYTHONPATH", "").split(os.pathsep)):
        if entry.startswith("/") and not os.path.realpath(entry).startswith(f"{store_dir}/"):
            for module in sorted(modules):
                if any(os.path.exists(f"{entry}/{module}{end}") for end in ("", ".py")):
                    yield ForeignFile("PYTHONPATH", entry, module)


def _store_dir(environ: Mapping[str, str]) -> str:
    try:
        return find_store_dir(environ)
    except StoreDirInvalid:
        return DEFAULT_STORE_DIR


# Ports --------------------------------------------------------------------------------------------


def _try_port(variable: str, text: str, host: str) -> PortState:
    port = int(text) if _PORT.fullmatch(text) else 0
    if not 1 <= port <= 65_535:
        return PortState(variable, 0, f"{text!r} is no port: a whole number from 1 to 65535")
    error = find_port_trouble(host, port)
    if error is None:
        return PortState(variable, port, "")
    is_taken = error.errno == errno.EADDRINUSE
    return PortState(
        variable,
        port,
        error.strerror or str(error),
        taken=is_taken,
        holder=_find_holder(port) if is_taken else "",
        # Where the address is at fault, no other port would help.
        free=_find_free_port(host, port) if is_taken or error.errno == errno.EACCES else None,
    )


def _find_free_port(host: str, port: int) -> int | None:
    first = max(port + 1, _FIRST_UNPRIVILEGED)
    near = range(first, min(first + _NEAR, 65_536))
    return next((other for other in near if find_port_trouble(host, other) is None), None)


def _find_holder(port: int) -> str:
    """Name the process that listens, or at least its user where that is not ours to see."""
    listeners = [
        listener
        for table in ("tcp", "tcp6")
        for listener in parse_listeners(read_kernel_file(f"/proc/net/{table}"), port)
    ]
    if not listeners:
        return ""
    holders = find_open(f"socket:[{inode}]" for inode, _ in listeners).values()
    for pid in holders:
        return describe_process(pid)
    return f"a process of user {listeners[0][1]}"
