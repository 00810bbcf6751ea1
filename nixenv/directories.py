"""Directories that are there whole or not at all."""

import os
import shutil
from collections.abc import Callable

from nixenv.files import name_beside


def put_directory(
    target: str, fill: Callable[[str], object], is_whole: Callable[[], bool], mode: int = 0o700
) -> None:
    """Build a directory beside its place, then rename it into it.

    Where another has put one there meanwhile, that one stays if it is whole. One that is not is
    taken away first; nobody sees it half-removed where that can be had.

    Args:
        target: Its place.
        fill: Called with the directory that is being built.
        is_whole: Whether what is in its place can stay there.
        mode: Its mode, whatever the mask.

    Raises:
        OSError: it cannot be built; nothing is left behind.
    """
    scratch = name_beside(target)
    os.mkdir(scratch)
    try:
        os.chmod(scratch, mode)
        fill(scratch)
        if os.path.lexists(target) and not is_whole():
            remove_directory(target)
        try:
            os.rename(scratch, target)
        except OSError:
            if not is_whole():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_directory(directory: str) -> None:
    """Move a directory, or what is in its place, aside and remove it.

    Raises:
        OSError: it cannot be removed.
    """
    aside = name_beside(directory)
    try:
        os.rename(directory, aside)
    except OSError:
        aside = directory  # a directory in the lower layer of an overlay cannot be renamed
    if os.path.isdir(aside) and not os.path.islink(aside):
        shutil.rmtree(aside)
    else:
        os.unlink(aside)
