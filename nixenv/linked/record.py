"""RECORD: which files a distribution has put into site-packages, by its own word."""

import csv
import io

from nixenv.road.disk import read_head
from nixenv.text import decode

# That of torch has 12,000 lines, which is 1.3 MB.
_LONGEST = 1 << 24

# Longer, or in more directories, is no path of a file that was ever installed; and who asks for all
# the directories of such a path gets gigabytes.
_LONGEST_PATH = 1 << 10
_DEEPEST_PATH = 1 << 6


def is_path(text: str) -> bool:
    """Whether what a distribution says of its files can be the path of one."""
    is_short = len(text) <= _LONGEST_PATH and text.count("/") < _DEEPEST_PATH
    return is_short and "\0" not in text


def read_record(metadata: str) -> tuple[str, ...] | None:
    """Read the paths in a RECORD, relative to site-packages; None where none can be read.

    It is CSV of path, hash and size ("Recording installed projects" of the PyPA specifications), so
    a path with a comma stands in quotes.

    Args:
        metadata: The distribution's ``.dist-info`` directory.
    """
    try:
        head = read_head(f"{metadata}/RECORD", _LONGEST)
        if head is None:
            return None
        text = io.StringIO(decode(head), newline="")
        return tuple(row[0] for row in csv.reader(text) if row and is_path(row[0]))
    except (OSError, csv.Error):
        return None
