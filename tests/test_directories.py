"""Directories that are built beside their place, by real file operations."""

import os
import stat
from pathlib import Path

import pytest

from nixenv.directories import put_directory, remove_directory


def fill_with(text: str, scratch: str) -> None:
    (Path(scratch) / "file").write_text(text)


def test_a_directory_is_there_whole_with_its_mode(tmp_path: Path) -> None:
    """Whatever the mask; and nothing is left beside it."""
    target = tmp_path / "target"
    before = os.umask(0o077)
    try:
        put_directory(str(target), lambda s: fill_with("new", s), target.exists, mode=0o755)
    finally:
        os.umask(before)
    assert (target / "file").read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert os.listdir(tmp_path) == ["target"]


def test_one_that_is_whole_stays_and_one_that_is_not_is_replaced(tmp_path: Path) -> None:
    """Also where a file or a link is in its place."""
    target = tmp_path / "target"

    def is_whole() -> bool:
        return target.is_dir() and (target / "file").read_text() == "whole"

    def break_it() -> None:
        target.mkdir()
        fill_with("broken", str(target))

    for make in (
        break_it,
        lambda: target.write_text("a file"),
        lambda: target.symlink_to("nowhere"),
    ):
        make()
        put_directory(str(target), lambda s: fill_with("whole", s), is_whole)
        assert is_whole()
        put_directory(str(target), lambda s: fill_with("another", s), is_whole)
        assert is_whole()
        remove_directory(str(target))
        assert os.listdir(tmp_path) == []


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """Neither a half-made one, nor anything in its place."""

    def fail(scratch: str) -> None:
        fill_with("half", scratch)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        put_directory(str(tmp_path / "target"), fail, lambda: False)
    assert os.listdir(tmp_path) == []
