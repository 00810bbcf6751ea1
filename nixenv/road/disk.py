"""Look at the disk, where a path may be anything, and a directory may be closed.

What is not there is nothing; what may not be seen is an error, where os.path says no.
"""

import errno
import os
import stat
from collections.abc import Callable

from nixenv.road.launcher import Look
from nixenv.road.launcher.chain import SCRIPT_LIMIT
from nixenv.text import decode

NO_SUCH = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""Why there is no such file or directory behind a path."""

TEXT_LIMIT = 4 << 20
"""Bytes read of a text; the longest real one is a list of 40,000 propagated store paths."""


def _is_nowhere(path: str) -> bool:
    """Whether no file can be meant: a relative path is for the directory of whoever runs a program.

    Ours may be anybody's project.
    """
    return not path.startswith("/") or "\0" in path


def list_names(directory: str) -> list[str]:
    """List a directory, which may also be a file or a link that leads nowhere: then nothing."""
    return find_names(directory) or []


def find_names(path: str) -> list[str] | None:
    """List a directory; None when there is none."""
    if _is_nowhere(path):
        return None
    try:
        return os.listdir(path)
    except OSError as error:
        if error.errno in NO_SUCH:
            return None
        raise


def find_entries(path: str) -> "dict[str, os.DirEntry[str]] | None":
    """List a directory, as what tells links apart without another look; None when there is none."""
    if _is_nowhere(path):
        return None
    try:
        with os.scandir(path) as entries:
            return {entry.name: entry for entry in entries}
    except OSError as error:
        if error.errno in NO_SUCH:
            return None
        raise


def is_kind(path: str, kind: Callable[[int], bool]) -> bool:
    """Say whether what is behind ``path`` is of a kind: ``stat.S_ISREG``."""
    status = _find_status(path)
    return status is not None and kind(status.st_mode)


def _find_status(path: str) -> os.stat_result | None:
    if _is_nowhere(path):
        return None
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in NO_SUCH:
            return None
        raise


def _find_size(file: str) -> int | None:
    """Give the bytes of a regular file; None where there is none."""
    status = _find_status(file)
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None


def read_head(file: str, limit: int = SCRIPT_LIMIT) -> bytes | None:
    """Read the start of a regular file; None where there is none."""
    size = _find_size(file)
    if size is None:
        return None
    # A buffer of the limit's size for each file would cost more than all else that is done with it.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, min(size, limit))
    finally:
        os.close(descriptor)


def read_text(file: str, limit: int) -> str:
    """Read the start of a regular file as text; empty when there is none, or it cannot be read."""
    try:
        return decode(read_head(file, limit) or b"")
    except OSError:
        return ""


def require_text(file: str) -> str:
    """Read a regular file as text, up to `TEXT_LIMIT`; empty when there is none.

    A NUL, which no path, name or variable can hold, is one no longer.
    """
    return os.fsdecode(read_head(file, TEXT_LIMIT) or b"").replace("\0", "\ufffd")


def find_file(path: str) -> str | None:
    """Give the regular file behind all links; None where there is none."""
    return os.path.realpath(path) if is_kind(path, stat.S_ISREG) else None


def is_directory(path: str) -> bool:
    """Say whether there is a directory."""
    return is_kind(path, stat.S_ISDIR)


LOOK = Look(read_head, find_file, is_directory, list_names)
"""How a launcher is looked at."""
