"""Where the farms of an inventory lie. Pure: a name tells all that its farm depends on."""

import hashlib
import os

from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.python import SitePackages
from nixenv.storepath import store_name
from nixenv.typed import NamedTuple

FORMAT = 4
"""What farms of this version look like; part of their names, so that no other version's is used."""


class Farms(NamedTuple):
    """The directories of layout ``linked``.

    Attributes:
        virtualenv: The virtual environment; None where the closure has no Python, or the user has a
            virtual environment that is kept.
        toolkit: The CUDA toolkit root; None where the closure has no CUDA.
    """

    virtualenv: str | None
    toolkit: str | None

    @property
    def directories(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(filter(None, (self.virtualenv, self.toolkit)))


def place_farms(inventory: Inventory, directory: str) -> Farms:
    """Say where the farms lie.

    The virtual environment's name depends on the interpreter, on the directories of modules in
    their order, and on the program, whose variables its scripts set; the toolkit root's on the CUDA
    set alone: flashinfer writes CUDA_HOME into its build files, and builds all anew when that
    changes.

    Args:
        inventory: What the closure offers.
        directory: The absolute directory of all farms.
    """
    virtualenv = _name_virtualenv(inventory)
    toolkit = None
    if inventory.cuda is not None:
        name = f"cuda{inventory.cuda.version}-{_digest(*canonical_homes(inventory.cuda))}"
        toolkit = os.path.join(directory, name)
    return Farms(os.path.join(directory, virtualenv) if virtualenv else None, toolkit)


def list_landmarks(farm: str) -> tuple[str, tuple[str, ...]]:
    """Name what is in a farm whenever it is whole, as its own name tells.

    Returns:
        The program that it is there for, and the directories whose entries are all links or files
        of the farm, so that none comes or goes while it is whole.
    """
    kind = os.path.basename(farm).partition("-")[0]
    if kind.startswith("python"):
        return f"{farm}/bin/{kind}", (farm, f"{farm}/bin", f"{farm}/lib/{kind}/site-packages")
    return f"{farm}/bin/nvcc", (farm, f"{farm}/bin", f"{farm}/include", f"{farm}/lib")


def _name_virtualenv(inventory: Inventory) -> str | None:
    interpreter, on_top = inventory.interpreter, inventory.on_top
    if interpreter is None or (on_top is not None and on_top.kept):
        return None
    parts = (_describe(part) for part in inventory.site_packages)
    program = inventory.program
    carried = (f"{name}={value}" for name, value in program.carried) if program else ()
    ours = (program.name, program.file, *carried) if program else ()
    digest = _digest(interpreter.base_executable, *parts, *ours)
    return f"python{interpreter.version}-{digest}"


def _describe(part: SitePackages) -> str:
    return "\t".join((str(part.own), part.part, *(part.content or (part.directory,))))


def canonical_homes(toolkit: CudaToolkit) -> tuple[str, ...]:
    """Order the parts of a toolkit by themselves: nvcc's first, then by name.

    Closures that hold the same parts in another order get the same toolkit root.
    """
    parts = zip(toolkit.members, toolkit.homes, strict=True)
    others = ((store_name(path), home) for path, home in parts if home != toolkit.home)
    return (toolkit.home, *(home for _, home in sorted(others)))


def _digest(*parts: str) -> str:
    text = "\0".join((str(FORMAT), *parts))
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
