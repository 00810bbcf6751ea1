"""Where things are, by the environment: the store, and what may be written.

The cache directory may be anybody's to write, as FLOX_ENV_CACHE=/tmp in a container. A directory
that nixenv names below it holds code, and so it must be the user's own and writable by nobody
else. Another one of that name is left to its owner; the user's gets the user's id as well.
"""

import os
import stat
from collections.abc import Mapping
from enum import StrEnum

from nixenv.errors import NixenvError, UsageError
from nixenv.storepath import DEFAULT_STORE_DIR


class StoreDirInvalid(UsageError):
    """NIX_STORE_DIR or NIX_STORE is no directory that Nix would take."""

    store_dir: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"the store directory {self.store_dir!r} is no absolute path",
            "correct NIX_STORE_DIR (or NIX_STORE), or unset it for /nix/store",
        )


class CacheDirUnknown(UsageError):
    """Nothing says where writable state may go."""

    def _texts(self) -> tuple[str, str]:
        return (
            "no directory for caches: none of FLOX_ENV_CACHE, XDG_CACHE_HOME and HOME is set",
            "set one of them; the commands of nixenv take --cache-dir as well",
        )


class CacheUntrusted(NixenvError):
    """A place below the cache directory that somebody else could change."""

    path: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.path} {self.detail}, and so cannot be trusted: it is to hold code",
            f"look at it (`ls -ld {self.path}`) and remove it, or choose a directory of your own "
            "with FLOX_ENV_CACHE or --cache-dir",
        )


class LayoutUnknown(UsageError):
    """NIXENV_LAYOUT names no layout."""

    layout: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"no layout {self.layout!r}",
            f"set NIXENV_LAYOUT to one of {', '.join(Layout)}, or unset it",
        )


class Layout(StrEnum):
    """Where the values of an environment may point."""

    STORE = "store"
    """Into the store; where nothing is asked for."""
    LINKED = "linked"
    """To farms of links in the cache directory."""


FARM_RECORD = "nixenv-farm.json"
"""The file at the top of each farm of layout ``linked``."""


def find_store_dir(environ: Mapping[str, str]) -> str:
    """Give the store directory: NIX_STORE_DIR, else NIX_STORE, else /nix/store, as Nix does it.

    Raises:
        StoreDirInvalid: it is no absolute path, or one that cannot stand in a line of text.
    """
    store_dir = environ.get("NIX_STORE_DIR") or environ.get("NIX_STORE") or DEFAULT_STORE_DIR
    if not store_dir.startswith("/") or "\n" in store_dir:
        raise StoreDirInvalid(store_dir)
    return os.path.normpath(store_dir)


def find_cache_dir(environ: Mapping[str, str]) -> str:
    """Give the directory for writable state: Flox's for this environment, else the user's own.

    Raises:
        CacheDirUnknown: nothing names one. A guess below /tmp would be anybody's.
    """
    flox = environ.get("FLOX_ENV_CACHE")
    if flox:
        return os.path.abspath(flox)
    base = environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored (XDG Base Directory Specification).
    if not base.startswith("/"):
        home = environ.get("HOME")
        if not home:
            raise CacheDirUnknown
        base = os.path.join(home, ".cache")
    return os.path.join(os.path.abspath(base), "nixenv")


def find_private_directory(parent: str, relative: str) -> str:
    """Give the place of a directory that nixenv names, there or not; nothing is made.

    Each part of the path is judged. ``triton`` is another user's: ``triton-1000`` is taken; once
    that one is there, it stays the one. The hook knows the same rule for ``nixenv``.

    Args:
        parent: The directory that the user named, which is not judged.
        relative: A plain path below it, such as ``triton`` or ``nixenv/linked``.

    Raises:
        CacheUntrusted: under either name there is something that others could change.
    """
    for name in relative.split("/"):
        parent = _choose_private(os.path.join(parent, name))
    return parent


def make_private_directory(path: str) -> None:
    """Make a directory for its owner alone; one that is there must be the user's own.

    Raises:
        CacheUntrusted: something else is there, or it is somebody else's.
        OSError: it cannot be made.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if distrust := find_directory_distrust(path):
            raise CacheUntrusted(path, distrust) from None


def find_directory_distrust(path: str) -> str | None:
    """Say why others could change a directory, None if nobody could or if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return "is a link" if stat.S_ISLNK(status.st_mode) else "is no directory"
    return find_distrust(status)


def find_distrust(status: os.stat_result) -> str | None:
    """Say why somebody other than this user could have written something, None if nobody could."""
    if status.st_uid != os.geteuid():
        return f"belongs to user {status.st_uid}, not to you (user {os.geteuid()})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def _choose_private(path: str) -> str:
    own = f"{path}-{os.geteuid()}"
    candidates = (own, path) if os.path.lexists(own) else (path, own)
    distrusts = {candidate: find_directory_distrust(candidate) for candidate in candidates}
    for candidate, distrust in distrusts.items():
        if distrust is None:
            return candidate
    raise CacheUntrusted(path, str(distrusts[path]))
