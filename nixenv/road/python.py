"""The Python rules of the classify station: which interpreter, which modules, in which order.

Pure: everything is decided from names and from the probe's notes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nixenv.errors import NixenvError
from nixenv.road.choice import Reason
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, enclosing_store_path, store_name


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


# What packaging's Version takes: 3.12.12, 3.15.0rc1.
_PLAIN_NAME = re.compile(r"python3?-(?P<version>\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?)")
_SHEBANG_VERSION = re.compile(r"python(\d+\.\d+)")


class Interpreter(NamedTuple):
    """The closure's interpreter that the environment uses.

    Attributes:
        path: Its store path.
        version: ``X.Y``.
        reasons: Why this version, and why this store object.
        others: The other store objects of the closure with an interpreter of any version.
    """

    path: StorePath
    version: str
    reasons: tuple[Reason, ...]
    others: tuple[StorePath, ...]

    @property
    def executable(self) -> str:
        """The path of ``bin/pythonX.Y``."""
        return f"{self.path}/bin/python{self.version}"


class SitePackages(NamedTuple):
    """One site-packages directory.

    Attributes:
        directory: Its path.
        own: Whether it is one of the program's own modules; else the rest of the closure.
    """

    directory: str
    own: bool


def choose_interpreter(closure: Closure, probe: Probe, wanted: str | None) -> Interpreter:
    """Choose the version first, then the store object.

    The version: ``wanted``; else the one whose site-packages the root itself holds; else the one
    that the wrapper's shebang names; else the only one in the closure. The store object: the one
    that the shebang names; else the plain interpreter of the highest patch version.

    Raises:
        PythonNotFound: no interpreter, or none of that version.
        PythonAmbiguous: several versions, and no hint.
    """
    holders = {found.path: found for found in probe.objects if found.pythons}
    named = _shebang_object(closure, probe, holders)
    version, why = _choose_version(closure.root, probe, holders, named, wanted)
    if named is not None and version in holders[named].pythons:
        chosen, which = named, Reason.SHEBANG
    else:
        plain = _plain_interpreters(f for f in holders.values() if version in f.pythons)
        if not plain:
            raise PythonNotFound(version, _described(holders.values()))
        chosen, which = _highest(plain), Reason.PLAIN_INTERPRETER
    others = tuple(path for path in holders if path != chosen)
    return Interpreter(chosen, version, (why, which), others)


def order_site_packages(closure: Closure, probe: Probe, version: str) -> tuple[SitePackages, ...]:
    """Order the site-packages directories: the program's own modules, then the rest.

    The program's own order is its wrapper's list, else the depth-first pre-order walk of
    ``propagated-build-inputs`` from the root, as nixpkgs computes it (``wrap.sh``,
    ``_addToPythonPath``). ``nix-store -qR`` lists references first, so its order is no precedence.
    """
    tail = f"/lib/python{version}/site-packages"
    present = {f.path: f"{f.path}{tail}" for f in probe.objects if version in f.site_packages}
    directories = set(present.values())
    listed = probe.wrapper.site_packages if probe.wrapper else ()
    own = dict.fromkeys(directory for directory in listed if directory in directories)
    if not own:
        walk = _walk_propagated(closure.root, {found.path: found for found in probe.objects})
        own = dict.fromkeys(present[path] for path in walk if path in present)
    rest = (present[path] for path in closure.paths if path in present)
    return (
        *(SitePackages(directory, own=True) for directory in own),
        *(SitePackages(directory, own=False) for directory in rest if directory not in own),
    )


def _shebang_object(
    closure: Closure, probe: Probe, holders: Mapping[StorePath, StoreObject]
) -> StorePath | None:
    if probe.wrapper is None:
        return None
    store_dir = closure.root.rpartition("/")[0]
    path = enclosing_store_path(probe.wrapper.interpreter, store_dir)
    return path if path in holders else None


def _choose_version(
    root: StorePath,
    probe: Probe,
    holders: Mapping[StorePath, StoreObject],
    named: StorePath | None,
    wanted: str | None,
) -> tuple[str, Reason]:
    versions = sorted({version for found in holders.values() for version in found.pythons})
    if wanted is not None:
        return wanted, Reason.ASKED_FOR
    if not versions:
        raise PythonNotFound(None, ())
    held = next((found.site_packages for found in probe.objects if found.path == root), ())
    if len(held) == 1:
        return held[0], Reason.ROOT_HAS_MODULES
    if named is not None and probe.wrapper is not None:
        spelled = _SHEBANG_VERSION.fullmatch(probe.wrapper.interpreter.rpartition("/")[2])
        if spelled and spelled[1] in holders[named].pythons:
            return spelled[1], Reason.SHEBANG_HAS_VERSION
        if len(holders[named].pythons) == 1:
            return holders[named].pythons[0], Reason.SHEBANG_HAS_VERSION
    if len(versions) == 1:
        return versions[0], Reason.ONLY_VERSION
    raise PythonAmbiguous(_described(holders.values()))


def _plain_interpreters(holders: Iterable[StoreObject]) -> dict[StorePath, str]:
    """Map each interpreter proper to its full version, by name.

    ``python3-3.12.12-env``, ``-debug`` and ``python3-minimal-…`` hold a ``bin/pythonX.Y`` as well.
    """
    named = ((found.path, _PLAIN_NAME.fullmatch(store_name(found.path))) for found in holders)
    return {path: match["version"] for path, match in named if match}


def _highest(plain: Mapping[StorePath, str]) -> StorePath:
    if len(plain) == 1:
        return next(iter(plain))
    from packaging.version import Version  # noqa: PLC0415 -- costs 10 ms, needed for a tie only

    return max(plain, key=lambda path: Version(plain[path]))


def _described(holders: Iterable[StoreObject]) -> tuple[str, ...]:
    return tuple(f"{version}  {found.path}" for found in holders for version in found.pythons)


def _walk_propagated(
    root: StorePath, objects: Mapping[StorePath, StoreObject]
) -> Iterator[StorePath]:
    seen: set[StorePath] = set()
    stack = [root]
    while stack:
        path = stack.pop()
        if path in seen:
            continue
        seen.add(path)
        yield path
        found = objects.get(path)
        if found is not None:
            stack.extend(StorePath(name) for name in reversed(found.propagated))
