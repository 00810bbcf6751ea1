"""Where things are, by the environment: the store, and what may be written."""

import os
from collections.abc import Mapping

from nixenv.storepath import DEFAULT_STORE_DIR


def find_store_dir(environ: Mapping[str, str]) -> str:
    """Give the store directory: NIX_STORE_DIR, else NIX_STORE, else /nix/store, as Nix does it."""
    store_dir = environ.get("NIX_STORE_DIR") or environ.get("NIX_STORE") or DEFAULT_STORE_DIR
    return os.path.normpath(store_dir)


def find_cache_dir(environ: Mapping[str, str]) -> str:
    """Give the directory for writable state: Flox's for this environment, else the user's own."""
    flox = environ.get("FLOX_ENV_CACHE")
    if flox:
        return os.path.abspath(flox)
    # Without a home, as in a bare container, /tmp is what is left; Flox does the same there.
    base = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or "/tmp", ".cache")  # noqa: S108
    return os.path.join(os.path.abspath(base), "nixenv")
