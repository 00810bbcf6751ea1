"""Write files so that a reader never sees half of one."""

import contextlib
import os
import tempfile

from nixenv.errors import OutputFailed

TEMPORARY_PREFIX = ".nixenv-"
"""What the names of unfinished files begin with."""


def write_atomically(file: str, text: str) -> None:
    """Write beside the file, then rename over it; what was there stays until the end.

    Raises:
        OutputFailed: it cannot be written; nothing is left behind.
    """
    directory = os.path.dirname(os.path.abspath(file))
    try:
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=TEMPORARY_PREFIX)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(os.fsencode(text))
            os.replace(temporary, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise OutputFailed(file, error.strerror or str(error)) from error
