"""The closure's Python: the program itself, and the launchers that triton compiles for it."""

import shlex
from collections.abc import Iterator

from nixenv.files import write_atomically
from nixenv.prove.sources import LAUNCHER
from nixenv.prove.steps import Part, State, Step
from nixenv.prove.toolchain import launcher_command
from nixenv.prove.workshop import Workshop, ask_inside, judge_inside, not_tried, run_command
from nixenv.road.root import find_executable


def try_import(workshop: Workshop, program: str | None) -> Step:
    """Import the module in which the program begins."""
    title = f"import what {program or 'the program'} begins with"
    if workshop.python is None:
        return not_tried(Part.IMPORT, title, "the environment has no Python")
    if program is None:
        return not_tried(Part.IMPORT, title, "the root names no program")
    found, seconds = ask_inside(workshop, "import", program)
    told = f"{found.get('module')}, from {found.get('file')}"
    return judge_inside(workshop, Part.IMPORT, title, found, seconds, told)


def try_launcher(workshop: Workshop) -> Iterator[Step]:
    """Compile and import a launcher, with CC, else gcc, else clang, as triton does."""
    title = "compile a launcher as triton does"
    asked = ask_inside(workshop, "describe")[0] if workshop.python else {}
    if not asked.get("triton_include"):
        yield not_tried(Part.LAUNCHER, title, "there is no triton here")
        return
    write_atomically(workshop.path("launcher.c"), LAUNCHER)
    target = f"nixenv_launcher{asked['suffix']}"
    headers = (str(asked["triton_include"]), str(asked["python_include"]))
    command = launcher_command(
        _compiler(workshop), workshop.path("launcher.c"), workshop.path(target), headers
    )
    compiled = run_command(workshop, Part.LAUNCHER, title, command, makes=(target,))
    yield compiled
    if compiled.state is State.PASSED:
        found, seconds = ask_inside(workshop, "launcher", workshop.directory)
        told = f"it counts {found.get('devices')} GPUs"
        yield judge_inside(workshop, Part.LAUNCHER, "import the launcher", found, seconds, told)


def _compiler(workshop: Workshop) -> list[str]:
    search_path = workshop.environ.get("PATH", "")
    usual = (name for name in ("gcc", "clang") if find_executable(name, search_path))
    return shlex.split(workshop.environ.get("CC") or next(usual, "gcc"))
