"""RECORD: which files a distribution has put into site-packages, by its own word."""

import csv
import io
import os

# That of torch has 12,000 lines, which is 1.3 MB.
_LONGEST = 1 << 24


def read_record(metadata: str) -> tuple[str, ...] | None:
    """Read the paths in a RECORD, relative to site-packages; None where none can be read.

    It is CSV of path, hash and size ("Recording installed projects" of the PyPA specifications), so
    a path with a comma stands in quotes.

    Args:
        metadata: The distribution's ``.dist-info`` directory.
    """
    file = f"{metadata}/RECORD"
    try:
        if not os.path.isfile(file):
            return None
        with open(file, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            text = stream.read(_LONGEST)
        return tuple(row[0] for row in csv.reader(io.StringIO(text)) if row)
    except (OSError, csv.Error):
        return None
