"""Files are read whole and with an end, and written whole or not at all."""

import os
from pathlib import Path

import pytest

from nixenv.files import read_file, write_atomically


def test_a_file_is_read_behind_links(tmp_path: Path) -> None:
    """All of its bytes."""
    (tmp_path / "file").write_bytes(b"a\0b\xff")
    (tmp_path / "link").symlink_to("file")
    assert read_file(str(tmp_path / "link"), 4) == b"a\0b\xff"


def test_what_is_longer_than_allowed_is_refused(tmp_path: Path) -> None:
    """Instead of filling the memory."""
    (tmp_path / "file").write_bytes(b"12345")
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(str(tmp_path / "file"), 4)


@pytest.mark.parametrize("thing", ["fifo", "directory", "/dev/zero", "/dev/tty"])
def test_what_is_no_file_is_not_waited_for(thing: str, tmp_path: Path) -> None:
    """A FIFO without a writer, a device without an end."""
    place = tmp_path / "thing"
    if thing == "fifo":
        os.mkfifo(place)
    elif thing == "directory":
        place.mkdir()
    else:
        place.symlink_to(thing)
    with pytest.raises(OSError, match="no regular file|No such device|Is a directory"):
        read_file(str(place), 4)


def test_a_file_can_be_dated(tmp_path: Path) -> None:
    """By who says when what is in it was true."""
    write_atomically(str(tmp_path / "file"), "text", modified=1_700_000_000_000_000_001)
    assert (tmp_path / "file").stat().st_mtime_ns == 1_700_000_000_000_000_001
