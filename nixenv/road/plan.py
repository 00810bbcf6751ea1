"""The plan station: from an inventory and a profile to an environment, as ordered operations.

Pure, and free of any shell's syntax: ``nixenv.shells`` writes the operations down.
"""

import os
from collections.abc import Iterable, Mapping

from nixenv.errors import NixenvError
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.named import find_named
from nixenv.road.names import substitute
from nixenv.road.profile import Profile
from nixenv.road.variables import RESERVED, is_variable_name
from nixenv.typed import NamedTuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Self, TypeVar

    from nixenv.road.farms import Farms

    _T = TypeVar("_T")


class ValueInvalid(NixenvError):
    """A value that no environment variable can hold."""

    name: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.name}: {self.detail}",
            "change it where it comes from: the profile, the snapshot, the cache directory or the "
            "store directory",
        )


class VariableTooLong(NixenvError):
    """NAME=value is longer than Linux passes to a program (MAX_ARG_STRLEN)."""

    name: str
    size: int
    limit: int

    def _texts(self) -> tuple[str, str]:
        reason = (
            f"{self.name} would be {self.size} bytes long; Linux takes {self.limit} for "
            "NAME=value together, and every program started after that would fail with "
            "'Argument list too long'"
        )
        if self.name == "PYTHONPATH":
            return (
                reason,
                "take --layout linked, which does without PYTHONPATH; or name a smaller root with "
                "--root: there is one entry for each Python store object of the closure",
            )
        return (reason, f"look at what {self.name} holds already, and at what the profile gives it")


VARIABLE_LIMIT = 131_071
"""Bytes that ``NAME=value`` may have: Linux's MAX_ARG_STRLEN is 32 pages, its closing NUL included.

execve(2), "Limits on size of arguments and environment".
"""


def _once(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entries))


def _unlike_others(kind: "type[_T]") -> "type[_T]":
    """Let values of different classes differ, which as tuples are equal when their fields are.

    (Classes that dataclasses or attrs make cost every first activation several milliseconds.)
    """

    def is_equal(self: object, other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(self, other)  # type: ignore[operator]

    def differs(self: object, other: object) -> bool:
        return not is_equal(self, other)

    kind.__eq__, kind.__ne__ = is_equal, differs  # type: ignore[method-assign]
    return kind


@_unlike_others
class Unset(NamedTuple):
    """Remove a variable."""

    name: str


@_unlike_others
class Set(NamedTuple):
    """Give a variable a value, whatever it held."""

    name: str
    value: str


@_unlike_others
class Default(NamedTuple):
    """Give a variable a value if it is unset; one that the user set, even to nothing, stays."""

    name: str
    value: str


@_unlike_others
class Prepend(NamedTuple):
    """Put entries before those of a path list, each once; empty entries are dropped.

    (An empty entry would mean the current directory.)
    """

    name: str
    entries: tuple[str, ...]


@_unlike_others
class Append(NamedTuple):
    """Put entries behind those of a path list, unless they are in it; empty entries are dropped."""

    name: str
    entries: tuple[str, ...]


@_unlike_others
class Remove(NamedTuple):
    """Take entries off a path list, and the variable away when none is left."""

    name: str
    entries: tuple[str, ...]


@_unlike_others
class MakeDirectory(NamedTuple):
    """Make a directory where it is missing, for its owner alone, and those above it."""

    path: str


Operation = Unset | Set | Default | Prepend | Append | Remove | MakeDirectory


class Environment(tuple[Operation, ...]):
    """What to do to an environment, in order. Doing it twice is doing it once.

    A tuple of operations that were checked: whoever writes it down relies on its names. The entries
    of a `Prepend` are there once.

    Raises:
        ValueInvalid: a name that is none, or a value that no variable or path list can hold.
    """

    __slots__ = ()

    def __new__(cls, operations: Iterable[Operation] = ()) -> "Self":
        """Check the operations."""
        return super().__new__(cls, map(_checked, operations))

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations."""
        return self


def _checked(operation: Operation) -> Operation:
    match operation:
        case MakeDirectory():
            return operation
        case Set(name=name, value=value) | Default(name=name, value=value) if "\0" in value:
            raise ValueInvalid(name, "a NUL byte cannot stand in an environment variable")
        case Prepend(name=name, entries=entries):
            operation = Prepend(name, _check_entries(name, entries))
        case Append(name=name, entries=entries):
            operation = Append(name, _check_entries(name, entries))
        case Remove(name=name, entries=entries):
            operation = Remove(name, _check_entries(name, entries))
    if not is_variable_name(operation.name):
        raise ValueInvalid(repr(operation.name), "is no name of an environment variable")
    return operation


def _check_entries(name: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Give the entries of a path list, each once."""
    checked = _once(entries)
    if not checked:
        raise ValueInvalid(name, "no entries")
    for entry in checked:
        if not entry or os.pathsep in entry or "\0" in entry:
            raise ValueInvalid(name, f"{entry!r} cannot be an entry of a path list")
    return checked


def plan_environment(
    inventory: Inventory,
    profile: Profile,
    cache_dir: str,
    farms: "Farms | None" = None,
    flox_env: str | None = None,
) -> Environment:
    """Plan layout ``store``, where every value points into the store, or layout ``linked``.

    Args:
        inventory: What the closure offers.
        profile: What the environment wants beyond that.
        cache_dir: The absolute directory below which the profile's cache directories lie.
        farms: The farms of layout ``linked``, there or not; None for layout ``store``.
        flox_env: The directory of the Flox environment.

    Raises:
        ValueInvalid: a value that no variable can hold.
    """
    layout = (
        _plan_store(inventory, profile)
        if farms is None
        else _plan_linked(inventory, profile, farms)
    )
    return Environment(
        (
            *layout,
            *_plan_cache(profile, cache_dir),
            *_plan_values(profile, find_named(inventory, cache_dir, farms, flox_env)),
            *_plan_compiler(inventory, profile),
            *_plan_carried(inventory, profile),
        )
    )


def resolve(environment: Environment, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Work out what each variable of the environment ends up as, None for unset.

    Args:
        environment: The operations.
        environ: The variables before.

    Raises:
        VariableTooLong: one would be too long for Linux to pass on.
    """
    final = compute(environment, environ)
    for name, held in final.items():
        size = variable_size(name, held or "")
        if size > VARIABLE_LIMIT:
            raise VariableTooLong(name, size, VARIABLE_LIMIT)
    return final


def apply(environment: Environment, environ: Mapping[str, str]) -> dict[str, str]:
    """Give all variables as they are in the environment: what a program is started with.

    Raises:
        VariableTooLong: as `resolve`.
    """
    final = {**environ, **resolve(environment, environ)}
    return {name: value for name, value in final.items() if value is not None}


def compute(environment: Environment, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Do as `resolve`, and take no offence at what is too long."""
    final: dict[str, str | None] = {}
    for operation in environment.operations:
        match operation:
            case Unset(name=name):
                final[name] = None
            case Set(name=name, value=value):
                final[name] = value
            case Default(name=name, value=value):
                given = final.get(name, environ.get(name))
                final[name] = value if given is None else given
            case Prepend(name=name, entries=entries):
                before = (final.get(name, environ.get(name)) or "").split(os.pathsep)
                final[name] = os.pathsep.join(_once(filter(None, [*entries, *before])))
            case Append(name=name, entries=entries):
                before = (final.get(name, environ.get(name)) or "").split(os.pathsep)
                final[name] = os.pathsep.join(_once(filter(None, [*before, *entries])))
            case Remove(name=name, entries=entries):
                before = (final.get(name, environ.get(name)) or "").split(os.pathsep)
                left = (entry for entry in before if entry and entry not in entries)
                final[name] = os.pathsep.join(_once(left)) or None
    return final


def _plan_store(inventory: Inventory, profile: Profile) -> Iterable[Operation]:
    toolkit = inventory.cuda
    # A virtual environment of the user's own that is kept is left alone.
    is_kept = inventory.on_top is not None and inventory.on_top.kept
    interpreter = None if is_kept else inventory.interpreter
    if interpreter is not None:
        yield from _plan_python(inventory)
    nvcc = toolkit.home if toolkit else None
    tool_dirs = toolkit.tool_dirs if toolkit else ()
    yield from _plan_path(inventory, profile, interpreter and interpreter.path, nvcc, tool_dirs)
    yield from _plan_cuda(toolkit)


def _plan_linked(inventory: Inventory, profile: Profile, farms: "Farms") -> Iterable[Operation]:
    if farms.virtualenv is not None:
        yield Unset("PYTHONHOME")
        # It would come before what the virtual environment holds. PYTHONNOUSERSITE is not needed: a
        # virtual environment has no user site, and other Pythons of the shell keep theirs.
        yield Unset("PYTHONPATH")
        yield Set("VIRTUAL_ENV", farms.virtualenv)
    yield from _plan_path(inventory, profile, farms.virtualenv, farms.toolkit)
    if farms.toolkit is not None:
        yield from _plan_cuda_home(farms.toolkit)
        # triton and inductor link -lcuda without naming a directory. CPATH is left alone: it would
        # come before -isystem, reach every other compiler of the shell, and stay unseen by ninja.
        yield Prepend("LIBRARY_PATH", (f"{farms.toolkit}/lib", f"{farms.toolkit}/lib/stubs"))


def variable_size(name: str, value: str) -> int:
    """Give the bytes of ``NAME=value``, as `VARIABLE_LIMIT` counts them."""
    return len(name) + 1 + len(os.fsencode(value))


def _plan_python(inventory: Inventory) -> Iterable[Operation]:
    yield Unset("PYTHONHOME")
    directories = tuple(part.directory for part in inventory.site_packages)
    if directories:
        # Checked as a path list, then set: nothing else belongs on it.
        name = "PYTHONPATH"
        yield Set(name, os.pathsep.join(_check_entries(name, directories)))
    else:
        yield Unset("PYTHONPATH")
    yield Set("PYTHONNOUSERSITE", "1")


def _plan_path(
    inventory: Inventory,
    profile: Profile,
    python: str | None,
    nvcc: str | None,
    tool_dirs: Iterable[str] = (),
) -> Iterable[Operation]:
    homes = {
        "nvcc": nvcc,
        "ninja": inventory.ninja and inventory.ninja.path,
        "host-compiler": inventory.host_compiler and inventory.host_compiler.path,
    }
    directories: dict[str, tuple[str, ...]] = {
        part: (f"{home}/bin",) for part, home in homes.items() if home
    }
    directories["cuda-tools"] = tuple(tool_dirs)
    found = [path for part in profile.path for path in directories.get(part, ())]
    if python is not None:
        found.insert(0, f"{python}/bin")
    if found:
        yield Prepend("PATH", tuple(found))


def _plan_cuda_home(home: str) -> Iterable[Operation]:
    yield Set("CUDA_HOME", home)
    # cuda-pathfinder, CuPy, numba and CMake take this one first, or alone.
    yield Set("CUDA_PATH", home)


def _plan_cuda(toolkit: CudaToolkit | None) -> Iterable[Operation]:
    if toolkit is None:
        return
    yield from _plan_cuda_home(toolkit.home)
    if toolkit.include_dirs:
        yield Prepend("CPATH", toolkit.include_dirs)
    # Stubs come last, for linking against a driver that only the GPU machine has. They are never
    # put on LD_LIBRARY_PATH: at run time a stub answers CUDA_ERROR_STUB_LIBRARY (34).
    link_dirs = (*toolkit.library_dirs, *toolkit.stub_dirs)
    if link_dirs:
        yield Prepend("LIBRARY_PATH", link_dirs)


def _plan_compiler(inventory: Inventory, profile: Profile) -> Iterable[Operation]:
    if profile.compiler and inventory.host_compiler is not None:
        compiler = inventory.host_compiler
        for name, program in (("CC", compiler.cc), ("CXX", compiler.cxx)):
            if name not in profile.variables:
                yield Default(name, program)


def _plan_values(profile: Profile, found: Mapping[str, str | None]) -> Iterable[Operation]:
    """Give what the profile says of variables, but for what names something that is not there."""
    yield from map(Unset, profile.removed)
    for name, value in _substituted(profile.fixed, found):
        yield Set(name, value)
    for name, value in _substituted(profile.prepended, found):
        yield Prepend(name, tuple(value.split(os.pathsep)))
    for name, value in _substituted(profile.appended, found):
        yield Append(name, tuple(value.split(os.pathsep)))
    for name, value in _substituted(profile.defaults, found):
        yield Default(name, value)


def _substituted(
    values: Mapping[str, str], found: Mapping[str, str | None]
) -> Iterable[tuple[str, str]]:
    for name, text in values.items():
        value = substitute(text, found)
        if value is not None:
            yield name, value


def _plan_carried(inventory: Inventory, profile: Profile) -> Iterable[Operation]:
    """Give what the program's launcher sets: who starts ``python -m`` must not lose it."""
    known = RESERVED | profile.variables
    for name, value in inventory.program.carried if inventory.program else ():
        if name not in known:
            yield Default(name, value)


def _plan_cache(profile: Profile, cache_dir: str) -> Iterable[Operation]:
    for name, subdirectory in profile.cache.items():
        directory = cache_dir
        for part in subdirectory.split("/"):
            directory = os.path.join(directory, part)
            yield MakeDirectory(directory)
        yield Default(name, directory)
