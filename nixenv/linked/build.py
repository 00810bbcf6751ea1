"""Build the farms of an inventory."""

from nixenv.linked.farm import ensure_farm
from nixenv.linked.toolkit import plan_toolkit
from nixenv.linked.virtualenv import plan_virtualenv
from nixenv.process import PATIENT, Patience
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms


def build_farms(inventory: Inventory, farms: Farms, patience: Patience = PATIENT) -> None:
    """Build what is not there yet, or not whole.

    Raises:
        FarmsLocked: another nixenv builds them, for longer than we may wait.
        StoreObjectsMissing: a store object is not on disk.
        Unreadable: one cannot be read.
        OutputFailed: the cache directory cannot be written.
    """
    interpreter, virtualenv = inventory.interpreter, farms.virtualenv
    if interpreter is not None and virtualenv is not None:
        ensure_farm(
            virtualenv, lambda: plan_virtualenv(inventory, interpreter, virtualenv), patience
        )
    toolkit = inventory.cuda
    place = farms.toolkit
    if toolkit is not None and place is not None:
        ensure_farm(place, lambda: plan_toolkit(toolkit, place), patience)
