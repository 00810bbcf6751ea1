"""Store paths: what names a store object.

The grammar is Nix's own (``path.cc``, ``checkName``): 32 characters of Nix's base 32, a dash, and a
name of 1 to 211 characters. The store directory is a setting of the Nix installation
(``NIX_STORE_DIR``), so every function here takes it as an argument.
"""

import re
from typing import NewType

StorePath = NewType("StorePath", str)
"""The absolute path of one store object, checked against the grammar: ``/nix/store/HASH-NAME``."""

DEFAULT_STORE_DIR = "/nix/store"

_HASH_LENGTH = 32
_BASE_NAME = re.compile(r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-._?=]{1,211}")


def parse_store_path(text: str, store_dir: str) -> StorePath:
    """Check that ``text`` is exactly a store path of ``store_dir``.

    Raises:
        ValueError: it is not.
    """
    directory, slash, base_name = text.rpartition("/")
    if not slash or directory != store_dir or not _BASE_NAME.fullmatch(base_name):
        raise ValueError(f"{text!r} is no store path of {store_dir}")
    return StorePath(text)


def enclosing_store_path(path: str, store_dir: str) -> StorePath | None:
    """Cut a path inside a store object down to the object; None when it is in none."""
    prefix = store_dir.rstrip("/") + "/"
    if not path.startswith(prefix):
        return None
    base_name = path[len(prefix) :].split("/", 1)[0]
    return StorePath(prefix + base_name) if _BASE_NAME.fullmatch(base_name) else None


def store_name(path: StorePath) -> str:
    """Give the name part of a store path: ``python3-3.12.12`` of ``/nix/store/HASH-python3-…``."""
    return path[path.rindex("/") + _HASH_LENGTH + 2 :]
