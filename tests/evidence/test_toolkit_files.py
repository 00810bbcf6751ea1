"""The second look at CUDA: what it lists, and what it reads off the real headers."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from fixtures.wheels import fetch_wheels
from nixenv.evidence.toolkit_files import (
    CompilerLimit,
    DirectoryListing,
    ToolkitFiles,
    parse_newest_gcc,
    probe_toolkit_files,
)
from nixenv.road.probe import StoreObject, probe_closure
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath
from tests.closures import probe_of, store_path

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str = "") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


def holder(directory: Path, name: str = "cuda12.8-cuda_cudart-12.8.90") -> StoreObject:
    return StoreObject(
        store_path(name),
        include_dirs=(str(directory / "include"),),
        library_dirs=(str(directory / "lib"),),
        stub_dirs=(str(directory / "lib/stubs"),),
    )


def look(found: StoreObject, cpath: str = "", library_path: str = "") -> ToolkitFiles:
    return probe_toolkit_files(probe_of(found), cpath, library_path)


def test_headers_are_listed_with_the_few_deeper_ones_that_matter(
    write: Write, tmp_path: Path
) -> None:
    """The top level, and one level down only what other headers ask for; no other files."""
    for name in ("cublasLt.h", "nv/target", "nv/detail/x.h", "crt/host_config.h", "README", "a.py"):
        write(f"include/{name}", "")
    (listing,) = look(holder(tmp_path)).headers
    assert listing == DirectoryListing(
        f"{tmp_path}/include", ("crt/host_config.h", "cublasLt.h", "nv/target")
    )


def test_libraries_are_listed_and_stubs_by_themselves(write: Write, tmp_path: Path) -> None:
    """Shared ones by every name, and static ones; what only looks like one is not."""
    libraries = ("libcudart.so", "libcudart.so.12", "libcudart.so.12.8.90", "libcudart_static.a")
    for name in (*libraries, "libcudart.so.bak", "cudart.pc", "stubs/libcuda.so"):
        write(f"lib/{name}", "")
    listings = {item.directory: item.names for item in look(holder(tmp_path)).libraries}
    assert listings == {
        f"{tmp_path}/lib": libraries,
        f"{tmp_path}/lib/stubs": ("libcuda.so",),
    }


def test_only_files_that_can_be_opened_count(write: Write, tmp_path: Path) -> None:
    """A link that leads nowhere or to itself is no header, a directory of that name neither."""
    write("include/real.h", "")
    (tmp_path / "include/linked.h").symlink_to("real.h")
    (tmp_path / "include/dangling.h").symlink_to("nowhere.h")
    (tmp_path / "include/loop.h").symlink_to("loop.h")
    (tmp_path / "include/directory.h").mkdir()
    (listing,) = look(holder(tmp_path)).headers
    assert listing.names == ("linked.h", "real.h")


def test_what_cannot_be_listed_is_empty(write: Write, tmp_path: Path) -> None:
    """A directory that vanished, or that is a file by now, is no error."""
    write("lib", "")
    files = look(holder(tmp_path))
    assert [item.names for item in (*files.headers, *files.libraries)] == [(), (), ()]
    assert files.limits == ()


def test_a_directory_without_end_is_not_read_to_the_end(write: Write, tmp_path: Path) -> None:
    """What has more than ten thousand headers is no toolkit, and is not to fill a snapshot."""
    first = write("include/0.h", "")
    for number in range(1, 10_002):
        (first.parent / f"{number}.h").hardlink_to(first)
    (listing,) = look(holder(tmp_path)).headers
    assert len(listing.names) == 10_000


def test_a_directory_of_two_store_objects_is_listed_once(tmp_path: Path) -> None:
    """Real directories are noted with links followed."""
    files = probe_toolkit_files(probe_of(holder(tmp_path), holder(tmp_path, "cuda-merged-12.8")))
    assert (len(files.headers), len(files.libraries)) == (1, 2)


def test_the_search_paths_of_the_shell_count_too(write: Write, tmp_path: Path) -> None:
    """What is beside the program is found by CPATH and LIBRARY_PATH; nothing is listed twice."""
    write("include/cuda.h", "")
    write("flox/include/nvrtc.h", "")
    write("flox/lib/libnvrtc.so", "")
    (tmp_path / "lib").mkdir()
    cpath = f"{tmp_path}/include:{tmp_path}/flox/include:{tmp_path}/gone:"
    library_path = f"{tmp_path}/flox/lib:{tmp_path}/flox/lib:{tmp_path}/lib"
    files = look(holder(tmp_path), cpath, library_path)
    assert files.given_headers == (DirectoryListing(f"{tmp_path}/flox/include", ("nvrtc.h",)),)
    assert files.given_libraries == (DirectoryListing(f"{tmp_path}/flox/lib", ("libnvrtc.so",)),)


def test_entries_that_depend_on_the_working_directory_are_passed_over(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compilers will be started in another one."""
    write("x.h", "")
    write("below/y.h", "")
    monkeypatch.chdir(tmp_path)
    assert look(holder(tmp_path), ":.:below").given_headers == ()


def test_the_real_header_of_cuda_12_8_takes_gcc_14() -> None:
    """As NVIDIA's documentation says of that version."""
    wheel = fetch_wheels().nvcc / "nvidia/cuda_nvcc"
    nvcc = StoreObject(store_path("cuda_nvcc-12.8.93"), include_dirs=(str(wheel / "include"),))
    assert look(nvcc).limits == (CompilerLimit(nvcc.path, 14),)


def test_the_limit_is_found_in_whichever_store_object_has_the_header(sglang: SglangClosure) -> None:
    """In the closure that Nix built it is nvcc's own; the other CUDA version has none."""
    paths = tuple(map(StorePath, sglang.store.closure(sglang.root)))
    probe = probe_closure(Closure(paths[-1], paths, Origin.NIX, "test"), "sglang")
    nvcc = StorePath(sglang.objects["cuda12.8-cuda_nvcc-12.8.93"])
    assert probe_toolkit_files(probe).limits == (CompilerLimit(nvcc, 14),)


def test_a_header_that_does_not_say_is_told_apart_from_none(write: Write, tmp_path: Path) -> None:
    """The store object is named, its limit is not known."""
    write("include/crt/host_config.h", "#error -- unsupported GNU version!\n")
    found = holder(tmp_path)
    assert look(found).limits == (CompilerLimit(found.path, None),)


@pytest.mark.parametrize("kind", ["pipe", "directory", "dangling"])
def test_a_header_that_is_no_file_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """Nothing hangs, and nothing is raised."""
    header = tmp_path / "include/crt/host_config.h"
    header.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(header)
    elif kind == "directory":
        header.mkdir()
    else:
        header.symlink_to("nowhere")
    assert look(holder(tmp_path)).limits == ()


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        ("#if __GNUC__ > 14\n\n#error -- unsupported GNU version! gcc versions later\n", 14),
        (
            "#if __GNUC__ > 5 || (__GNUC__ == 5 && __GNUC_MINOR__ > 9)\n"
            "#error -- unsupported GNU version! gcc 5.9 and up\n",
            5,
        ),
        ("# if  __GNUC__>9\r\n#  error -- unsupported GNU version!\r\n", 9),
        # The bound that stands last before the refusal is the one that refuses.
        ("#if __GNUC__ > 3\n#endif\n#if __GNUC__ > 12\n#error unsupported GNU version\n", 12),
        ("#if __GNUC__ > 14\n#error -- unsupported ICC configuration!\n", None),
        ("// #if __GNUC__ > 14\n#error -- unsupported GNU version!\n", None),
        ("#if __GNUC__ > 99999999999999999999\n#error -- unsupported GNU version!\n", None),
        ("", None),
    ],
    ids=["12.8", "8.0", "spaces", "last", "other", "comment", "absurd", "empty"],
)
def test_the_newest_gcc_is_read_off_the_refusal(text: str, newest: int | None) -> None:
    """It is the bound above NVIDIA's own #error, and no other number."""
    assert parse_newest_gcc(text) == newest


@given(st.binary())
def test_no_bytes_in_the_header_are_an_error(content: bytes) -> None:
    """It is read as what it is, a file from somewhere."""
    assert parse_newest_gcc(os.fsdecode(content)) is None


@given(st.integers(1, 999), st.text(), st.text())
def test_the_bound_is_found_whatever_is_around_it(newest: int, before: str, after: str) -> None:
    """Lines before and after it do not matter, unless they are bounds or refusals themselves."""
    bound = f"#if __GNUC__ > {newest}\n#error -- unsupported GNU version!\n"
    assert parse_newest_gcc(f"{before}\n{bound}{after}") == newest
