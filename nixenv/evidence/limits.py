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
        address_space: How many bytes of addresses it may have now; None likewise.
        open_files_now: How many files it may have open until it asks for more; None likewise.
    """

    shared_memory: int | None = None
    open_files: int | None = None
    locked_memory: int | None = None
    address_space: int | None = None
    open_files_now: int | None = None


def probe_limits(shared_memory: str = "/dev/shm") -> Limits:  # noqa: S108 -- looked at alone
    """Look at the limits of this process, which those that it starts inherit."""
    return Limits(
        _size(shared_memory),
        _most(resource.RLIMIT_NOFILE),
        _most(resource.RLIMIT_MEMLOCK),
        # Programs raise the number of files by themselves; this nobody raises.
        _finite(resource.getrlimit(resource.RLIMIT_AS)[0]),
        _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    )


def _size(directory: str) -> int | None:
    try:
        system = os.statvfs(directory)
    except OSError:
        return None
    return system.f_blocks * system.f_frsize


def _most(limit: int) -> int | None:
    return _finite(resource.getrlimit(limit)[1])


def _finite(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit
