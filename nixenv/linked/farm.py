"""Build a farm on disk: whole or not at all, once however many ask, anew when it is broken.

A farm is built in a directory beside its place and renamed into it, under a lock. What a killed
build leaves is a directory of another name, swept by a later one. The record within says what the
farm should hold; a farm that differs from its record counts as none. It and the directories are
dated back as the store's are: one that is younger has been written to since, which the hook sees
with no more than bash.
"""

import contextlib
import fcntl
import filecmp
import os
import time
from collections.abc import Callable, Iterable, Iterator

from attrs import asdict, frozen

from nixenv.directories import put_directory, remove_directory
from nixenv.errors import NixError, OutputFailed, Unreadable
from nixenv.files import sweep
from nixenv.kernel import describe_process, find_lock_holders
from nixenv.linked.farm_record import dump_record, find_problems, read_record
from nixenv.linked.tree import Conflict, Entry, Link
from nixenv.places import FARM_RECORD, make_private_directory
from nixenv.process import PATIENT, Patience, Wait
from nixenv.road.nix import repair_command
from nixenv.road.probe import StoreObjectsMissing

_LOCK = ".lock"

# Nix's own date for what is in the store.
_DATED_BACK = 1


# Seconds between two looks whether a lock is free: Linux cannot be asked to wait up to a limit.
_LOCK_PAUSE = 0.02


class FarmsLocked(NixError):
    """Another nixenv builds farms in the same cache directory, for longer than we may wait."""

    file: str
    holders: str
    limit: float

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.holders} has held {self.file} for more than {self.limit:g} s",
            "wait until it has done; --timeout SECONDS (or NIXENV_TIMEOUT) allows more time",
        )


@frozen
class File:
    """A file of a farm that is no link.

    Attributes:
        path: Where, below the farm's directory.
        text: What it holds.
        executable: Whether it is a program.
    """

    path: str
    text: str
    executable: bool = False


@frozen
class FarmPlan:
    """What a farm is to hold.

    Attributes:
        members: The store paths that it is made of; without one of them it is of no use.
        links: Its links.
        files: Its files.
        directories: The directories that are to be there even if nothing is in them.
        conflicts: What several store objects claimed.
    """

    members: tuple[str, ...]
    links: tuple[Link, ...]
    files: tuple[File, ...]
    directories: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def list_directory(directory: str) -> Iterable[Entry]:
    """List a directory for `nixenv.linked.tree.merge`.

    Links that lead nowhere are left out, and so is ``__pycache__``: what is in it belongs to the
    source files beside it, which in a merged directory may come from another store object. Python
    makes one for the farm.
    """
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            is_directory = os.path.isdir(path)
            if entry.name != "__pycache__" and (is_directory or os.path.exists(path)):
                yield Entry(entry.name, path, is_directory)


def require_present(members: Iterable[str]) -> None:
    """Refuse to plan a farm of store objects that are not on disk.

    Raises:
        StoreObjectsMissing: some are not.
    """
    missing = tuple(path for path in members if not os.path.lexists(path))
    if missing:
        raise StoreObjectsMissing(missing, repair_command(missing))


def drop_identical(conflicts: Iterable[Conflict]) -> tuple[Conflict, ...]:
    """Leave out the conflicts between files of the same content."""
    return tuple(filter(_differs, conflicts))


def ensure_farm(directory: str, plan: Callable[[], FarmPlan], patience: Patience = PATIENT) -> None:
    """Build the farm unless it is there and whole; then sweep what is of no use any more.

    Args:
        directory: The farm's absolute directory.
        plan: Says what it is to hold; called only where it is to be built.
        patience: How long to wait for another nixenv that builds here, and who is told meanwhile.

    Raises:
        FarmsLocked: another nixenv builds for longer than that.
        Unreadable: what it is to be made of cannot be read.
        OutputFailed: the farm cannot be written.
    """
    if not find_problems(directory):
        return
    parent = os.path.dirname(directory)
    try:
        make_private_directory(parent)
        with _lock(parent, patience):
            if find_problems(directory):  # else another built it while we waited
                _build(directory, plan)
                sweep(parent, _is_useless, remove_directory)
    except OSError as error:
        raise OutputFailed(directory, error.strerror or str(error)) from error
    except RecursionError as error:
        raise OutputFailed(directory, "what is merged in it is nested too deeply") from error


def make_plan(plan: Callable[[], FarmPlan]) -> FarmPlan:
    """Let it be said what a farm is to hold.

    Raises:
        StoreObjectsMissing: a store object is not on disk.
        Unreadable: what it is to be made of cannot be read.
    """
    try:
        return plan()
    except OSError as error:
        raise Unreadable(str(error.filename), error.strerror or str(error)) from error


def _build(directory: str, plan: Callable[[], FarmPlan]) -> None:
    planned = make_plan(plan)
    # Others may read it, whatever the mask, and not write.
    put_directory(
        directory,
        lambda scratch: _write(scratch, directory, planned),
        lambda: not find_problems(directory),
        mode=0o755,
    )


def _write(temporary: str, directory: str, plan: FarmPlan) -> None:
    paths = [link.path for link in plan.links] + [file.path for file in plan.files]
    for path in dict.fromkeys((*plan.directories, *map(os.path.dirname, paths))):
        os.makedirs(f"{temporary}/{path}", exist_ok=True)
    for link in plan.links:
        os.symlink(link.target, f"{temporary}/{link.path}")
    for file in plan.files:
        _write_file(f"{temporary}/{file.path}", file)
    record = {
        "place": directory,
        "members": plan.members,
        "links": {link.path: link.target for link in plan.links},
        "files": {file.path: len(os.fsencode(file.text)) for file in plan.files},
        "conflicts": [asdict(conflict) for conflict in plan.conflicts],
    }
    with open(f"{temporary}/{FARM_RECORD}", "w", encoding="ascii") as stream:
        stream.write(dump_record(record))
    directories = (place for place, _, _ in os.walk(temporary))
    for place in (f"{temporary}/{FARM_RECORD}", *directories):
        os.utime(place, (_DATED_BACK, _DATED_BACK))


def _write_file(path: str, file: File) -> None:
    # Whoever may read a program may run it; the mask decides who that is.
    mode = 0o777 if file.executable else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as stream:
        stream.write(os.fsencode(file.text))


def _is_useless(directory: str) -> bool:
    """Say whether a farm cannot be used again; what is no farm is not for us to judge."""
    record = read_record(directory)
    return record is not None and not all(map(os.path.lexists, record["members"]))


@contextlib.contextmanager
def _lock(parent: str, patience: Patience) -> Iterator[None]:
    """Keep others from building here. The system lets go when a process dies."""
    file = f"{parent}/{_LOCK}"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        # Some network file systems have no locks: then each builds, and the first to rename wins.
        with contextlib.suppress(OSError):
            _wait_for_lock(descriptor, file, patience)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, file: str, patience: Patience) -> None:
    wait = Wait(patience)
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait.is_over:
                raise FarmsLocked(file, _name_holders(file), patience.limit or 0) from None
        wait.remind(lambda: f"{file}, which {_name_holders(file)} holds")
        time.sleep(_LOCK_PAUSE)


def _name_holders(file: str) -> str:
    return ", ".join(map(describe_process, find_lock_holders(file))) or "another process"


def _differs(conflict: Conflict) -> bool:
    return any(
        os.path.isdir(path)
        or os.path.isdir(conflict.winner)
        or not filecmp.cmp(conflict.winner, path, shallow=False)
        for path in conflict.losers
    )
