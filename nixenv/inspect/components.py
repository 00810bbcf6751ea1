"""What the name of a store path tells a person: which component, its version, which output. Pure.

nixpkgs writes ``[cudaX.Y-|pythonX.Y-]NAME-VERSION[-OUTPUT]``.
"""

import re
from enum import StrEnum

from attrs import frozen

from nixenv.road.cuda import parse_cuda_version
from nixenv.road.probe import StoreObject
from nixenv.storepath import StorePath, store_name

_PREFIX = re.compile(r"(?:cuda|python)\d+\.\d+-(?=.)")
# As Nix itself splits a name (`DrvName`): at the first dash that no letter follows.
_VERSION = re.compile(r"(?P<name>.+?)-(?P<version>[^A-Za-z].*)")
# The outputs that nixpkgs' derivations have; other words at the end belong to the version.
_OUTPUT = re.compile(
    r"(?P<version>.+)-(?P<output>"
    r"bin|cxxdev|data|debug|dev|devdoc|dist|doc|include|info|lib|libgcc|man|out|static|stubs)"
)
_PYTHON = re.compile(r"python\d*(?:\.\d+)*-.+")


class Group(StrEnum):
    """What a store object is there for."""

    PYTHON = "python"
    CUDA = "cuda"
    OTHER = "other"


@frozen
class Component:
    """What a store name says.

    Attributes:
        name: Without prefix and version: ``libcublas`` of ``cuda12.8-libcublas-12.8.4.1-lib``.
        version: ``12.8.4.1``; empty when the name has none.
        output: ``lib``; empty for the main one.
    """

    name: str
    version: str
    output: str

    @property
    def release(self) -> str:
        """Version and output together, as the store name has them: ``12.8.4.1-lib``."""
        return "-".join(filter(None, (self.version, self.output)))


def parse_component(name: str) -> Component:
    """Take a store name apart.

    >>> parse_component("cuda12.8-libcublas-12.8.4.1-lib")
    Component(name='libcublas', version='12.8.4.1', output='lib')
    >>> parse_component("glibc-2.40-66").release
    '2.40-66'
    """
    rest = _PREFIX.sub("", name, count=1)
    versioned = _VERSION.fullmatch(rest)
    if versioned is None:
        return Component(rest, "", "")
    split = _OUTPUT.fullmatch(versioned["version"])
    if split is None:
        return Component(versioned["name"], versioned["version"], "")
    return Component(versioned["name"], split["version"], split["output"])


def group_of(path: StorePath, found: StoreObject | None) -> Group:
    """Say what a store object is there for.

    Args:
        path: Its store path.
        found: What the probe noted on it, if anything.
    """
    name = store_name(path)
    if _PYTHON.fullmatch(name) or (found and (found.site_packages or found.pythons)):
        return Group.PYTHON
    if parse_cuda_version(name) or (found and found.cuda_marker):
        return Group.CUDA
    return Group.OTHER
