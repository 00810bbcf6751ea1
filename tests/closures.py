"""Closures and notes as plain data, for the pure stations."""

from nixenv.road.launcher import Kind, Launcher, Place, Step
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath


def store_path(name: str) -> StorePath:
    """Give a store path of that name; a name always gets the same."""
    return StorePath(f"/nix/store/{'a' * 32}-{name}")


def closure_of(*objects: StoreObject) -> Closure:
    """Make a closure of these store objects, in Nix's order: the last is the root."""
    return Closure(objects[-1].path, tuple(found.path for found in objects), Origin.NIX, "test")


def interpreter(name: str, *versions: str) -> StoreObject:
    """Make a store object with `bin/pythonX.Y` for each version."""
    return StoreObject(store_path(name), pythons=versions)


def module(name: str, version: str, *propagated: str) -> StoreObject:
    """Make a store object with site-packages for Python ``version``."""
    return StoreObject(
        store_path(name),
        site_packages=(version,),
        propagated=tuple(store_path(other) for other in propagated),
    )


def launcher(shebang: str, *modules: str, version: str = "3.12") -> Launcher:
    """Make the launcher of a program that runs on the store object ``shebang``."""
    executable = f"{store_path(shebang)}/bin/python{version}"
    return Launcher(
        (
            Step(f"{store_path('root')}/bin/sglang", Kind.SHELL),
            Step(f"{store_path('root')}/bin/.sglang-wrapped", Kind.SCRIPT),
            Step(executable, Kind.INTERPRETER),
        ),
        interpreter=executable,
        version=version,
        places=tuple(
            Place(site_packages(name, version), is_site=True, is_listed=True) for name in modules
        ),
    )


def site_packages(name: str, version: str = "3.12") -> str:
    """Give the site-packages directory of a store object."""
    return f"{store_path(name)}/lib/python{version}/site-packages"


def probe_of(*objects: StoreObject, launched: Launcher | None = None) -> Probe:
    """Make the probe of a closure."""
    return Probe(objects, launched)
