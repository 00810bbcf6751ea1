"""The flags that nvcc takes from NVCC_PREPEND_FLAGS and NVCC_APPEND_FLAGS. Pure."""

import shlex
from collections.abc import Sequence

ALLOW_UNSUPPORTED = frozenset(("-allow-unsupported-compiler", "--allow-unsupported-compiler"))
"""The flag with which nvcc takes any compiler, under its two names."""

_CCBIN = ("-ccbin", "--compiler-bindir")


def split_flags(text: str) -> tuple[str, ...]:
    """Split the value of NVCC_PREPEND_FLAGS or NVCC_APPEND_FLAGS."""
    try:
        return tuple(shlex.split(text))
    except ValueError:  # an open quote
        return tuple(text.split())


def take_ccbin(flags: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Give the compiler that flags name for nvcc, which takes the last, and the other flags.

    >>> take_ccbin(("-ccbin", "/usr/bin/g++-12", "-O2"))
    ('/usr/bin/g++-12', ('-O2',))
    """
    named = None
    rest = []
    left = iter(flags)
    for flag in left:
        name, equals, value = flag.partition("=")
        if name in _CCBIN:
            named = value if equals else next(left, None)
        else:
            rest.append(flag)
    return named, tuple(rest)
