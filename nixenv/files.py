"""Write files so that a reader never sees half of one."""

import contextlib
import os

from nixenv.errors import OutputFailed

TEMPORARY_PREFIX = ".nixenv-"
"""What the names of unfinished files begin with."""


def write_atomically(file: str, text: str, mode: int = 0o600) -> None:
    """Write beside the file, then rename over it; what was there stays until the end.

    The mode is for a new file, less the umask. Links are followed. What is no regular file, such
    as a device or a pipe, is written to as it is.

    Raises:
        OutputFailed: it cannot be written; nothing is left behind.
    """
    target = os.path.realpath(file)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb", buffering=0) as stream:
                stream.write(os.fsencode(text))
        else:
            _replace(target, text, mode)
    except OSError as error:
        raise OutputFailed(file, error.strerror or str(error)) from error


def _replace(target: str, text: str, mode: int) -> None:
    # As tempfile.mkstemp names it; importing that costs each cold activation 8 ms.
    unique = f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    temporary = os.path.join(os.path.dirname(target), unique)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(os.fsencode(text))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
