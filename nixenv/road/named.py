"""What the names in a profile's values stand for in an environment. Pure."""

import os
from collections.abc import Iterable, Iterator, Mapping

from nixenv.findings import Code, Finding, Severity
from nixenv.road.classify import Inventory
from nixenv.road.names import find_names
from nixenv.road.profile import Profile

TYPE_CHECKING = False

if TYPE_CHECKING:
    from nixenv.road.farms import Farms

_OF_PYTHON = frozenset(("interpreter", "site_packages"))
_OF_ANYTHING = frozenset(("cache", "flox_env", "root"))


def find_named(
    inventory: Inventory,
    cache_dir: str,
    farms: "Farms | None" = None,
    flox_env: str | None = None,
) -> dict[str, str | None]:
    """Say what the names in a profile's values stand for; None for what is not there.

    In layout ``linked``, where a farm has it, that is the farm's.

    Args:
        inventory: What the closure offers.
        cache_dir: The absolute directory of writable state.
        farms: The farms of layout ``linked``; None for layout ``store``.
        flox_env: The directory of the Flox environment.
    """
    interpreter, toolkit = inventory.interpreter, inventory.cuda
    compiler = inventory.host_compiler
    modules = tuple(part.directory for part in inventory.site_packages)
    home = toolkit.home if toolkit else None
    found = {
        "cache": cache_dir,
        "flox_env": flox_env or None,
        "root": inventory.root,
        "cc": compiler.cc if compiler else None,
        "cxx": compiler.cxx if compiler else None,
        "interpreter": interpreter.executable if interpreter else None,
        "site_packages": _joined(modules),
        "include_dirs": _joined(toolkit.include_dirs) if toolkit else None,
        "library_dirs": _joined(toolkit.library_dirs) if toolkit else None,
        "cuda_lib": toolkit.cudart if toolkit else None,
        "cuda_home": home,
        "nvcc": home and f"{home}/bin/nvcc",
        "ptxas": toolkit.find_tool("ptxas") if toolkit else None,
        "cuobjdump": toolkit.find_tool("cuobjdump") if toolkit else None,
    }
    places = {} if farms is None else _find_in_farms(farms, interpreter and interpreter.version)
    return {name: value and places.get(name, value) for name, value in found.items()}


def tell_left_out(
    inventory: Inventory, profile: Profile, flox_env: str | None = None
) -> Iterator[Finding]:
    """Tell which variables of the profile are left out, as they name what is not there.

    A note where the closure has no Python, or no CUDA, at all: the profile does not require it.
    """
    found = find_named(inventory, "", flox_env=flox_env)
    for name, value in _list_values(profile):
        lacking = [part for part in find_names(value) if found[part] is None]
        if lacking:
            names = ", ".join(f"{{{part}}}" for part in dict.fromkeys(lacking))
            expected = all(_is_absent(part, inventory) for part in lacking)
            yield Code.PROFILE_VALUE_LEFT_OUT.found(
                f"{name} is not set: there is no {names} here",
                (value,),
                f"take {name} out of the profile, or add to the environment what it names",
                severity=Severity.NOTE if expected else Severity.WARNING,
            )


def _list_values(profile: Profile) -> Iterator[tuple[str, str]]:
    for table in (profile.defaults, profile.fixed, profile.prepended, profile.appended):
        yield from table.items()


def _is_absent(name: str, inventory: Inventory) -> bool:
    """Whether the closure has nothing at all of the kind that a name is of."""
    if name in _OF_ANYTHING:
        return False
    return (inventory.interpreter if name in _OF_PYTHON else inventory.cuda) is None


def _find_in_farms(farms: "Farms", python: str | None) -> Mapping[str, str]:
    """Say where in the farms that is which they hold."""
    places = {}
    if farms.virtualenv is not None:
        places["interpreter"] = f"{farms.virtualenv}/bin/python{python}"
        places["site_packages"] = f"{farms.virtualenv}/lib/python{python}/site-packages"
    root = farms.toolkit
    if root is not None:
        places |= {"cuda_home": root, "include_dirs": f"{root}/include"}
        places |= dict.fromkeys(("cuda_lib", "library_dirs"), f"{root}/lib")
        places |= {name: f"{root}/bin/{name}" for name in ("nvcc", "ptxas", "cuobjdump")}
    return places


def _joined(directories: Iterable[str]) -> str | None:
    return os.pathsep.join(directories) or None
