"""What Linux tells of its processes, their locks and open files, in /proc."""

import contextlib
import glob
import os
from collections.abc import Iterable, Iterator


def read_kernel_file(file: str) -> str:
    """Read a file of ``/proc`` or ``/sys``, stripped; empty when it cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def describe_process(pid: int) -> str:
    """Name a process for a person, such as ``nix-daemon (pid 812, stopped)``."""
    stopped = ", stopped" if is_stopped(pid) else ""
    return f"{read_kernel_file(f'/proc/{pid}/comm')} (pid {pid}{stopped})".lstrip()


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped, and does nothing until it is let go on."""
    # Its name may hold anything, parentheses included; the state follows it.
    status = read_kernel_file(f"/proc/{pid}/stat").rpartition(")")[2]
    return status.split()[:1] == ["T"]


def find_open(targets: Iterable[str]) -> dict[str, int]:
    """Find which of these are open, and in which process, as far as processes can be seen.

    Args:
        targets: Real paths of files, or ``socket:[INODE]``.
    """
    wanted = set(targets)
    found: dict[str, int] = {}
    for file in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            target = os.readlink(file)
            if target in wanted:
                found.setdefault(target, int(file.split("/")[2]))
    return found


def find_lock_holders(*files: str) -> tuple[int, ...]:
    """Find the processes that hold a lock on one of these files, as far as they can be seen."""
    places = set(filter(None, map(_place, files)))
    return tuple(dict.fromkeys(pid for pid, place in _locks() if place in places))


def _place(file: str) -> str | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"


def _locks() -> Iterator[tuple[int, str]]:
    """Read ``/proc/locks``: who holds a lock, and of which file.

    A line looks like ``6: FLOCK  ADVISORY  WRITE 2838 fe:00:1917653 0 EOF``; with ``->`` behind its
    number it is of somebody who waits. A process that we cannot see has no number above 0.
    """
    for line in read_kernel_file("/proc/locks").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[1] != "->" and fields[4].isdecimal() and fields[4] != "0":
            yield int(fields[4]), fields[5]
