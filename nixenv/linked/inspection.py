"""How the farms of layout ``linked`` are, for `nixenv inspect` to judge."""

import os
from collections.abc import Callable
from typing import NamedTuple

from nixenv.errors import NixenvError
from nixenv.linked.build import list_farms
from nixenv.linked.farm import FarmPlan, make_plan
from nixenv.linked.farm_record import find_foreign_files, find_problems, read_record
from nixenv.linked.tree import Conflict
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms


class FarmState(NamedTuple):
    """One farm as it is on disk.

    Attributes:
        directory: Its place.
        exists: Whether anything is there.
        links: Where nothing is, how many links it would hold.
        stop: Where nothing is, why it cannot be built; None where it can.
        problems: How it differs from its record, a line each.
        foreign_files: What others have put into it.
        conflicts: What its store objects dispute.
    """

    directory: str
    exists: bool
    links: int = 0
    stop: NixenvError | None = None
    problems: tuple[str, ...] = ()
    foreign_files: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def look_at_farms(inventory: Inventory, farms: Farms) -> tuple[FarmState, ...]:
    """Look whether the farms are there and as they were built; plan those that are not there."""
    return tuple(_look_at(farm, plan) for farm, plan in list_farms(inventory, farms))


def _look_at(farm: str, plan: Callable[[], FarmPlan]) -> FarmState:
    if not os.path.lexists(farm):
        return _foresee(farm, plan)
    return FarmState(
        farm,
        exists=True,
        problems=find_problems(farm),
        foreign_files=find_foreign_files(farm),
        conflicts=read_conflicts(farm),
    )


def read_conflicts(directory: str) -> tuple[Conflict, ...]:
    """Give the conflicts that the farm's record lists; none where there is no farm."""
    record = read_record(directory)
    if record is None:
        return ()
    return tuple(
        Conflict(found["path"], found["winner"], tuple(found["losers"]))
        for found in record["conflicts"]
    )


def _foresee(farm: str, plan: Callable[[], FarmPlan]) -> FarmState:
    """Say what a build would come to, and build nothing."""
    try:
        planned = make_plan(plan)
    except NixenvError as error:
        return FarmState(farm, exists=False, stop=error)
    return FarmState(farm, exists=False, links=len(planned.links), conflicts=planned.conflicts)
