"""Launchers of many steps in many store objects, against a small interpreter of their grammar.

The interpreter runs the steps as they are meant; the reader under test sees them as files.
"""

import os
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.road.launcher import read_launcher
from tests.closures import store_path
from tests.road.test_launcher import ELF, STORE, Disk, look_at, recipe

PYTHON = store_path("python3-3.12.12")
ENVIRONMENTS = tuple(store_path(f"python3-3.12.12-env-{n}") for n in range(2))
LIBRARIES = tuple(f"{store_path(f'lib{n}')}/lib/python3.12/site-packages" for n in range(5))
SITE = "lib/python3.12/site-packages"


@frozen
class Step:
    """One step of a launcher, as it is meant.

    Attributes:
        kind: ``shell``, ``compiled``, ``plain``, ``flox`` or ``link``.
        prefixes: What it puts in front of which path list, one after the other.
        sets: The variables that it sets.
        inherits: Whether the next program gets the name of this one.
        environment: Of ``flox``, the environment.
    """

    kind: str
    prefixes: tuple[tuple[str, str], ...] = ()
    sets: tuple[tuple[str, str], ...] = ()
    inherits: bool = False
    environment: str = ENVIRONMENTS[0]


@frozen
class End:
    """What the last step is: a script with a shebang, or an interpreter that is given a script.

    Attributes:
        interpreter: A plain one, or an environment's.
        listed: The script's own module list.
        by_shebang: Whether the script is started, and not the interpreter.
        has_modules: Whether there is something to import beside the script.
    """

    interpreter: str
    listed: tuple[str, ...] = ()
    by_shebang: bool = True
    has_modules: bool = False


@frozen
class Machine:
    """The small interpreter's state."""

    variables: Mapping[str, str]

    def prefix(self, name: str, value: str) -> "Machine":
        entries = [one for one in self.variables.get(name, "").split(":") if one and one != value]
        return self.set(name, ":".join((value, *entries)))

    def set(self, name: str, value: str) -> "Machine":
        return evolve(self, variables={**self.variables, name: value})

    def list(self, name: str) -> list[str]:
        return [one for one in self.variables.get(name, "").split(":") if one]


def meant(steps: Sequence[Step], end: End) -> tuple[str, ...]:
    """Say what is on sys.path when the launcher has run."""
    machine = Machine({})
    for step in steps:
        for name, value in step.sets:
            machine = machine.set(name, value)
        for name, value in step.prefixes:
            machine = machine.prefix(name, value)
        if step.kind == "flox":
            entries = [*machine.list("PYTHONPATH"), f"{step.environment}/{SITE}"]
            machine = machine.set("PYTHONPATH", ":".join(dict.fromkeys(entries)))
    script = [store_path("end")] if end.has_modules else []
    found = [*(f"{one}/share" for one in script), *machine.list("PYTHONPATH")]
    if end.interpreter != PYTHON:  # its wrapper sets the variable, whatever it was
        found += [f"{end.interpreter}/{SITE}"]
    else:
        found += machine.list("NIX_PYTHONPATH")
    return tuple(dict.fromkeys((*found, *end.listed)))


def written(steps: Sequence[Step], end: End) -> tuple[Disk, str]:
    """Write the launcher down as files, each in a store object of its own."""
    disk: dict[str, bytes | str] = {
        f"{PYTHON}/bin/python3.12": ELF,
        f"{PYTHON}/lib/python3.12/os.py": b"",
        **{f"{directory}/m.py": b"" for directory in LIBRARIES},
    }
    for home in ENVIRONMENTS:
        disk[f"{home}/{SITE}/m.py"] = b""
        disk[f"{home}/lib/python3.12/os.py"] = f"{PYTHON}/lib/python3.12/os.py"
        disk[f"{home}/bin/python3"] = "python3.12"
        disk[f"{home}/wrapper"] = b'#!/bin/bash\nFLOX_ENV=$2\neval "$x"\n'
        disk[f"{home}/bin/python3.12"] = recipe(
            f"{PYTHON}/bin/python3.12",
            "--inherit-argv0",
            f"--set 'NIX_PYTHONPATH' '{home}/{SITE}'",
            f"--set 'NIX_PYTHONEXECUTABLE' '{home}/bin/python3.12'",
        )
    target = write_end(disk, end)
    for number, step in reversed(list(enumerate(steps))):
        file = f"{store_path(f'step{number}')}/bin/prog"
        disk.update(write_step(file, step, target))
        target = (file,)
    return disk, target[0]


def write_end(disk: dict[str, bytes | str], end: End) -> tuple[str, ...]:
    home = store_path("end")
    items = ", ".join(f"'{directory}'" for directory in end.listed)
    line = (
        f"import functools;functools.reduce(lambda k, p: site.addsitedir(p, k), [{items}], "
        "site._init_pathinfo());\n"
    )
    interpreter = f"{end.interpreter}/bin/python3.12"
    disk[f"{home}/share/main.py"] = f"#!{interpreter}\n{line if end.listed else ''}".encode()
    if end.has_modules:
        disk[f"{home}/share/core.py"] = b""
    script = f"{home}/share/main.py"
    return (script,) if end.by_shebang else (interpreter, script)


def write_step(file: str, step: Step, target: Sequence[str]) -> dict[str, bytes | str]:
    command = " ".join(f'"{word}"' for word in target)
    if step.kind == "link":
        hidden = f"{os.path.dirname(os.path.dirname(file))}/share/hidden"
        return {file: "../share/hidden", hidden: f'#!/bin/sh\nexec {command} "$@"\n'.encode()}
    if step.kind == "compiled":
        flags = [
            *(["--inherit-argv0"] if step.inherits else []),
            *(f"--set '{name}' '{value}'" for name, value in step.sets),
            *(f"--prefix '{name}' ':' '{value}'" for name, value in step.prefixes),
            *(f"--add-flag '{word}'" for word in target[1:]),
        ]
        return {file: recipe(target[0], *flags)}
    if step.kind == "plain":
        lines = [f'export {name}="{value}"' for name, value in step.sets]
        lines += [f'export {n}="{v}${{{n}:+:${n}}}"' for n, v in step.prefixes]
        return {file: "\n".join(("#!/usr/bin/env bash", *lines, f'exec {command} "$@"')).encode()}
    lines = [f"export {name}='{value}'" for name, value in step.sets]
    for name, value in step.prefixes:
        lines += [
            f"{name}=${{{name}:+':'${name}':'}}",
            f"{name}=${{{name}/':''{value}'':'/':'}}",
            f"{name}='{value}'${name}",
            f"{name}=${{{name}#':'}}",
            f"{name}=${{{name}%':'}}",
            f"export {name}",
        ]
    if step.kind == "flox":
        command = f'"{step.environment}/wrapper" --env {step.environment} -- {command}'
    name = '-a "$0" ' if step.inherits else ""
    return {file: "\n".join(("#! /bin/bash -e", *lines, f'exec {name}{command} "$@" ')).encode()}


lists = st.sampled_from(["PYTHONPATH", "NIX_PYTHONPATH"])
prefixes = st.lists(st.tuples(lists, st.sampled_from(LIBRARIES)), max_size=3).map(tuple)
sets = st.lists(st.tuples(lists, st.sampled_from(LIBRARIES)), max_size=1).map(tuple)


def unique(step: Step) -> Step:
    # A hand-written prefix repeats an entry, which changes nothing on sys.path but its spelling.
    return evolve(step, prefixes=tuple(dict.fromkeys(step.prefixes)))


steps = st.lists(
    st.one_of(
        st.builds(Step, st.sampled_from(["shell", "compiled"]), prefixes, sets, st.booleans()),
        st.builds(Step, st.just("plain"), prefixes, sets).map(unique),
        st.builds(
            Step,
            st.just("flox"),
            prefixes,
            sets,
            st.booleans(),
            st.sampled_from(ENVIRONMENTS),
        ),
        st.just(Step("link")),
    ),
    max_size=6,
)
ends = st.builds(
    End,
    st.sampled_from((PYTHON, *ENVIRONMENTS)),
    st.lists(st.sampled_from(LIBRARIES), unique=True).map(tuple),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(steps, ends)
def test_the_order_of_modules_is_what_the_launcher_means(chain: list[Step], end: End) -> None:
    """Whatever steps there are, in however many store objects; and each is told."""
    if not chain:
        end = evolve(end, by_shebang=True)  # a file by itself is given nothing
    disk, file = written(chain, end)
    found = read_launcher(file, STORE, look_at(disk))
    assert found.note is None
    assert found.interpreter == f"{PYTHON}/bin/python3.12"
    directories = tuple(dict.fromkeys(place.directory for place in found.places))
    assert directories == meant(chain, end)
    assert len(found.steps) >= len(chain) + 1
