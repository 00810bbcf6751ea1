"""Write files so that a reader never sees half of one; read what is a file, and not without end."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable

from nixenv.errors import OutputFailed

_TEMPORARY_PREFIX = ".nixenv-"

# Seconds. Nothing is in the making for as long: what is older was left by one that was killed.
_ABANDONED = 3600


def read_file(file: str, limit: int) -> bytes:
    """Read a file whole.

    A FIFO in its place would hold its reader for ever, and a device would never end.

    Args:
        file: The file; links are followed.
        limit: How many bytes it may have.

    Raises:
        OSError: it cannot be opened or read, is no regular file, or has more than that.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, "it is no regular file", file)
        with open(descriptor, "rb", closefd=False) as stream:
            content = stream.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", file)
    return content


def write_atomically(file: str, text: str, mode: int = 0o600, modified: int | None = None) -> None:
    """Write beside the file, then rename over it; what was there stays until the end.

    Links are followed. What is no regular file, such as a device or a pipe, is written to as it is.

    Args:
        file: The file.
        text: What it is to hold.
        mode: For a new file, less the umask.
        modified: The time of its last change, in nanoseconds; None for now.

    Raises:
        OutputFailed: it cannot be written; nothing is left behind.
    """
    target = os.path.realpath(file)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb", buffering=0) as stream:
                stream.write(os.fsencode(text))
        else:
            _replace(target, text, mode, modified)
    except OSError as error:
        raise OutputFailed(file, error.strerror or str(error)) from error


def _replace(target: str, text: str, mode: int, modified: int | None) -> None:
    temporary = name_beside(target)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(os.fsencode(text))
        if modified is not None:
            os.utime(temporary, ns=(modified, modified))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def name_beside(target: str) -> str:
    """Name what is to be renamed to ``target``, or away from it, as nothing beside it is named.

    (As tempfile does it, whose import costs each cold activation 8 ms.)
    """
    unique = f"{_TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(8).hex()}"
    return os.path.join(os.path.dirname(target), unique)


def sweep(
    directory: str,
    is_useless: Callable[[str], bool],
    remove: Callable[[str], object] = os.unlink,
) -> None:
    """Remove what is of no use any more, and what was never finished; what cannot be, stays.

    Args:
        directory: What is in it is looked at.
        is_useless: Says so of a path.
        remove: Removes one.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(directory)
    for name in names:
        path = f"{directory}/{name}"
        with contextlib.suppress(OSError):  # swept by another, or not ours to sweep
            if _is_abandoned(path) or is_useless(path):
                remove(path)


def _is_abandoned(path: str) -> bool:
    is_temporary = os.path.basename(path).startswith(_TEMPORARY_PREFIX)
    return is_temporary and time.time() - os.lstat(path).st_mtime > _ABANDONED
