"""Whether nvcc accepts the host compilers that it is given, or takes by itself. Pure."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nixenv.evidence.machine import Machine
from nixenv.evidence.nvcc_flags import ALLOW_UNSUPPORTED, split_flags, take_ccbin
from nixenv.findings import Code, Finding
from nixenv.inspect.diagnosis.cuda_packages import install_tool
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.host_compiler import gcc_release
from nixenv.road.probe import Probe
from nixenv.storepath import enclosing_store_path, store_name
from nixenv.text import as_code

# gcc-14 and x86_64-linux-gnu-gcc-14 of other systems
_GCC = re.compile(r"(?:[a-z0-9_]+-linux-gnu-)?(?:gcc|g\+\+)-(?P<major>[0-9]{1,3})")


# nvcc takes the last -ccbin; a JIT compiler's own stands before these flags.
_ALWAYS = "NVCC_APPEND_FLAGS"


class _Given(NamedTuple):
    """A compiler that nvcc is given, the variable that names it, and how to do without."""

    program: str
    variable: str
    undo: str


def check_host_compilers(
    probe: Probe, inventory: Inventory, toolkit: CudaToolkit, machine: Machine | None
) -> Iterator[Finding]:
    """Judge CC, which JIT compilers hand to nvcc, and what nvcc's own variables name.

    Args:
        probe: The notes on the closure.
        inventory: What was chosen from it.
        toolkit: The toolkit.
        machine: The machine as it is now, if known.
    """
    given = _find_given(machine)
    compiler = None if _is_always(given) else _find_handed_over(inventory, machine)
    if compiler is None and not _is_always(given):
        yield _explain_no_compiler(inventory, toolkit, machine)
    if _allows_any(machine) or toolkit.newest_gcc is None:
        return
    if compiler is not None:
        remedy = _take_older_gcc(probe, inventory, toolkit.newest_gcc)
        yield from _refuse(toolkit, inventory, _Given(compiler, "", remedy))
    for one in given:
        yield from _refuse(toolkit, inventory, one)


def find_refused_variables(inventory: Inventory, machine: Machine) -> frozenset[str]:
    """Name the variables of nvcc that name a gcc which it refuses, as the check above finds."""
    toolkit = inventory.cuda
    if toolkit is None or _allows_any(machine):
        return frozenset()
    given = _find_given(machine)
    return frozenset(one.variable for one in given if any(_refuse(toolkit, inventory, one)))


def _find_given(machine: Machine | None) -> tuple[_Given, ...]:
    """Give what nvcc's variables name, as far as it counts."""
    given = tuple(_list_given(machine)) if machine is not None else ()
    always = tuple(one for one in given if one.variable == _ALWAYS)
    return always or given


def _is_always(given: Sequence[_Given]) -> bool:
    return any(one.variable == _ALWAYS for one in given)


def _list_given(machine: Machine) -> Iterator[_Given]:
    """Give what nvcc's variables name: flags, NVCC_CCBIN, and CMake's CUDAHOSTCXX."""
    for variable, program in machine.nvcc_compilers.items():
        value = machine.variables.get(variable, "")
        rest = take_ccbin(split_flags(value))[1] if variable.endswith("FLAGS") else ()
        undo = f"export {variable}={shlex.quote(shlex.join(rest))}" if rest else f"unset {variable}"
        yield _Given(program, variable, as_code(undo))


def _refuse(toolkit: CudaToolkit, inventory: Inventory, given: _Given) -> Iterator[Finding]:
    version = _gcc_version(given.program, inventory)
    newest = toolkit.newest_gcc
    if version is not None and newest is not None and version > newest:
        source = f", which {given.variable} names" if given.variable else ""
        yield Code.CUDA_HOST_COMPILER_TOO_NEW.found(
            f"nvcc of CUDA {toolkit.version} refuses gcc {version}{source}; gcc {newest} is its "
            "newest",
            (given.program, f"{toolkit.home}/bin/nvcc"),
            given.undo,
        )


def _allows_any(machine: Machine | None) -> bool:
    variables = machine.variables if machine is not None else {}
    flags = (variables.get(name, "") for name in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"))
    return any(not ALLOW_UNSUPPORTED.isdisjoint(split_flags(text)) for text in flags)


def _find_handed_over(inventory: Inventory, machine: Machine | None) -> str | None:
    """Give what JIT compilers hand to nvcc: CC, else the closure's compiler."""
    given = machine is not None and machine.variables.get("CC")
    if inventory.host_compiler is not None and not given:
        return inventory.host_compiler.cc
    return machine.compiler_target if machine is not None else None


def _gcc_version(program: str, inventory: Inventory) -> int | None:
    """Read gcc's major version off the path of the program; None when it does not tell."""
    holder = enclosing_store_path(program, os.path.dirname(inventory.root))
    if holder is not None:
        release = gcc_release(holder)
        return release[0] if release else None
    match = _GCC.fullmatch(os.path.basename(program))
    return int(match["major"]) if match else None


def _take_older_gcc(probe: Probe, inventory: Inventory, newest: int) -> str:
    wrappers = {
        found.path: version
        for found in probe.objects
        if {"gcc", "g++"} <= set(found.programs)
        # gcc itself, which a wrapper names, knows neither the C library nor the linker.
        and store_name(found.path).startswith("gcc-wrapper-")
        and (version := _gcc_version(f"{found.path}/bin/gcc", inventory)) is not None
        and version <= newest
    }
    if wrappers:
        best = max(wrappers, key=wrappers.__getitem__)
        return _set_compiler(f"{best}/bin/gcc", f"{best}/bin/g++")
    return _install_compiler(newest)


def _explain_no_compiler(
    inventory: Inventory, toolkit: CudaToolkit, machine: Machine | None
) -> Finding:
    newest = toolkit.newest_gcc
    given = machine.variables.get("CC") if machine is not None else None
    if not given:
        summary = "no gcc in the closure, in CC or on PATH; nvcc and triton call one"
        remedy = install_tool("gcc", f"gcc{newest or ''}")
    else:
        summary = "CC names no program; nvcc and triton call it"
        compiler = inventory.host_compiler
        remedy = _set_compiler(compiler.cc, compiler.cxx) if compiler else _install_compiler(newest)
    evidence = (f"CC={given}",) if given else ()
    return Code.CUDA_NO_HOST_COMPILER.found(summary, evidence, remedy)


def _set_compiler(cc: str, cxx: str) -> str:
    return as_code(f"export CC={shlex.quote(cc)} CXX={shlex.quote(cxx)}")


def _install_compiler(newest: int | None) -> str:
    line = install_tool("gcc", f"gcc{newest or ''}")
    return (
        f"{line}; and above nixenv's line in the hook put "
        '`export CC="$FLOX_ENV/bin/gcc" CXX="$FLOX_ENV/bin/g++"`'
    )
