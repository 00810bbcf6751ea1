"""The names of CUDA's parts: real ones, by the release that they came with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.redistributables import parse_cuda_name, parse_cuda_version

RELEASES = Path(__file__).with_name("cuda_releases.txt")
OUTPUTS = ("", "-bin", "-dev", "-include", "-lib", "-static", "-stubs")


def real_names() -> Iterator[tuple[str, str]]:
    """Give a CUDA release, and a name of it without nixpkgs' prefix."""
    for line in RELEASES.read_text().splitlines():
        if not line.startswith("#"):
            release, *names = line.split()
            yield from ((release, f"{name}{output}") for name in names for output in OUTPUTS)


def test_there_are_enough_of_them() -> None:
    """With and without prefix."""
    assert 2 * len(set(real_names())) >= 400


def test_a_prefix_tells_the_version_whatever_the_part_calls_itself() -> None:
    """Since nixpkgs 25.11 every redistributable has one."""
    for release, bare in real_names():
        name = parse_cuda_name(f"cuda{release}-{bare}")
        assert (name.cuda, name.known, name.joined) == (release, True, False), bare
        assert name.part == parse_cuda_name(bare).part, bare


def test_without_a_prefix_no_name_tells_a_wrong_version() -> None:
    """The right one, or only which major versions of CUDA it may be of."""
    for release, bare in real_names():
        name = parse_cuda_name(bare)
        assert name.cuda in (release, None), bare
        assert name.known, bare
        assert name.is_of(release), bare


def test_without_a_prefix_a_part_is_of_no_other_release_that_it_tells_apart() -> None:
    """Of none but its own where it is numbered as CUDA is, else of no other major version."""
    majors = {"libcublas", "libcufft", "libnpp", "libnvjpeg"}
    for release, bare in real_names():
        name = parse_cuda_name(bare)
        for other in ("11.8", "12.1", "12.8", "13.0", "13.4"):
            told = other != release and (
                name.cuda is not None
                or (name.part in majors and other.split(".")[0] != release.split(".")[0])
            )
            assert not (told and name.is_of(other)), (bare, other)


@pytest.mark.parametrize(
    "bare",
    [
        *("cuda_cudart-12.8.90", "libcudla-12.8.90", "libnvvm-13.0.88", "cuda_nvcc-11.4.152"),
        *("libnvjitlink-12.8.93", "libnvfatbin-12.8.90", "libnvptxcompiler-13.0.88"),
    ],
)
def test_parts_that_are_numbered_as_cuda_is(bare: str) -> None:
    """They tell the version by themselves."""
    assert parse_cuda_version(bare) == ".".join(bare.split("-")[1].split(".")[:2])


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("cuda-merged-12.8", "12.8"),
        ("cuda12.8-cuda-merged-12.8", "12.8"),
        ("cudatoolkit-joined-11.8", "11.8"),
        ("cudatoolkit-joined-11.8.0", "11.8"),
        ("cuda-native-redist-12.8", "12.8"),
        ("cuda-redist-12.4", "12.4"),
        ("cudatoolkit-12.2.2", "12.2"),
        ("cudatoolkit-12.2.2-unsplit", "12.2"),
        ("cudatoolkit-11.8.0-lib", "11.8"),
    ],
)
def test_joined_toolkits_under_all_their_names(name: str, version: str) -> None:
    """nixpkgs has called them by several."""
    told = parse_cuda_name(name)
    assert (told.cuda, told.joined, told.known) == (version, True, True)
    assert f"{told.part}-{version}" in name
    assert told.version[:2] == tuple(map(int, version.split(".")))
    assert told.output == ("lib" if name.endswith("-lib") else "")


@pytest.mark.parametrize(
    ("name", "majors"),
    [
        ("cudnn-9.8.0.87-lib", ()),
        ("nccl-2.28.7-1", ()),
        ("libnvshmem-3.3.24", ()),
        ("libcutensor-2.2.0.0-lib", ()),
        ("libcusparse_lt-0.6.3.2-lib", ()),
        ("libcublas-11.11.3.6-lib", (11,)),
        ("libcusolver-11.7.3.90-lib", (11, 12)),
        ("libcurand-10.3.9.90", (11, 12, 13)),
        ("libcublas-14.0.0.1", ()),
        ("cccl-13.3.4.3.1", (13,)),
        ("cuda_cccl-13.3.5.0.6", (13,)),
    ],
)
def test_names_that_tell_no_version(name: str, majors: tuple[int, ...]) -> None:
    """At most, of which major versions they may be."""
    told = parse_cuda_name(name)
    assert (told.cuda, told.majors, told.known) == (None, majors, True)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("cuda13.0-cutlass-4.5.2", "13.0"),
        ("cuda12.8-cuda-samples-12.8", "12.8"),
        ("cuda12.8-setup-cuda-hook", "12.8"),
        ("cuda12.8-", None),
        ("python3.12-torch-2.9.1", None),
        ("python3.12-cutensor-2.2.0", None),
        ("python3.12-nvidia-cuda-nvcc-13.0.88", None),
        ("nvidia-cuda-nvcc-13.0.88", None),
        ("cudatoolkit-unwrapped", None),
        ("zlib-1.3.1", None),
        ("", None),
    ],
)
def test_names_of_no_part(name: str, version: str | None) -> None:
    """A prefix tells a version, and makes no part of the toolkit."""
    told = parse_cuda_name(name)
    assert (told.cuda, told.known) == (version, False)


@pytest.mark.parametrize("output", ["doc", "python", "sample", "samples", "man", "info"])
def test_outputs_that_no_compiler_reads(output: str) -> None:
    """cuda_cupti and others have them."""
    assert parse_cuda_name(f"cuda12.8-cuda_cupti-12.8.90-{output}").beside
    assert parse_cuda_name(f"cuda_cupti-12.8.90-{output}").beside
    assert not parse_cuda_name("cuda_cupti-12.8.90-lib").beside


def test_the_drivers_numbers_are_no_cuda_version() -> None:
    """cuda_compat is published with the driver since 2026."""
    assert parse_cuda_version("cuda_compat-610.57.04") is None
    assert parse_cuda_version("cuda13.3-cuda_compat-610.57.04") == "13.3"


@given(name=st.text(st.sampled_from("cudart_nvk-0123456789.lib"), max_size=40))
def test_any_name_is_read(name: str) -> None:
    """Whatever it is, and its version can be compared."""
    told = parse_cuda_name(name)
    assert isinstance(told.is_of("12.8"), bool)
    assert all(number >= 0 for number in told.version)
