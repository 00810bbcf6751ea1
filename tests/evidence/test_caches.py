"""What JIT compilers left in the cache directories."""

from pathlib import Path

import pytest

from nixenv.evidence.caches import BuildFile, find_build_files, parse_cuda_home


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
    assert list(find_build_files([str(tmp_path), "/no/such/cache"])) == [BuildFile(deep, "/x")]


def test_a_tree_without_end_is_left(tmp_path: Path) -> None:
    """A look goes so deep and no deeper."""
    build_file(tmp_path.joinpath(*"abcdefghijklmno"), "cuda_home = /x\n")
    assert list(find_build_files([str(tmp_path)])) == []
