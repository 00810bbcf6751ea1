"""Whose cache: where directories go below one that others may write."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nixenv.places import (
    CacheUntrusted,
    find_cache_dir,
    find_private_directory,
    make_private_directory,
)
from tests.machine import NEEDS_ROOT

ME = os.geteuid()


def find(cache: Path, relative: str = "triton") -> str:
    return find_private_directory(str(cache), relative)


def test_one_that_is_not_there_gets_its_plain_name(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    assert find(tmp_path) == f"{tmp_path}/triton"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_it_is_made_for_its_owner_alone(mask: int, tmp_path: Path) -> None:
    """Whatever the mask, so that it is found again as it was made."""
    before = os.umask(mask)
    try:
        make_private_directory(find(tmp_path))
    finally:
        os.umask(before)
    assert (tmp_path / "triton").stat().st_mode & 0o777 == 0o700
    assert find(tmp_path) == f"{tmp_path}/triton"
    make_private_directory(find(tmp_path))


@pytest.mark.parametrize(
    "take",
    [
        lambda path: path.mkdir(0o777) or path.chmod(0o777),
        lambda path: path.mkdir() or path.chmod(0o720),
        lambda path: path.symlink_to("elsewhere"),
        lambda path: path.write_text(""),
        os.mkfifo,
    ],
    ids=["world", "group", "link", "file", "fifo"],
)
def test_another_name_is_taken_where_that_one_is_not_ours_alone(
    take: Callable[[Path], object], tmp_path: Path
) -> None:
    """With the user's id; and it stays that one when the other is gone."""
    take(tmp_path / "triton")
    own = f"{tmp_path}/triton-{ME}"
    assert find(tmp_path) == own
    make_private_directory(own)
    (tmp_path / "triton").rename(tmp_path / "moved")
    assert find(tmp_path) == own


def test_each_part_of_a_path_is_judged(tmp_path: Path) -> None:
    """A directory of ours in one that others may write can be replaced with it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o777)
    assert find(tmp_path, "a/b") == f"{tmp_path}/a-{ME}/b"


def test_nothing_is_taken_where_both_names_are_others(tmp_path: Path) -> None:
    """Refused by name, with what to do; nor is it made in a race with others."""
    for name in ("triton", f"triton-{ME}"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    with pytest.raises(CacheUntrusted, match=r"triton can be written by others \(mode 0777\)"):
        find(tmp_path)
    with pytest.raises(CacheUntrusted, match="triton can be written by others"):
        make_private_directory(f"{tmp_path}/triton")


@NEEDS_ROOT
def test_another_users_directory_is_not_ours(tmp_path: Path) -> None:
    """However it is closed: its owner can open it."""
    (tmp_path / "triton").mkdir(0o700)
    os.chown(tmp_path / "triton", 12345, -1)
    assert find(tmp_path) == f"{tmp_path}/triton-0"


def test_a_relative_cache_directory_of_xdg_is_ignored() -> None:
    """As its specification has it: it would be another one in each directory."""
    environ = {"XDG_CACHE_HOME": "cache", "HOME": "/home/me"}
    assert find_cache_dir(environ) == "/home/me/.cache/nixenv"
