"""Places below the cache directory: named after what they hold, writable by their owner alone."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.places import find_cache_dir


class CacheUnwritable(NixenvError):
    """Something for later cannot be put into the cache directory."""

    what: str
    path: str
    detail: str
    variable: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.what} cannot be written to {self.path}: {self.detail}",
            "check the free space and the permissions there, "
            f"or set {self.variable} to a place that can be written",
        )


class CacheUntrusted(NixenvError):
    """A place in the cache directory that somebody else could change."""

    path: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.path} {self.detail}: somebody else could change what is served",
            "look at it (`ls -ld`), remove it, and run sglang-resolve-model again",
        )


def locate_cache(name: str, environ: Mapping[str, str]) -> str:
    """Give the absolute place of one of our directories below the cache directory."""
    return os.path.join(find_cache_dir(environ), name)


def entry_name(label: str, *content: bytes) -> str:
    """Name a cache entry: a readable part, then a digest that tells other content apart.

    Args:
        label: What a person would call it; anything.
        content: What the entry depends on.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(b"%d:" % len(part) + part)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip(".-")[:80]
    return f"{readable}-{digest.hexdigest()[:16]}"


def make_private_directory(path: str) -> None:
    """Make a directory that only its owner can write; one that is there must be like that.

    The cache directory can be one that everybody shares (a container's FLOX_ENV_CACHE is /tmp).

    Raises:
        CacheUntrusted: something else is there, or it is somebody else's.
        OSError: it cannot be made.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except FileExistsError:
        raise CacheUntrusted(path, "is no directory") from None
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise CacheUntrusted(path, "is a link")
    if distrust := find_distrust(status):
        raise CacheUntrusted(path, distrust)


def find_distrust(status: os.stat_result) -> str | None:
    """Say why somebody other than this user could have written something, None if nobody could."""
    if status.st_uid != os.geteuid():
        return f"belongs to user {status.st_uid}, not to you (user {os.geteuid()})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
