"""Which toolkit, and which store objects belong to it: the rules on plain data."""

import pytest

from nixenv.road.choice import Choice, Reason
from nixenv.road.cuda import (
    CudaNotFound,
    CudaToolkit,
    choose_host_compiler,
    choose_ninja,
    choose_toolkit,
    parse_cuda_version,
)
from nixenv.road.probe import StoreObject
from tests.closures import probe_of, store_path


def cuda(name: str, *programs: str, marker: bool = True, stubs: bool = False) -> StoreObject:
    path = store_path(name)
    return StoreObject(
        path,
        programs=programs,
        include_dirs=(f"{path}/include",),
        library_dirs=(f"{path}/lib",),
        stub_dirs=(f"{path}/lib/stubs",) if stubs else (),
        cuda_marker=marker,
    )


def toolkit(
    *objects: StoreObject, wanted: str | None = None, required: bool = False
) -> CudaToolkit:
    found = choose_toolkit(probe_of(*objects), wanted, required=required)
    assert found is not None
    return found


NVCC = cuda("cuda12.8-cuda_nvcc-12.8.93", "nvcc")
NVCC_DEV = cuda("cuda12.8-cuda_nvcc-12.8.93-dev")
NVCC_13 = cuda("cuda13.0-cuda_nvcc-13.0.48", "nvcc")
JOINED = cuda("cuda-merged-12.8", "nvcc")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("cuda12.8-cuda_nvcc-12.8.93", "12.8"),
        ("cuda12.8-libcublas-12.8.4.1-lib", "12.8"),
        ("cuda13.0-cudnn-9.13.0", "13.0"),
        ("cuda_nvcc-12.8.93", "12.8"),
        ("cuda_cudart-12.8.90-stubs", "12.8"),
        ("libcublas-11.11.3.6-lib", None),
        ("cuda-merged-12.8", "12.8"),
        ("cudatoolkit-12.2.2", "12.2"),
        ("libcurand-10.3.9.90-lib", None),
        ("cudnn-9.13.0-lib", None),
        ("python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9", None),
        ("python3.12-cuda-bindings-12.8.0", None),
        ("my-cuda_nvcc-12.8.93", None),
        ("xcuda12.8-a", None),
    ],
)
def test_the_version_in_a_name(name: str, version: str | None) -> None:
    """Prefixed, unprefixed and joined names tell it; nothing else does, and never a substring."""
    assert parse_cuda_version(name) == version


def test_cuda_home_is_where_nvcc_is() -> None:
    """A -dev output of the compiler's own package has no bin/nvcc, whatever its name."""
    assert toolkit(NVCC_DEV, NVCC).nvcc == NVCC.path


def test_the_highest_version_is_taken_by_number_and_the_others_are_told() -> None:
    """13.0 goes before 12.8 and 9.2, wherever they stand."""
    old = cuda("cuda9.2-cuda_nvcc-9.2.88", "nvcc")
    found = toolkit(NVCC_13, NVCC, old)
    assert (found.version, found.nvcc) == ("13.0", NVCC_13.path)
    assert found.others == (NVCC.path, old.path)


def test_a_wanted_version_is_taken() -> None:
    """--cuda decides."""
    assert toolkit(NVCC_13, NVCC, wanted="12.8").nvcc == NVCC.path


def test_a_wanted_version_that_is_not_there_lists_what_is() -> None:
    """Also where the profile does not require CUDA: it was asked for."""
    with pytest.raises(CudaNotFound, match="CUDA 11.8 (.|\n)*12.8 .*nvcc-12.8.93\n.*--cuda X.Y"):
        toolkit(NVCC, wanted="11.8")


def test_none_is_none_unless_required() -> None:
    """A CPU-only closure is fine."""
    assert choose_toolkit(probe_of(NVCC_DEV), None, required=False) is None
    with pytest.raises(CudaNotFound, match="no store object with bin/nvcc in the closure"):
        choose_toolkit(probe_of(NVCC_DEV), None, required=True)


def test_a_compiler_of_unknown_version_is_taken_at_the_users_word() -> None:
    """Its name tells nothing, --cuda does."""
    odd = cuda("my-own-toolkit", "nvcc", marker=False)
    assert choose_toolkit(probe_of(odd), None, required=False) is None
    assert toolkit(odd, wanted="12.8").include_dirs == (f"{odd.path}/include",)


def test_a_joined_toolkit_goes_before_the_compiler_alone() -> None:
    """As CUDA_HOME it has headers and libraries too."""
    assert toolkit(JOINED, NVCC).nvcc == JOINED.path
    assert toolkit(NVCC, JOINED).nvcc == JOINED.path


@pytest.mark.parametrize(
    ("objects", "wanted", "reasons"),
    [
        ((NVCC,), None, (Reason.ONLY_VERSION, Reason.NVCC_OF_VERSION)),
        ((NVCC, NVCC_13), None, (Reason.HIGHEST_VERSION, Reason.NVCC_OF_VERSION)),
        ((NVCC, NVCC_13), "12.8", (Reason.ASKED_FOR, Reason.NVCC_OF_VERSION)),
        ((NVCC, JOINED), None, (Reason.ONLY_VERSION, Reason.JOINED_TOOLKIT)),
        ((cuda("my-own-toolkit", "nvcc"),), "12.8", (Reason.ASKED_FOR, Reason.TOLD_BY_USER)),
    ],
)
def test_the_toolkit_tells_why_it_was_chosen(
    objects: tuple[StoreObject, ...], wanted: str | None, reasons: tuple[Reason, ...]
) -> None:
    """Why this version, then why this store object."""
    assert toolkit(*objects, wanted=wanted).reasons == reasons


def test_members_have_the_marker_or_the_name_and_the_version() -> None:
    """Another version stays out although marked; a library that numbers itself needs the marker."""
    members = [
        NVCC,
        cuda("cuda12.8-libcublas-12.8.4.1-lib", marker=False),
        cuda("cuda_nvrtc-12.8.93-lib", marker=False),
        cuda("libcurand-10.3.9.90-lib"),
    ]
    others = [
        cuda("cuda13.0-cuda_cudart-13.0.48"),
        cuda("cuda_cudart-12.6.77"),
        cuda("libcurand-10.3.7.77-lib", marker=False),
        cuda("python3.12-torch-2.9.1", marker=False),
    ]
    assert toolkit(*others, *members).members == tuple(found.path for found in members)


def test_stubs_come_last_and_never_as_libraries() -> None:
    """All of a -stubs output is for linking only, its lib directory too."""
    cudart = cuda("cuda12.8-cuda_cudart-12.8.90-stubs", stubs=True)
    found = toolkit(cudart, NVCC)
    assert found.library_dirs == (f"{NVCC.path}/lib",)
    assert found.stub_dirs == (f"{cudart.path}/lib/stubs", f"{cudart.path}/lib")


def test_the_host_compiler_is_the_one_that_nvcc_names() -> None:
    """Else the newest by number."""
    old, new = (
        StoreObject(store_path(f"gcc-wrapper-{v}"), programs=("gcc", "g++"))
        for v in ("9.5.0", "14.3.0")
    )
    other = StoreObject(store_path("gcc-14.3.0"), programs=("gcc", "g++"))
    naming = StoreObject(NVCC.path, programs=("nvcc",), host_compiler=f"{old.path}/bin")
    probe = probe_of(old, other, new, naming)
    assert choose_host_compiler(probe, choose_toolkit(probe, None, required=True)) == (
        old.path,
        Reason.NVCC_NAMES_IT,
    )
    probe = probe_of(old, other, new, NVCC)
    newest = Choice(new.path, Reason.NEWEST_GCC)
    assert choose_host_compiler(probe, choose_toolkit(probe, None, required=True)) == newest
    assert choose_host_compiler(probe_of(old, other, new), None) == newest
    assert choose_host_compiler(probe_of(other), None) is None


def test_ninja_is_the_newest() -> None:
    """By number, of those that are called so; what else brings the program comes behind them."""
    old, new = (
        StoreObject(store_path(f"ninja-{version}"), programs=("ninja",))
        for version in ("1.9", "1.13.1")
    )
    module = StoreObject(store_path("python3.12-ninja-1.11.1"), programs=("ninja",))
    assert choose_ninja(probe_of(old, new, module)) == (new.path, Reason.NEWEST_NINJA)
    assert choose_ninja(probe_of(module, new, old)) == (new.path, Reason.NEWEST_NINJA)
    assert choose_ninja(probe_of(module)) == (module.path, Reason.HAS_NINJA)
    assert choose_ninja(probe_of()) is None
