"""Write files so that a reader never sees half of one; read what is a file, and not without end."""

import contextlib
import errno
import os
import stat

from nixenv.errors import OutputFailed

TEMPORARY_PREFIX = ".nixenv-"
"""What the names of unfinished files begin with."""


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
    # As tempfile.mkstemp names it; importing that costs each cold activation 8 ms.
    unique = f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    temporary = os.path.join(os.path.dirname(target), unique)
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
