"""The Python rules of the classify station: which interpreter, which modules, in which order.

Pure: everything is decided from names and from the probe's notes.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from nixenv.errors import NixenvError
from nixenv.road.choice import Reason
from nixenv.road.launcher import Place
from nixenv.road.modules import FloxModules
from nixenv.road.probe import Probe, StoreObject, walk_propagated
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, enclosing_store_path, store_name
from nixenv.typed import NamedTuple
from nixenv.versions import VERSIONED_PYTHON


class PythonNotFound(NixenvError):
    """The closure holds no interpreter, or none of the wanted version."""

    wanted: str | None
    present: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        version = f" {self.wanted}" if self.wanted else ""
        others = "; it holds:" if self.present else ""
        if self.present:
            remedy = "choose one of these with --python X.Y, or drop the version from the profile"
        else:
            remedy = "check that this is the program you mean: its closure has no bin/pythonX.Y"
        return (f"no Python{version} interpreter in the closure{others}", remedy, self.present)


class PythonAmbiguous(NixenvError):
    """Several Python versions, and nothing that tells which one the program runs on."""

    present: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            "several Python versions in the closure and no hint:",
            "choose one with --python X.Y, or with `version` under [python] in the profile",
            self.present,
        )


class PythonUnsupported(NixenvError):
    """The program runs on another Python than CPython."""

    path: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"the program runs on PyPy ({self.path}): its modules lie elsewhere, and are built for "
            "it alone",
            "take the program for CPython; or, where the closure has one as well, name its version "
            "with --python X.Y",
        )


class PythonWithoutModules(NixenvError):
    """An environment's Python has no modules, and another version's are there."""

    version: str
    root: str
    present: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        others = ", ".join(self.present)
        return (
            f"{self.root} has Python {self.version}, and no modules for it; it has modules for "
            f"Python {others}",
            f"install packages and `python3` of one version; or take the other Python, where the "
            f"closure has it: --python {self.present[0]}",
        )


class EnvironmentWithoutPython(NixenvError):
    """An environment that has neither an interpreter nor modules, where Python is required."""

    root: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.root} is an environment without Python: no bin/pythonX.Y, and no modules",
            "install `python3` in it; or set `required = false` under [python] in the profile",
        )


# What packaging's Version takes: 3.12.12, 3.15.0rc1.
_RELEASE = r"\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?"
_RELEASE_IN_NAME = rf"(?:^|-)(?P<release>{_RELEASE})(?=-|$)"
_PLAIN_NAME = rf"python3?-{_RELEASE}"
_LIBRARY = re.compile(rf"/lib/{VERSIONED_PYTHON.pattern}(?=/|\Z)")


class Interpreter(NamedTuple):
    """The closure's interpreter that the environment uses.

    Attributes:
        path: Its store path; an environment's own, where the program runs in one.
        version: ``X.Y``, or ``X.Yt`` of a free-threaded build.
        reasons: Why this version, and why this store object.
        others: The other store objects of the closure with an interpreter of any version; a link
            to the chosen one is none.
        base: The store path of the interpreter behind an environment's; None for the same one.
    """

    path: StorePath
    version: str
    reasons: tuple[Reason, ...]
    others: tuple[StorePath, ...]
    base: StorePath | None = None

    @property
    def executable(self) -> str:
        """The path of ``bin/pythonX.Y``."""
        return f"{self.path}/bin/python{self.version}"

    @property
    def base_executable(self) -> str:
        """The same of the interpreter behind an environment's wrapper."""
        return f"{self.base or self.path}/bin/python{self.version}"


class Part(StrEnum):
    """What a directory of modules is to Python."""

    SITE = "site-packages"
    PATH = "path"
    """A directory of scripts, which is no site-packages."""
    LINE = "path line"
    """A directory that a ``.pth`` file names."""


class SitePackages(NamedTuple):
    """One directory of modules.

    Attributes:
        directory: Its path.
        own: Whether it is one of the program's own modules; else the rest of the closure.
        part: What it is to Python.
        content: What its entries lead to, where that tells more than its path: the Flox
            environment has another path whenever anything else is installed.
    """

    directory: str
    own: bool
    part: Part = Part.SITE
    content: tuple[str, ...] = ()


def find_full_version(path: StorePath) -> str | None:
    """Read ``3.12.12`` off the name of an interpreter, whatever else is in it.

    Such as ``python3-3.12.12-env`` and ``cpython-3.12.12-linux-x86_64-gnu``.
    """
    match = re.search(_RELEASE_IN_NAME, store_name(path))
    return match["release"] if match else None


def choose_interpreter(closure: Closure, probe: Probe, wanted: str | None) -> Interpreter:
    """Choose the version first, then the store object.

    The version: ``wanted``; else that of the launcher's end; else that of the root's own
    interpreter; else the one whose site-packages the root holds; else the only one in the closure.
    The store object: the launcher's, where it has that version; else the only one of that version;
    only then do names count: the plain interpreter of the highest patch version.

    Raises:
        PythonNotFound: no interpreter, or none of that version.
        PythonAmbiguous: several versions, and no hint.
        PythonUnsupported: the program runs on PyPy.
        PythonWithoutModules: an environment that has modules of another version alone.
        EnvironmentWithoutPython: an environment that has none at all.
    """
    if wanted is None and probe.is_environment and not has_python(closure, probe):
        raise EnvironmentWithoutPython(closure.root)
    holders = {found.path: found for found in probe.objects if found.pythons}
    pypy = find_pypy(closure, probe)
    if wanted is None and pypy is not None:
        raise PythonUnsupported(pypy)
    version, why = _choose_version(closure.root, probe, holders, wanted)
    chosen, which, base = _choose_object(closure, probe, holders, version)
    if wanted is None:
        _refuse_empty_environment(closure.root, probe, version)
    taken = {chosen, base}
    others = tuple(
        path
        for path, found in holders.items()
        if path not in taken and taken.isdisjoint(found.linked)
    )
    return Interpreter(chosen, version, (why, which), others, base)


def has_python(closure: Closure, probe: Probe) -> bool:
    """Whether there is a Python to set up.

    An environment of links has the one that it holds itself, and none else: another package of it
    may run on a Python of its own, as nixenv does.
    """
    if find_pypy(closure, probe) is not None or (probe.python and probe.python.interpreter):
        return True
    if not probe.is_environment:
        return any(found.pythons for found in probe.objects)
    own = next((found for found in probe.objects if found.path == closure.root), None)
    return own is not None and bool(own.pythons or own.site_packages)


def order_site_packages(
    closure: Closure, probe: Probe, interpreter: Interpreter
) -> tuple[SitePackages, ...]:
    """Order the directories of modules, each once.

    First the program's own, then the Flox environment's, then the rest of the closure. The
    program's own are, in this order: what its launcher puts on sys.path, the root's
    site-packages, and the depth-first pre-order walk of ``propagated-build-inputs`` from the root
    and from what an environment is made of. Path lines of ``.pth`` files follow in place where
    Python reads them, else behind the Flox environment's. Of the rest, dependents come before what
    they refer to: ``nix-store -qR`` lists references first.
    """
    version = interpreter.version
    members = set(closure.paths)
    store_dir = closure.root.rpartition("/")[0]
    notes = {note.directory: note for note in probe.directories}
    found: dict[str, SitePackages] = {}
    behind: list[SitePackages] = []

    def add(part: SitePackages, *, with_lines: bool = False) -> None:
        found.setdefault(part.directory, part)
        note = notes.get(part.directory)
        for directory in note.path_lines if note else ():
            line = SitePackages(directory, part.own, Part.LINE)
            if enclosing_store_path(directory, store_dir) is None:
                continue
            if with_lines:
                found.setdefault(line.directory, line)
            else:
                behind.append(line)

    for place in _places(probe, version):
        if enclosing_store_path(place.directory, store_dir) in members:
            is_merged = place.is_site or place.directory.endswith("/site-packages")
            part = Part.SITE if is_merged else Part.PATH
            add(SitePackages(place.directory, own=True, part=part), with_lines=place.is_site)
    for directory in _walked(closure, probe, interpreter):
        add(SitePackages(directory, own=True))
    if probe.flox is not None and _is_flox_python(probe.flox, interpreter):
        add(SitePackages(probe.flox.directory, own=False, content=probe.flox.content))
    for line in behind:
        found.setdefault(line.directory, line)
    for held in reversed(_in_order(closure, probe)):
        if version in held.site_packages:
            directory = f"{held.path}/lib/python{version}/site-packages"
            found.setdefault(directory, SitePackages(directory, own=False))
    return tuple(found.values())


def _places(probe: Probe, version: str) -> Iterator[Place]:
    """Give what the launcher puts on sys.path, as far as it is for that version."""
    for place in probe.python.places if probe.python else ():
        if find_library_version(place.directory) in (None, version):
            yield place


def _walked(closure: Closure, probe: Probe, interpreter: Interpreter) -> Iterator[str]:
    """Walk what is propagated. The interpreter is propagated by all, and its own by none."""
    objects = {found.path: found for found in probe.objects}
    version = interpreter.version
    tail = f"/lib/python{version}/site-packages"
    root = closure.root
    listed = {place.directory for place in (probe.python.places if probe.python else ())}
    made_of = [
        path
        for note in probe.directories
        if note.leads_to and (note.directory in listed or note.directory == f"{root}{tail}")
        if find_library_version(note.directory) in (None, version)
        for path in note.leads_to
    ]

    def propagated(path: StorePath) -> tuple[str, ...]:
        return objects[path].propagated if path in objects else ()

    passed_over = {interpreter.path, interpreter.base} - {root}
    for path in walk_propagated((root, *made_of), propagated):
        is_own = path in objects and path not in passed_over
        if is_own and version in objects[path].site_packages:
            yield f"{path}{tail}"


def _is_flox_python(flox: FloxModules, interpreter: Interpreter) -> bool:
    return flox.python in (interpreter.executable, interpreter.base_executable)


def _in_order(closure: Closure, probe: Probe) -> tuple[StoreObject, ...]:
    objects = {found.path: found for found in probe.objects}
    return tuple(objects[path] for path in closure.paths if path in objects)


def find_pypy(closure: Closure, probe: Probe) -> str | None:
    """Find the PyPy that a program runs on, or that is the only Python of the closure."""
    if probe.launcher is not None and probe.launcher.pypy:
        return probe.launcher.pypy
    if any(found.pythons for found in probe.objects):
        return None
    return next((path for path in closure.paths if store_name(path).startswith("pypy")), None)


def _refuse_empty_environment(root: StorePath, probe: Probe, version: str) -> None:
    notes = {note.directory: note.distributions for note in probe.directories}
    own = next((found for found in probe.objects if found.path == root), None)
    if own is None or not own.pythons:
        return
    held = {v: notes.get(f"{root}/lib/python{v}/site-packages") for v in own.site_packages}
    has_own = any(notes.get(place.directory) for place in _places(probe, version))
    others = [v for v, distributions in held.items() if distributions and v != version]
    if others and not held.get(version) and not has_own:
        raise PythonWithoutModules(version, root, others)


def _choose_version(
    root: StorePath, probe: Probe, holders: Mapping[StorePath, StoreObject], wanted: str | None
) -> tuple[str, Reason]:
    versions = sorted({version for found in holders.values() for version in found.pythons})
    if wanted is not None:
        return wanted, Reason.ASKED_FOR
    if not versions:
        raise PythonNotFound(None, ())
    if probe.launcher is not None and probe.launcher.version in versions:
        return probe.launcher.version, Reason.LAUNCHER_HAS_VERSION
    if probe.root_python is not None and probe.root_python.version in versions:
        return probe.root_python.version, Reason.ROOT_HAS_INTERPRETER
    held = next((found.site_packages for found in probe.objects if found.path == root), ())
    if len(held) == 1:
        return held[0], Reason.ROOT_HAS_MODULES
    if len(versions) == 1:
        return versions[0], Reason.ONLY_VERSION
    raise PythonAmbiguous(_described(holders.values()))


def _choose_object(
    closure: Closure, probe: Probe, holders: Mapping[StorePath, StoreObject], version: str
) -> tuple[StorePath, Reason, StorePath | None]:
    """Choose the store object, and the one behind it where it is an environment's."""
    store_dir = closure.root.rpartition("/")[0]
    fitting = {path: found for path, found in holders.items() if version in found.pythons}
    told = probe.python
    if told is not None and told.version == version:
        end = enclosing_store_path(told.interpreter or "", store_dir)
        environment = enclosing_store_path(told.environment or "", store_dir)
        is_root = probe.root_python is not None
        if environment in fitting:
            which = Reason.ROOT_INTERPRETER if is_root else Reason.LAUNCHER_ENVIRONMENT
            return environment, which, end if end in fitting else None
        if end in fitting:
            return end, Reason.ROOT_INTERPRETER if is_root else Reason.LAUNCHER, None
    if not fitting:
        raise PythonNotFound(version, _described(holders.values()))
    if len(fitting) == 1:
        return next(iter(fitting)), Reason.ONLY_INTERPRETER, None
    plain = {path for path in fitting if re.fullmatch(_PLAIN_NAME, store_name(path))}
    return _highest(plain or set(fitting)), Reason.PLAIN_INTERPRETER, None


def _highest(paths: Collection[StorePath]) -> StorePath:
    """Break a tie by the version in the name, and then by the name."""
    if len(paths) == 1:
        return next(iter(paths))
    from packaging.version import Version  # noqa: PLC0415 -- costs 10 ms, needed for a tie only

    def rank(path: StorePath) -> "tuple[Version, str]":
        return Version(find_full_version(path) or "0"), path

    return max(paths, key=rank)


def find_library_version(directory: str) -> str | None:
    """Find the version of Python whose library a directory is in.

    >>> find_library_version("/nix/store/x/lib/python3.13t/site-packages")
    '3.13t'
    """
    versions = _LIBRARY.findall(directory)
    return versions[-1] if versions else None


def _described(holders: Iterable[StoreObject]) -> tuple[str, ...]:
    return tuple(f"{version}  {found.path}" for found in holders for version in found.pythons)
