"""How the farms of layout ``linked`` are, for `nixenv inspect` to judge."""

import os
from typing import NamedTuple

from nixenv.linked.farm import find_foreign_files, find_problems, read_conflicts
from nixenv.linked.tree import Conflict
from nixenv.road.farms import Farms


class FarmState(NamedTuple):
    """One farm as it is on disk.

    Attributes:
        directory: Its place.
        exists: Whether anything is there.
        problems: How it differs from its record, a line each.
        foreign_files: What others have put into it.
        conflicts: What its store objects disputed.
    """

    directory: str
    exists: bool
    problems: tuple[str, ...] = ()
    foreign_files: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def look_at_farms(farms: Farms) -> tuple[FarmState, ...]:
    """Look whether the farms are there and as they were built."""
    return tuple(map(_look_at, farms.directories))


def _look_at(farm: str) -> FarmState:
    if not os.path.lexists(farm):
        return FarmState(farm, exists=False)
    return FarmState(
        farm,
        exists=True,
        problems=find_problems(farm),
        foreign_files=find_foreign_files(farm),
        conflicts=read_conflicts(farm),
    )
