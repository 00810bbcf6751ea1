"""What LD_LIBRARY_PATH and LD_PRELOAD make of the programs of the store. Pure."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence

from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding
from nixenv.text import as_code

# ld.so(8): the one is separated by colons or semicolons, the other by colons or spaces.
_SEPARATORS = {"LD_LIBRARY_PATH": "[:;]", "LD_PRELOAD": "[: ]"}


def check_loader(machine: Machine) -> Iterator[Finding]:
    """Judge what the loader is told to take, and what it says to that."""
    for name in _SEPARATORS:
        yield from _check_foreign(machine, name)
    yield from _check_preloads(machine)


def set_list(name: str, entries: Sequence[str]) -> str:
    """Write the command that leaves a path list with these entries alone."""
    value = shlex.quote(os.pathsep.join(entries))
    return as_code(f"export {name}={value}" if entries else f"unset {name}")


def list_unwanted(machine: Machine) -> set[str]:
    """Give the entries that have a finding: no remedy is to leave what another one takes away."""
    foreign = {found.entry for found in machine.foreign_files}
    return foreign | {refusal.file for refusal in machine.preloads.refused}


def _check_foreign(machine: Machine, name: str) -> Iterator[Finding]:
    files = [found for found in machine.foreign_files if found.variable == name]
    if files:
        yield Code.ENVIRONMENT_FOREIGN_ENTRIES.found(
            f"{name} has libraries of this machine: programs of the store load them instead of "
            "their own",
            tuple(f"{found.entry}/{found.name}".rstrip("/") for found in files),
            _leave_wanted(machine, name),
        )


def _check_preloads(machine: Machine) -> Iterator[Finding]:
    preloads = machine.preloads
    if preloads.failure:
        yield Code.PRELOAD_FATAL.found(
            "no program of the closure starts with LD_PRELOAD as it is set",
            (f"LD_PRELOAD={machine.variables.get('LD_PRELOAD', '')}", preloads.failure),
            "`unset LD_PRELOAD`",
        )
    elif preloads.refused:
        names = ", ".join(refusal.file for refusal in preloads.refused)
        yield Code.PRELOAD_IGNORED.found(
            f"LD_PRELOAD names {names}, which programs of the store cannot load: each of them says "
            "so when it starts, and does without",
            tuple(f"{refusal.file}: {refusal.reason}" for refusal in preloads.refused),
            _leave_wanted(machine, "LD_PRELOAD"),
        )


def _leave_wanted(machine: Machine, name: str) -> str:
    unwanted = list_unwanted(machine)
    entries = filter(None, re.split(_SEPARATORS[name], machine.variables.get(name, "")))
    # Stubs have a finding and a remedy of their own as well.
    wanted = (e for e in entries if os.path.basename(e.rstrip("/")) != "stubs")
    return set_list(name, [entry for entry in wanted if entry not in unwanted])
