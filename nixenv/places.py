"""Where things are, by the environment: the store, and what may be written."""

import os
from collections.abc import Mapping
from enum import StrEnum

from nixenv.errors import UsageError
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
            "set one of them, or name the directory with --cache-dir",
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
    base = environ.get("XDG_CACHE_HOME")
    if not base:
        home = environ.get("HOME")
        if not home:
            raise CacheDirUnknown
        base = os.path.join(home, ".cache")
    return os.path.join(os.path.abspath(base), "nixenv")
