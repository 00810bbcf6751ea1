"""The second look at CUDA: what it lists, and what it reads off the real headers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nixenv.evidence.toolkit_files import (
    DirectoryListing,
    ToolkitFiles,
    probe_toolkit_files,
)
from nixenv.road.cuda_files import CudaWheels
from nixenv.road.probe import StoreObject
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


def test_what_is_beside_nvcc_in_nvvm_is_listed(write: Write, tmp_path: Path) -> None:
    """numba looks there for libnvvm; of an object without nvcc it is nobody's."""
    write("nvvm/lib64/libnvvm.so.4", "")
    found = holder(tmp_path)
    assert f"{tmp_path}/nvvm/lib64" not in {item.directory for item in look(found).libraries}
    listings = look(found._replace(path=StorePath(str(tmp_path)), programs=("nvcc",))).libraries
    assert DirectoryListing(f"{tmp_path}/nvvm/lib64", ("libnvvm.so.4",)) in listings


def test_the_parts_among_the_wheels_are_listed(write: Write, tmp_path: Path) -> None:
    """As those of store objects."""
    write("nvidia/cu13/include/cuda_runtime.h", "")
    home = f"{tmp_path}/nvidia/cu13"
    wheels = CudaWheels(home, str(tmp_path), include_dirs=(f"{home}/include",))
    found = StoreObject(store_path("nvidia-cuda-runtime-13.0.96"), wheels=(wheels,))
    assert look(found).headers == (DirectoryListing(f"{home}/include", ("cuda_runtime.h",)),)
