"""Names in a profile's values: ``{cuda_lib}`` stands for what was found. Pure.

A name is of lower case letters and underscores. ``{{name}}`` is ``{name}`` as it stands, and any
other brace is one: values hold JSON.
"""

import re
from collections.abc import Mapping

NAMES = (
    *("cache", "cc", "cuda_home", "cuda_lib", "cuobjdump", "cxx", "flox_env", "include_dirs"),
    *("interpreter", "library_dirs", "nvcc", "ptxas", "root", "site_packages"),
)
"""The names that there are; docs/profiles.md says what they stand for."""

_NAME = re.compile(r"\{\{(?P<literal>[a-z_]+)\}\}|\{(?P<name>[a-z_]+)\}")
_VARIABLE = re.compile(r"\$\{?([A-Z_][A-Z0-9_]*)")

# What is written for a shell, and what says the same here.
_SPELLINGS = {
    "CC": "cc",
    "CPATH": "include_dirs",
    "CUDA_HOME": "cuda_home",
    "CUDA_PATH": "cuda_home",
    "CXX": "cxx",
    "FLOX_ENV": "flox_env",
    "FLOX_ENV_CACHE": "cache",
    "LIBRARY_PATH": "library_dirs",
    "PYTHONPATH": "site_packages",
}
_OTHERS = ("HOME", "LD_LIBRARY_PATH", "PATH")


def find_names(value: str) -> tuple[str, ...]:
    """Give the names in a value, known or not.

    >>> find_names('{cuda_home}/lib {{literal}} {"json": {}}')
    ('cuda_home',)
    """
    return tuple(match["name"] for match in _NAME.finditer(value) if match["name"])


def find_variables(value: str) -> tuple[str, ...]:
    """Give the variables that a shell would put into a value.

    >>> find_variables("$CUDA_HOME/lib:${HOME}")
    ('CUDA_HOME', 'HOME')
    """
    return tuple(match[1] for match in _VARIABLE.finditer(value))


def suggest_name(variable: str, key: str) -> str | None:
    """Say what to write in the place of a shell's variable; None where it may be meant as it is.

    Args:
        variable: The variable in the value.
        key: The variable that the value is for.
    """
    if variable == key:
        return "for entries before or behind what is there, use [prepend] or [append]"
    if variable in _SPELLINGS:
        return f"write {{{_SPELLINGS[variable]}}}"
    return "write out what it stands for" if variable in _OTHERS else None


def is_made_of_names(value: str) -> bool:
    """Whether each entry of a path list begins with a name, and stays below what that stands for.

    >>> is_made_of_names("{cuda_lib}:{root}/lib"), is_made_of_names("{root}/../x")
    (True, False)
    """
    entries = value.split(":")
    begin = (_NAME.match(entry) for entry in entries)
    return all(match and match["name"] for match in begin) and not any(
        ".." in entry.split("/") for entry in entries
    )


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
