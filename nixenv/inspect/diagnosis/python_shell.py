"""What the shell does to the program's Python: what leaks in, and what comes before it. Pure."""

import os
import shlex
from collections.abc import Collection, Iterator, Mapping

from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.environment import is_active
from nixenv.road.classify import Inventory
from nixenv.road.python import Interpreter
from nixenv.storepath import StorePath, enclosing_store_path
from nixenv.text import as_code

Variables = Mapping[str, str | None]

# So many modules are named of a directory that hides some of the closure's.
_SHOWN = 10


def check_shell(
    inventory: Inventory,
    variables: Variables,
    machine: Machine,
    export_command: str = "nixenv export",
    lost: Collection[StorePath] = (),
) -> Iterator[Finding]:
    """Judge the variables and programs that a Python started now would see.

    Args:
        inventory: What the closure offers.
        variables: The variables as the environment sets them; None for unset.
        machine: The machine and the variables as they are.
        export_command: What prints this environment for a shell.
        lost: The closure's store objects that are gone: what was in them is no stranger's.
    """
    interpreter, on_top = inventory.interpreter, inventory.on_top
    if interpreter is None or (on_top is not None and on_top.kept):
        return
    yield from _check_path_leak(inventory, interpreter, machine, export_command, lost)
    yield from _check_home_leak(interpreter, machine)
    if is_active(variables, machine.variables):
        yield from _check_user_site(variables, machine)
        yield from _check_shadow(interpreter, variables, machine)


def _check_path_leak(
    inventory: Inventory,
    interpreter: Interpreter,
    machine: Machine,
    export_command: str,
    lost: Collection[StorePath],
) -> Iterator[Finding]:
    ours = {os.path.normpath(part.directory) for part in inventory.site_packages}
    allowed = _flox_directories(interpreter, machine)
    path = machine.variables.get("PYTHONPATH")
    entries = path.split(os.pathsep) if path else []
    store_dir = os.path.dirname(inventory.root)
    is_ours = [
        os.path.normpath(entry) in ours or enclosing_store_path(entry, store_dir) in lost
        for entry in entries
    ]
    foreign = [
        number
        for number, entry in enumerate(entries)
        if not is_ours[number] and os.path.normpath(entry) not in allowed
    ]
    if foreign:
        is_first = any(is_ours[foreign[0] :]) or not any(is_ours)
        yield Code.PYTHON_PATH_LEAK.found(
            "PYTHONPATH holds what is not the program's; Python finds modules there "
            f"{'before' if is_first else 'after'} the program's own",
            tuple(_describe_entry(entries[number], machine) for number in foreign),
            as_code(f'unset PYTHONPATH; eval "$({export_command})"'),
        )


def _describe_entry(entry: str, machine: Machine) -> str:
    modules = [
        found.name
        for found in machine.foreign_files
        if (found.variable, found.entry) == ("PYTHONPATH", entry)
    ]
    more = [f"and {len(modules) - _SHOWN} more"] if len(modules) > _SHOWN else []
    held = f": has {', '.join([*modules[:_SHOWN], *more])}" if modules else ""
    return f"{entry or '(empty: the current directory)'}{held}"


def _flox_directories(interpreter: Interpreter, machine: Machine) -> set[str]:
    """Give the directories that Flox itself sets in dev mode: what is installed beside it."""
    version = interpreter.version
    homes = _flox_environments(machine)
    return {os.path.normpath(f"{home}/lib/python{version}/site-packages") for home in homes}


def _flox_environments(machine: Machine) -> list[str]:
    given = (machine.variables.get(name, "") for name in ("FLOX_ENV", "FLOX_ENV_DIRS"))
    return [home for home in os.pathsep.join(given).split(os.pathsep) if home]


def _check_home_leak(interpreter: Interpreter, machine: Machine) -> Iterator[Finding]:
    home = machine.variables.get("PYTHONHOME")
    if home and os.path.normpath(home) != interpreter.path:
        yield Code.PYTHON_HOME_LEAK.found(
            "PYTHONHOME is set: the program's Python takes its standard library from there, or "
            "does not start",
            (f"PYTHONHOME={home}",),
            "`unset PYTHONHOME`",
        )


def _check_user_site(variables: Variables, machine: Machine) -> Iterator[Finding]:
    is_virtualenv = bool(variables.get("VIRTUAL_ENV"))  # which has no user site
    if machine.user_site and not is_virtualenv and not machine.variables.get("PYTHONNOUSERSITE"):
        yield Code.PYTHON_USER_SITE_LEAK.found(
            "PYTHONNOUSERSITE is not set: the program's Python takes modules from the user's own "
            "directory",
            (machine.user_site,),
            "`export PYTHONNOUSERSITE=1`",
        )


def _check_shadow(
    interpreter: Interpreter, variables: Variables, machine: Machine
) -> Iterator[Finding]:
    exact = f"python{interpreter.version}"
    home = variables.get("VIRTUAL_ENV") or interpreter.path
    shadows = {
        name: machine.programs[name]
        for name in (exact, "python3")
        # Where the programs of Flox environments lead to is not known: it may be the same one.
        if name in machine.programs
        and not _is_in(machine.programs[name], home, *_flox_environments(machine))
    }
    is_ours = os.path.dirname(machine.python_target or "") == f"{interpreter.path}/bin"
    if is_ours and not variables.get("VIRTUAL_ENV"):
        shadows.pop(exact, None)
    if not shadows:
        return
    name, found = next(iter(shadows.items()))
    # A virtual environment on top may be there on purpose, made with the program's Python. And
    # what people type is not what a server is started with.
    is_mild = name != exact or _is_in(found, machine.variables.get("VIRTUAL_ENV", ""))
    yield Code.PYTHON_SHADOWED.found(
        f"{name} is not the program's: PATH finds another one first",
        (f"PATH finds {found}", f"the program's is {home}/bin/{name}"),
        "`deactivate`"
        if _is_in(found, machine.variables.get("VIRTUAL_ENV", ""))
        else as_code(f'export PATH={shlex.quote(f"{home}/bin")}:"$PATH"'),
        severity=Severity.WARNING if is_mild else Severity.ERROR,
    )


def _is_in(program: str, *homes: str) -> bool:
    directory = os.path.normpath(os.path.dirname(program))
    return any(directory == os.path.normpath(f"{home}/bin") for home in homes if home)
