"""What ``nixenv inspect`` says about the farms of layout ``linked``."""

import os
import shlex
from collections.abc import Iterator

from nixenv.findings import Code, Finding
from nixenv.linked.farm import find_foreign_files, find_problems, read_conflicts
from nixenv.road.farms import Farms


def inspect_farms(farms: Farms) -> tuple[Finding, ...]:
    """Look whether the farms are there and as they should be, and what was disputed in them."""
    return tuple(finding for farm in farms.directories for finding in _inspect(farm))


def _inspect(farm: str) -> Iterator[Finding]:
    if not os.path.lexists(farm):
        yield Code.FARM_MISSING.found(f"{farm} is not there yet: export builds it")
        return
    problems = find_problems(farm)
    if problems:
        yield Code.FARM_BROKEN.found(
            f"{farm} is not as it was built",
            problems,
            f"`rm -rf {shlex.quote(farm)}`, and activate again",
        )
    foreign = find_foreign_files(farm)
    if foreign:
        yield Code.FARM_FOREIGN_FILES.found(
            f"{farm} holds what nixenv did not put there, and what the next one will not hold",
            foreign,
            "install into a virtual environment on top of it (docs/linked.md)",
        )
    conflicts = read_conflicts(farm)
    if conflicts:
        yield Code.FARM_CONFLICTS.found(
            f"several store objects hold different files for {len(conflicts)} paths of {farm}; "
            "the first wins",
            tuple(f"{c.path}: {c.winner} before {', '.join(c.losers)}" for c in conflicts),
        )
