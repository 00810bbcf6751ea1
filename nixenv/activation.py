"""Activation files: the exported text, kept for the hook's next time.

A closure never changes for a given root, so neither does the text. ``hooks/on-activate.bash`` reads
the file back without Python; the header is what it needs for that::

    # nixenv activation 1
    # key …                 all that the text depends on but the root; made and compared by the hook
    # program sglang        what to look up on PATH
    # parent /…/bin         the real directory in which it was found
    # target /nix/store/…   the file that it is, behind all links
    # values 8              the number of the line, from 0, where long values begin
    # text 9                and the one where the text begins
    # needs /…              a directory that the text relies on; any number of these
    …                       long values, a line each
    the text                as nixenv.shells.posix writes it, but for long values: these it takes
                            from the array __nixenv_line, the lines of this file
    # end of nixenv activation

Bash reads a line many times faster than it parses a quoted word, and PYTHONPATH has tens of
kilobytes. Only owner-writable files count, and only whole ones; the hook checks both.
"""

import contextlib
import errno
import os
import time
from collections.abc import Sequence

from nixenv.environment import Environment
from nixenv.errors import OutputFailed
from nixenv.files import TEMPORARY_PREFIX, write_atomically
from nixenv.root import Root
from nixenv.shells import posix
from nixenv.storepath import enclosing_store_path

_HEAD = "# nixenv activation 1"
_END = "# end of nixenv activation"
_TARGET = "# target "

# A value of this many characters is worth a line of its own.
_LONG = 200

# An hour: no activation takes as long, so what is older was left by one that was killed.
_ABANDONED = 3600


def keep_activation(
    file: str, key: str, root: Root, environment: Environment, needs: Sequence[str] = ()
) -> None:
    """Write the activation file, and sweep those beside it whose program is gone.

    Nothing is written where the hook could not tell that the program has been replaced: where a
    second link outside the store follows the first.

    Args:
        file: The activation file.
        key: The hook's key.
        root: The root, looked up on PATH.
        environment: The operations.
        needs: Directories outside the store that must be there for the text to hold.

    Raises:
        OutputFailed: it cannot be written.
    """
    if root.found is None or not _leads_straight_to_store(root.found, os.path.dirname(root.path)):
        return
    header = [
        _HEAD,
        f"# key {key}",
        f"# program {os.path.basename(root.found)}",
        f"# parent {os.path.realpath(os.path.dirname(root.found))}",
        f"{_TARGET}{os.path.realpath(root.found)}",
    ]
    if any("\n" in line for line in (*header, *needs)):
        return
    first = len(header) + 2 + len(needs)
    values: list[str] = []

    def word(value: str) -> str:
        if len(value) < _LONG or "\n" in value:
            return posix.quote(value)
        values.append(value)
        return f"${{__nixenv_line[{first + len(values) - 1}]}}"

    text = posix.write_statements(environment, word, in_bash=True)
    header += [f"# values {first}", f"# text {first + len(values)}"]
    header += [f"# needs {directory}" for directory in needs]
    directory = os.path.dirname(file)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user")
        if os.path.islink(file):
            os.unlink(file)  # not to be followed
    except OSError as error:
        raise OutputFailed(directory, error.strerror or str(error)) from error
    write_atomically(file, "\n".join([*header, *values, f"{text}{_END}\n"]))
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
    """Read the program's file off the header; one that is no activation file names nothing."""
    with open(file, encoding="utf-8", errors="surrogateescape") as stream:
        for _, line in zip(range(5), stream, strict=False):
            if line.startswith(_TARGET):
                return line.removeprefix(_TARGET).rstrip("\n")
    return ""
