"""What directories take, and what JIT compilers left there."""

import os
from pathlib import Path

import pytest

from nixenv.evidence.caches import (
    BuildFile,
    CacheContents,
    look_into_caches,
    parse_cuda_home,
    probe_directory,
)
from tests.machine import NEEDS_ROOT


def build_file(directory: Path, text: str) -> str:
    directory.mkdir(parents=True)
    file = directory / "build.ninja"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("text", "cuda_home"),
    [
        (
            "cxx = c++\ncuda_home = /store/cuda\nnvcc = $cuda_home/bin/nvcc\n",
            "/store/cuda",
        ),
        ("cxx = c++\nnvcc = /usr/local/cuda/bin/nvcc\n", "/usr/local/cuda"),
        ("cuda_home = /a$ b\n", "/a b"),
        ("cxx = c++\n", None),
        ("# cuda_home = /x\n", None),
    ],
)
def test_which_toolkit_a_build_file_is_for(text: str, cuda_home: str | None) -> None:
    """As flashinfer and tvm-ffi write it, and as torch does; some are for none."""
    assert parse_cuda_home(text) == cuda_home


def test_build_files_are_found_where_they_lie(tmp_path: Path) -> None:
    """In whatever depth; not behind links, and no file of another name."""
    deep = build_file(tmp_path / "a/b/c", "cuda_home = /x\n")
    (tmp_path / "a/other.ninja").write_text("cuda_home = /y\n")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    build_file(tmp_path / "plain", "cxx = c++\n")
    assert look_into_caches({"A": str(tmp_path), "B": "/no/such/cache"}).build_files == (
        BuildFile(deep, "/x"),
    )


def test_a_tree_without_end_is_left(tmp_path: Path) -> None:
    """A look goes so deep and no deeper."""
    build_file(tmp_path.joinpath(*"abcdefghijklmno"), "cuda_home = /x\n")
    assert look_into_caches({"A": str(tmp_path)}).build_files == ()


def test_a_lock_that_is_held_and_one_that_is_not(tmp_path: Path) -> None:
    """torch keeps its lock open; what lies elsewhere under that name is no lock of torch's."""
    held, dead, other = (tmp_path / name / "x/lock" for name in ("torch", "torch/cu128", "triton"))
    for lock in (held, dead, other):
        lock.parent.mkdir(parents=True)
        lock.write_text("")
    directories = {"TORCH_EXTENSIONS_DIR": f"{tmp_path}/torch", "T": f"{tmp_path}/triton"}
    with held.open():
        assert look_into_caches(directories).dead_locks == (str(dead),)
    assert look_into_caches(directories).dead_locks == (str(dead), str(held))


@NEEDS_ROOT
def test_directories_of_another_user(tmp_path: Path) -> None:
    """The topmost of each tree; the directory that the user named is not judged."""
    for directory in ("a", "a/b", "c"):
        (tmp_path / directory).mkdir()
    for directory in ("", "a", "a/b"):
        os.chown(tmp_path / directory, 54321, 54321)
    (found,) = look_into_caches({"A": str(tmp_path)}).foreign
    assert (found.path, found.owner, found.is_closed) == (f"{tmp_path}/a", "54321", False)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    """But who looked."""
    found = look_into_caches({"TORCH_EXTENSIONS_DIR": str(tmp_path), "B": "/a\0b"})
    assert found == CacheContents(found.user)
    assert found.user


def test_the_room_in_a_directory(tmp_path: Path) -> None:
    """Of the file system that it lies on, or would."""
    state = probe_directory("A", f"{tmp_path}/not/yet")
    system = os.statvfs(tmp_path)
    assert state.free is not None
    assert 0 <= state.free <= system.f_blocks * system.f_frsize
    assert state.is_noexec == bool(system.f_flag & os.ST_NOEXEC)
