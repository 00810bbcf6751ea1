"""Places below the cache directory, named after what they hold."""

import hashlib
import re
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.places import find_cache_dir, find_private_directory


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


def locate_cache(name: str, environ: Mapping[str, str]) -> str:
    """Give the absolute place of one of our directories below the cache directory.

    Raises:
        CacheUntrusted: others could change what is in it.
    """
    return find_private_directory(find_cache_dir(environ), name)


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
