"""Whether the farms of layout ``linked`` are as they were built. Pure."""

import shlex
from collections.abc import Iterable, Iterator

from nixenv.findings import Code, Finding, Severity
from nixenv.linked.inspection import FarmState
from nixenv.text import as_code


def check_farms(farms: Iterable[FarmState]) -> Iterator[Finding]:
    """Judge the farms as they are on disk."""
    for farm in farms:
        yield from _check(farm)


def _check(farm: FarmState) -> Iterator[Finding]:
    place = farm.directory
    if farm.stop is not None:
        yield Code.FARM_MISSING.found(
            f"{place} is not there yet, and export cannot build it: {farm.stop.summary}",
            tuple(farm.stop.evidence),
            farm.stop.remedy,
        )
    elif not farm.exists:
        yield Code.FARM_MISSING.found(
            f"{place} is not there yet: export builds it, of {farm.links} links",
            severity=Severity.NOTE,
        )
    if farm.problems:
        yield Code.FARM_BROKEN.found(
            f"{place} is not as it was built",
            farm.problems,
            f"{as_code(f'rm -rf {shlex.quote(place)}')}, and activate again",
        )
    if farm.foreign_files:
        yield Code.FARM_FOREIGN_FILES.found(
            f"{place} holds what nixenv did not put there, and what the next one will not hold",
            farm.foreign_files,
            "install into a virtual environment on top of it; "
            f"{as_code(f'nixenv explain {Code.FARM_FOREIGN_FILES}')} says how",
        )
    if farm.conflicts:
        yield Code.FARM_CONFLICTS.found(
            f"several store objects hold different files for {len(farm.conflicts)} paths of "
            f"{place}; the first wins",
            tuple(f"{c.path}: {c.winner} before {', '.join(c.losers)}" for c in farm.conflicts),
        )
