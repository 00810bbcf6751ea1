"""Read what nvcc's own files say, and the headers that it includes. Pure."""

import re

# nvcc.profile of nixpkgs 25.11: compiler-bindir = /nix/store/…-gcc-wrapper-14.3.0/bin
_COMPILER_BINDIR = re.compile(r"^\s*compiler-bindir\s*=\s*\"?(?P<path>/[^\s\"]+)", re.MULTILINE)
# Of 24.11 and 25.05: PATH += "/nix/store/…-gcc-wrapper-13.3.0/bin": (as += puts it in front)
_PATH_LINE = re.compile(r"^\s*PATH\s*\+=\s*\"?(?P<path>/[^\s\"$:]+)\"?\s*:", re.MULTILINE)
# bin/nvcc of 2026, a shell script: NVCC_CCBIN "${…:-/nix/store/…-gcc-wrapper-15.2.0/bin/c++}"
_CCBIN_DEFAULT = re.compile(r"NVCC_CCBIN[^\n]*?:-(?P<path>/[^\s\"'}]+)\}")

_GNU_BOUND = re.compile(r"\s*#\s*if\s+__GNUC__\s*>\s*([0-9]{1,3})\b")
_GNU_REFUSAL = re.compile(r"\s*#\s*error\b.*unsupported GNU version")

_CODE = r"sm_(\d{1,4})"

# torch/version.py, which setup.py writes: cuda: Optional[str] = '12.8'
_TORCH_CUDA = r"""(?ma)^cuda\s*(?::[^=\n]*)?=\s*['"](\d{1,3}\.\d{1,3})(?:\.\d+)*['"]"""


def parse_host_compiler(profile: str, script: str) -> str | None:
    """Read which compiler nvcc calls by itself: a directory of programs, or one of them.

    nixpkgs has written it in three ways.

    Args:
        profile: The text of ``nvcc.profile``.
        script: The text of ``bin/nvcc`` where that is a script; else empty.

    >>> parse_host_compiler('PATH += "/nix/store/…-gcc-wrapper-13.3.0/bin":', "")
    '/nix/store/…-gcc-wrapper-13.3.0/bin'
    """
    # nvcc takes its variable before its profile's bindir, and that before what is on PATH.
    for pattern, text in ((_CCBIN_DEFAULT, script), (_COMPILER_BINDIR, profile)):
        if match := pattern.search(text):
            return match["path"]
    first_on_path = None
    for match in _PATH_LINE.finditer(profile):
        first_on_path = match["path"]
    return first_on_path


def parse_newest_gcc(text: str) -> int | None:
    """Read the highest major version of gcc that nvcc accepts off a ``crt/host_config.h``.

    It reads, for example::

        #if __GNUC__ > 14

        #error -- unsupported GNU version! gcc versions later than 14 are not supported! …

    >>> parse_newest_gcc("#if __GNUC__ > 14\\n\\n#error -- unsupported GNU version! gcc …\\n")
    14
    """
    bound = None
    for line in text.split("\n"):
        if match := _GNU_BOUND.match(line):
            bound = int(match[1])
        elif _GNU_REFUSAL.match(line):
            return bound
    return None


def parse_torch_cuda(text: str) -> str | None:
    """Read off ``torch/version.py`` the CUDA version ``X.Y`` that torch was built for.

    >>> parse_torch_cuda("cuda: Optional[str] = '12.8'")
    '12.8'
    """
    match = re.search(_TORCH_CUDA, text)
    return match[1] if match else None


def parse_codes(listing: str) -> tuple[str, ...]:
    """Read what nvcc can compile for off ``nvcc --list-gpu-code``, a ``sm_90`` a line.

    >>> parse_codes("sm_75\\nsm_90\\nsm_100\\n")
    ('75', '90', '100')
    """
    matches = (re.fullmatch(_CODE, word) for word in listing.split())
    return tuple(match[1] for match in matches if match)
