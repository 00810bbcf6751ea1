"""Build the farms of an inventory."""

from collections.abc import Callable, Iterator
from functools import partial

from nixenv.linked.farm import FarmPlan, ensure_farm
from nixenv.linked.toolkit import plan_toolkit
from nixenv.linked.virtualenv import plan_virtualenv
from nixenv.process import PATIENT, Patience
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms


def list_farms(inventory: Inventory, farms: Farms) -> Iterator[tuple[str, Callable[[], FarmPlan]]]:
    """Give each farm's directory, and what says what it is to hold."""
    interpreter, virtualenv = inventory.interpreter, farms.virtualenv
    if interpreter is not None and virtualenv is not None:
        yield virtualenv, partial(plan_virtualenv, inventory, interpreter, virtualenv)
    if inventory.cuda is not None and farms.toolkit is not None:
        yield farms.toolkit, partial(plan_toolkit, inventory.cuda, farms.toolkit)


def build_farms(inventory: Inventory, farms: Farms, patience: Patience = PATIENT) -> None:
    """Build what is not there yet, or not whole.

    Raises:
        FarmsLocked: another nixenv builds them, for longer than we may wait.
        StoreObjectsMissing: a store object is not on disk.
        Unreadable: one cannot be read.
        OutputFailed: the cache directory cannot be written.
    """
    for directory, plan in list_farms(inventory, farms):
        ensure_farm(directory, plan, patience)
