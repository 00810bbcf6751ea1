"""Activation files: the exported text, kept for the hook's next time.

A closure never changes for a given root, so neither does the text. ``hooks/on-activate.bash`` reads
the file back without Python. It is a row of records, each ended by a NUL byte, which no variable
can hold::

    nixenv activation 2
    0.1.0 store …         the key: all that the text depends on but the root; the hook's to make
    sglang                the program to look up on PATH
    /…/bin                the real directory in which it was found
    /nix/store/…          the file that it is, behind all links
    /…/linked/python3.12… the virtual environment that the text relies on; or nothing
    /…/linked/cuda12.8-…  the toolkit root; likewise
    …                     long values, any number of them
    the text              as nixenv.shells.posix writes it, but for long values: these it takes
                          from the array __nixenv_record, the records of this file
    end

Bash reads a record many times faster than it parses a quoted word, and PYTHONPATH has tens of
kilobytes. Only owner-writable files count, and only whole ones; the hook checks both.
"""

import contextlib
import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from nixenv.errors import OutputFailed
from nixenv.files import TEMPORARY_PREFIX, write_atomically
from nixenv.road.plan import Environment
from nixenv.road.root import Root
from nixenv.shells import posix
from nixenv.storepath import enclosing_store_path

if TYPE_CHECKING:
    from nixenv.road.farms import Farms

_HEAD = "nixenv activation 2"
_END = "end"
_TARGET = 4
_FIRST_VALUE = 7

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

# A value of this many characters is worth a record of its own.
_LONG = 200

# An hour: no activation takes as long, so what is older was left by one that was killed.
_ABANDONED = 3600


def keep_activation(
    file: str, key: str, root: Root, environment: Environment, farms: "Farms | None" = None
) -> None:
    """Write the activation file, and sweep those beside it whose program is gone.

    Nothing is written where the hook could not tell that the program has been replaced: where a
    second link outside the store follows the first.

    Args:
        file: The activation file.
        key: The hook's key.
        root: The root, looked up on PATH.
        environment: The operations.
        farms: The farms that must be there for the text to hold.

    Raises:
        OutputFailed: it cannot be written.
    """
    if root.found is None or not _leads_straight_to_store(root.found, os.path.dirname(root.path)):
        return
    values: list[str] = []

    def word(value: str) -> str:
        if len(value) < _LONG:
            return posix.quote(value)
        values.append(value)
        return f"${{__nixenv_record[{_FIRST_VALUE + len(values) - 1}]}}"

    text = posix.write_statements(environment, word, in_bash=True)
    records = (
        _HEAD,
        key,
        os.path.basename(root.found),
        os.path.realpath(os.path.dirname(root.found)),
        os.path.realpath(root.found),
        (farms.virtualenv or "") if farms else "",
        (farms.toolkit or "") if farms else "",
        *values,
        text,
        _END,
    )
    directory = os.path.dirname(file)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        status = os.lstat(directory)
        if stat.S_ISLNK(status.st_mode):
            raise PermissionError(errno.EPERM, "it is a link, which others may turn elsewhere")
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user")
        if status.st_mode & _OTHERS_WRITE:
            # The hook would not trust what is in it.
            os.chmod(directory, stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)
        if os.path.islink(file):
            os.unlink(file)  # not to be followed
    except OSError as error:
        raise OutputFailed(directory, error.strerror or str(error)) from error
    write_atomically(file, "".join(f"{record}\0" for record in records))
    _sweep(directory)


def _leads_straight_to_store(found: str, store_dir: str) -> bool:
    directory = os.path.realpath(os.path.dirname(found))
    file = os.path.join(directory, os.path.basename(found))
    if enclosing_store_path(file, store_dir) is None and os.path.islink(file):
        file = os.path.normpath(os.path.join(directory, os.readlink(file)))
    return enclosing_store_path(file, store_dir) is not None


def _sweep(directory: str) -> None:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # swept by another, or not ours to sweep
                if entry.is_file(follow_symlinks=False) and _is_stale(entry):
                    os.unlink(entry.path)


def _is_stale(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(TEMPORARY_PREFIX):
        return time.time() - entry.stat().st_mtime > _ABANDONED
    return entry.name.startswith("activation-") and not os.path.exists(_read_target(entry.path))


def _read_target(file: str) -> str:
    """Read the program's file off the records; what is no activation file names nothing."""
    with open(file, encoding="utf-8", errors="surrogateescape") as stream:
        records = stream.read().split("\0")
    return records[_TARGET] if records[0] == _HEAD and len(records) > _TARGET else ""
