"""What a store object is there for, by its name and by what it holds. Pure."""

import re
from enum import StrEnum

from nixenv.road.probe import StoreObject
from nixenv.road.redistributables import parse_cuda_version
from nixenv.storepath import StorePath, store_name

_PYTHON = re.compile(r"python\d*(?:\.\d+)*t?-.+")


class Group(StrEnum):
    """What a store object is there for."""

    PYTHON = "python"
    CUDA = "cuda"
    OTHER = "other"


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
