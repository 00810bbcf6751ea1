"""Names in a profile's values: ``{cuda_lib}`` stands for what was found. Pure.

A name is of lower case letters and underscores. ``{{name}}`` is ``{name}`` as it stands, and any
other brace is one: values hold JSON.
"""

import re
from collections.abc import Mapping

NAMES = (
    *("cache", "cuda_home", "cuda_lib", "cuobjdump", "include_dirs", "interpreter"),
    *("library_dirs", "nvcc", "ptxas", "root", "site_packages"),
)
"""The names that there are; docs/profiles.md says what they stand for."""

_NAME = re.compile(r"\{\{(?P<literal>[a-z_]+)\}\}|\{(?P<name>[a-z_]+)\}")


def find_names(value: str) -> tuple[str, ...]:
    """Give the names in a value, known or not.

    >>> find_names('{cuda_home}/lib {{literal}} {"json": {}}')
    ('cuda_home',)
    """
    return tuple(match["name"] for match in _NAME.finditer(value) if match["name"])


def substitute(value: str, found: Mapping[str, str | None]) -> str | None:
    """Put what was found in the place of the names; None where one of them was not.

    >>> substitute("{cuda_home}/lib64:{{x}}", {"cuda_home": "/nix/store/…"})
    '/nix/store/…/lib64:{x}'
    """
    if any(found[name] is None for name in find_names(value)):
        return None

    def replace(match: re.Match[str]) -> str:
        return found[match["name"]] or "" if match["name"] else match[0][1:-1]

    return _NAME.sub(replace, value)
