"""What the system allows a process that is started now."""

import os
import resource

from attrs import frozen


@frozen
class Limits:
    """How far a process may go.

    Attributes:
        shared_memory: The bytes that ``/dev/shm`` holds, free or not; None where there is none.
        open_files: How many files it may have open, at most; None for as many as it likes.
        locked_memory: How many bytes it may keep in memory, at most; None likewise.
    """

    shared_memory: int | None = None
    open_files: int | None = None
    locked_memory: int | None = None


def probe_limits(shared_memory: str = "/dev/shm") -> Limits:  # noqa: S108 -- looked at alone
    """Look at the limits of this process, which those that it starts inherit."""
    return Limits(
        _size(shared_memory), _most(resource.RLIMIT_NOFILE), _most(resource.RLIMIT_MEMLOCK)
    )


def _size(directory: str) -> int | None:
    try:
        system = os.statvfs(directory)
    except OSError:
        return None
    return system.f_blocks * system.f_frsize


def _most(limit: int) -> int | None:
    _, hard = resource.getrlimit(limit)
    return None if hard == resource.RLIM_INFINITY else hard
