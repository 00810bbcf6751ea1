"""Whether the variables are as they should be, and the machine can take what they name. Pure."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from nixenv.evidence.machine import Machine, PortState
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.caches import check_caches
from nixenv.inspect.diagnosis.loader import check_loader, set_list
from nixenv.road.plan import VARIABLE_LIMIT, variable_size
from nixenv.road.record import ActivationRecord
from nixenv.storepath import StorePath, store_name
from nixenv.text import as_code

_DECISIVE = ("CUDA_HOME", "PYTHONPATH", "VIRTUAL_ENV")
"""Who has one of these as it should be has activated the environment."""

_PATH_LISTS = ("PATH", "PYTHONPATH", "CPATH", "LIBRARY_PATH")

# What else stands in these, and what has to be unset, is judged in `diagnosis.python`.
_JUDGED_ELSEWHERE = ("PYTHONHOME", "PYTHONNOUSERSITE")

_NEAR_LIMIT = VARIABLE_LIMIT * 3 // 4

_ENTRIES_SHOWN = 5

# What a closure may lack and somebody adds on purpose; a C library and a compiler's headers it has.
_CUDA_FILES = frozenset(
    ("cuda_runtime.h", "nv/target", "cublasLt.h", "libcudart.so", "libcublasLt.so")
)

_FOREIGN_EFFECTS = {
    "CPATH": "compilers take these headers",
    "LIBRARY_PATH": "programs are linked with these libraries",
}


def check_environment(
    variables: Mapping[str, str | None],
    machine: Machine,
    store_dir: str,
    package_name: str,
    export_command: str = "nixenv export",
    closure_files: Collection[str] = _CUDA_FILES,
    *,
    earlier: ActivationRecord | None = None,
) -> Iterator[Finding]:
    """Judge the variables of the process, and the directories, ports and CPU that they rely on.

    Args:
        variables: What each variable should be, None for unset, worked out from the present ones.
        machine: The machine as it is.
        store_dir: The store directory.
        package_name: The root's store name, which may tell what CPU it was built for.
        export_command: What prints this environment for a shell.
        closure_files: The names of CUDA's headers and libraries that the closure has itself.
        earlier: The record of another program's activation, which this one's takes back.
    """
    activate = f'eval "$({export_command})"'
    now = machine.variables
    if is_active(variables, now):
        yield from _check_drift(variables, now, activate)
    elif earlier is not None:
        yield _explain_earlier(earlier, now, package_name, activate)
    else:
        yield _explain_inactivity(variables, now, activate)
    yield from _check_foreign_files(machine, store_dir, _CUDA_FILES.difference(closure_files))
    yield from check_loader(machine)
    yield from _check_sizes(variables, store_dir, export_command)
    yield from check_caches(variables, machine, export_command)
    for port in machine.ports:
        yield from _check_port(port, activate)
    yield from _check_cpu(machine, package_name)


# Drift --------------------------------------------------------------------------------------------


def is_active(variables: Mapping[str, str | None], now: Mapping[str, str]) -> bool:
    """Whether this is a shell of the environment, be it in order or not.

    Args:
        variables: What each variable should be, None for unset, worked out from the present ones.
        now: The present ones.
    """
    return any(_holds(name, variables.get(name), now.get(name)) for name in _decisive(variables))


def _decisive(variables: Mapping[str, str | None]) -> Sequence[str]:
    # Other environments have the same tools on PATH: it decides where there is nothing else.
    return [name for name in _DECISIVE if variables.get(name)] or ["PATH"]


def _holds(name: str, wanted: str | None, held: str | None) -> bool:
    if name in _PATH_LISTS:
        return not _missing(wanted, held)
    return held == wanted


def _explain_inactivity(
    variables: Mapping[str, str | None], now: Mapping[str, str], activate: str
) -> Finding:
    return Code.ENVIRONMENT_NOT_ACTIVE.found(
        "the environment is not active in this shell",
        tuple(
            line
            for name in _decisive(variables)
            for line in _compare(name, variables.get(name), now.get(name))
        ),
        as_code(activate),
    )


def _explain_earlier(
    earlier: ActivationRecord, now: Mapping[str, str], package_name: str, activate: str
) -> Finding:
    shown = (f"active: {earlier.root}", f"meant: {package_name}")
    # A program's own environment, `$FLOX_ENV`, may lead to another store object after an upgrade.
    is_same = earlier.environment == now.get("FLOX_ENV", "")
    if is_same and _stem(store_name(StorePath(earlier.root))) == _stem(package_name):
        return Code.ENVIRONMENT_OUTDATED.found(
            "the program was replaced since this shell was activated: what is set is that of the "
            "former one",
            shown,
            f"activate again, or {as_code(activate)}",
        )
    return Code.ENVIRONMENT_NOT_ACTIVE.found(
        "the environment of another program is active in this shell", shown, as_code(activate)
    )


def _stem(name: str) -> str:
    """Give a store name without its version."""
    return re.sub(r"-[0-9][^-]*$", "", name)


def _check_drift(
    variables: Mapping[str, str | None], now: Mapping[str, str], activate: str
) -> Iterator[Finding]:
    drifted = {
        name: _compare(name, wanted, now.get(name))
        for name, wanted in variables.items()
        if name not in _JUDGED_ELSEWHERE and _has_drifted(name, wanted, now.get(name))
    }
    if drifted:
        yield Code.ENVIRONMENT_DRIFT.found(
            f"changed since the environment was activated: {', '.join(drifted)}",
            tuple(line for lines in drifted.values() for line in lines),
            as_code(activate),
        )


def _has_drifted(name: str, wanted: str | None, held: str | None) -> bool:
    """Say whether a variable lacks what is ours.

    What others add to a path list is theirs to add; where it does harm, it has findings of its own.
    """
    if name not in _PATH_LISTS:
        return held != wanted
    if wanted is None:
        return False
    return bool(_missing(wanted, held)) or (name == "PYTHONPATH" and _is_reordered(wanted, held))


def _is_reordered(wanted: str, held: str | None) -> bool:
    ours = _entries(wanted)
    kept = set(ours)
    return [entry for entry in _entries(held) if entry in kept] != list(ours)


def _compare(name: str, wanted: str | None, held: str | None) -> tuple[str, ...]:
    if name not in _PATH_LISTS or held is None or wanted is None:
        return (f"{name} is {_shown(name, held)}", f"{name} should be {_shown(name, wanted)}")
    missing = _missing(wanted, held)
    if not missing:
        return (f"{name} has its entries in another order",)
    more = len(missing) - _ENTRIES_SHOWN
    return (
        *(f"{name} lacks {entry}" for entry in missing[:_ENTRIES_SHOWN]),
        *([f"{name} lacks {more} more"] if more > 0 else []),
    )


def _shown(name: str, value: str | None) -> str:
    if value is None:
        return "unset"
    entries = _entries(value)
    if name in _PATH_LISTS and len(entries) > 1:
        return f"{entries[0]} and {len(entries) - 1} more entries"
    return value or "empty"


def _missing(wanted: str | None, held: str | None) -> tuple[str, ...]:
    there = set(_entries(held))
    return tuple(entry for entry in _entries(wanted) if entry not in there)


def _entries(value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (value or "").split(os.pathsep))))


# What comes from elsewhere ------------------------------------------------------------------------


def _check_foreign_files(
    machine: Machine, store_dir: str, lacking: Collection[str]
) -> Iterator[Finding]:
    for name, effect in _FOREIGN_EFFECTS.items():
        entries = _entries(machine.variables.get(name))
        ours = [entry for entry in entries if entry.startswith(f"{store_dir}/")]
        ahead = entries[: entries.index(ours[0])] if ours else ()
        files = [
            found
            for found in machine.foreign_files
            if found.variable == name and found.name not in lacking
        ]
        first = tuple(f"{found.entry}/{found.name}" for found in files if found.entry in ahead)
        later = tuple(f"{found.entry}/{found.name}" for found in files if found.entry not in ahead)
        foreign = {found.entry for found in files}
        remedy = set_list(name, [entry for entry in entries if entry not in foreign])
        if first:
            yield Code.ENVIRONMENT_FOREIGN_ENTRIES.found(
                f"{name} has directories of this machine before the closure's: {effect}",
                first,
                remedy,
            )
        elif later:
            yield Code.ENVIRONMENT_FOREIGN_ENTRIES.found(
                f"{name} has directories of this machine; where the closure lacks a part, {effect}",
                later,
                remedy,
                severity=Severity.NOTE,
            )


# Sizes, ports, CPU --------------------------------------------------------------------------------


def _check_sizes(
    variables: Mapping[str, str | None], store_dir: str, export_command: str
) -> Iterator[Finding]:
    for name, value in variables.items():
        size = variable_size(name, value or "")
        if not _NEAR_LIMIT < size <= VARIABLE_LIMIT:
            continue  # what is longer stops the export, and is said there
        ours = sum(len(e) for e in _entries(value) if e.startswith(f"{store_dir}/"))
        linked = f'eval "$({export_command} --layout linked)"'
        if name == "PATH":
            remedy = "take entries off PATH where they are added: ours are a handful"
        elif 2 * ours > size:
            remedy = f"in a new shell, {as_code(linked)}"
        elif name in _PATH_LISTS:
            remedy = as_code(f'unset {name}; eval "$({export_command})"')
        else:
            remedy = f"give {name} a shorter value"
        yield Code.VALUE_NEAR_LIMIT.found(
            f"{name} has {size} bytes; Linux passes on no more than {VARIABLE_LIMIT}",
            (f"{name}: {len(_entries(value))} entries, {ours} bytes in {store_dir}",)
            if name in _PATH_LISTS
            else (),
            remedy,
        )


def _check_port(port: PortState, activate: str) -> Iterator[Finding]:
    if not port.problem:
        return
    if port.port == 0:
        yield Code.PORT_INVALID.found(
            f"{port.variable}: {port.problem}",
            (),
            as_code(f"unset {port.variable}; {activate}"),
        )
    elif port.taken:
        yield Code.PORT_IN_USE.found(
            f"port {port.port} ({port.variable}) is taken; if that is your server, all is well",
            (f"who listens: {port.holder or 'it cannot be told'}",),
            as_code(f"export {port.variable}={port.free}")
            if port.free is not None
            else f"set {port.variable} to another port",
        )
    else:
        yield Code.PORT_UNAVAILABLE.found(
            f"port {port.port} ({port.variable}) cannot be listened on: {port.problem}",
            (),
            as_code(f"export {port.variable}={port.free}")
            if port.free is not None
            else "set the server's host to an address of this machine, or to 0.0.0.0",
        )


def _check_cpu(machine: Machine, package_name: str) -> Iterator[Finding]:
    if machine.avx2 is False and "avx2" in package_name.split("-"):
        yield Code.CPU_NO_AVX2.found(
            "the program is built for CPUs with AVX2, and this one has none",
            (package_name, "no avx2 among the flags in /proc/cpuinfo"),
            "in a virtual machine, give it the CPU of its host (QEMU: `-cpu host`); on any other "
            "machine, install a variant that is not built for AVX2",
        )
