"""Which toolkit, and which store objects belong to it: the rules on plain data."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.choice import Reason
from nixenv.road.cuda import CudaNotFound, CudaToolkit, Evidence, choose_toolkit
from nixenv.road.cuda_files import CudaWheels
from nixenv.road.prefix import HEADERS
from nixenv.road.probe import StoreObject
from nixenv.storepath import StorePath
from tests.closures import probe_of, store_path


def cuda(
    name: str,
    *programs: str,
    marker: bool = True,
    stubs: bool = False,
    headers: tuple[str, ...] = (),
    mentions: Sequence[str] = (),
) -> StoreObject:
    path = store_path(name)
    return StoreObject(
        path,
        programs=programs,
        include_dirs=(f"{path}/include",),
        library_dirs=(f"{path}/lib",),
        stub_dirs=(f"{path}/lib/stubs",) if stubs else (),
        cuda_marker=marker,
        headers=headers,
        mentions=tuple(map(store_path, mentions)),
    )


def headers(name: str) -> StoreObject:
    return StoreObject(
        store_path(name),
        include_dirs=(f"{store_path(name)}/include",),
        cuda_marker=True,
        headers=HEADERS,
    )


def libraries(name: str, *, cudart: bool = False) -> StoreObject:
    lib = f"{store_path(name)}/lib"
    return StoreObject(
        store_path(name), library_dirs=(lib,), cuda_marker=True, cudart=lib if cudart else None
    )


def toolkit(
    *objects: StoreObject,
    wanted: str | None = None,
    required: bool = False,
    evidence: Evidence = Evidence(),  # noqa: B008 -- an immutable value
    sites: Sequence[str] = (),
) -> CudaToolkit:
    found = choose_toolkit(
        probe_of(*objects), wanted, required=required, evidence=evidence, sites=sites
    )
    assert found is not None
    return found


NVCC = cuda("cuda12.8-cuda_nvcc-12.8.93", "nvcc")
NVCC_DEV = cuda("cuda12.8-cuda_nvcc-12.8.93-dev")
NVCC_13 = cuda("cuda13.0-cuda_nvcc-13.0.48", "nvcc")
JOINED = cuda("cuda-merged-12.8", "nvcc")


def test_cuda_home_is_where_nvcc_is() -> None:
    """A -dev output of the compiler's own package has no bin/nvcc, whatever its name."""
    found = toolkit(NVCC_DEV, NVCC)
    assert found.nvcc == found.home == NVCC.path
    assert not found.of_wheels


def test_a_wanted_version_is_taken() -> None:
    """--cuda decides, whatever is whole and whatever the program says."""
    whole = cuda("cuda13.0-cuda_nvcc-13.0.48", "nvcc", headers=HEADERS)
    found = toolkit(whole, NVCC, wanted="12.8", evidence=Evidence("13.0", "13.0"))
    assert found.nvcc == NVCC.path
    assert found.others == (whole.path,)


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
    for order in ((odd, NVCC), (NVCC, odd)):
        assert toolkit(*order, wanted="12.8").nvcc == NVCC.path
        assert toolkit(*order, wanted="12.6").nvcc == odd.path


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


# The version --------------------------------------------------------------------------------------


def compiler(version: str, *, whole: bool) -> StoreObject:
    name = f"cuda{version}-cuda_nvcc-{version}.48"
    return cuda(name, "nvcc", headers=HEADERS if whole else ())


@pytest.mark.parametrize(
    ("whole", "bare", "torch", "name", "chosen", "reason"),
    [
        (["12.8", "13.0"], [], "12.8", "13.0", "12.8", Reason.BUILT_FOR),
        (["12.8", "13.0"], [], None, "12.8", "12.8", Reason.ROOT_HAS_VERSION),
        (["12.8"], ["13.0"], "12.8", None, "12.8", Reason.BUILT_FOR),
        (["12.8"], ["13.0"], "13.0", "12.8", "12.8", Reason.ROOT_HAS_VERSION),
        (["12.6", "12.9", "13.0"], [], "12.8", None, "12.9", Reason.NEAREST_WHOLE),
        (["12.6", "13.0"], ["12.8"], "12.8", None, "12.6", Reason.NEAREST_WHOLE),
        (["12.7", "12.9"], [], "12.8", None, "12.9", Reason.NEAREST_WHOLE),
        (["12.7", "13.0"], [], None, "12.8", "12.7", Reason.NEAREST_WHOLE),
        (["12.8", "12.10"], ["13.0"], None, None, "12.10", Reason.HIGHEST_WHOLE),
        (["12.8"], ["13.0"], "11.8", None, "12.8", Reason.HIGHEST_WHOLE),
        ([], ["12.8", "13.0"], "12.8", None, "12.8", Reason.BUILT_FOR),
        ([], ["12.8", "13.0"], None, "12.8", "12.8", Reason.ROOT_HAS_VERSION),
        ([], ["9.2", "12.8", "13.0"], None, None, "13.0", Reason.HIGHEST_VERSION),
    ],
)
def test_the_version_is_what_the_program_says_as_far_as_it_is_whole(
    whole: list[str], bare: list[str], torch: str | None, name: str | None, chosen: str, reason: str
) -> None:
    """A bare nvcc compiles nothing: what is whole comes before what is called right."""
    compilers = [
        *(compiler(version, whole=True) for version in whole),
        *(compiler(version, whole=False) for version in bare),
    ]
    for order in (compilers, compilers[::-1]):
        found = toolkit(*order, evidence=Evidence(torch, name))
        assert (found.version, found.reasons[0]) == (chosen, reason)
        assert found.whole is bool(whole)
        assert set(found.others) == {c.path for c in compilers} - {found.nvcc}


def test_whole_is_nvcc_with_the_headers_of_all_its_members() -> None:
    """One of them has cuda_runtime.h, another crt/host_config.h."""
    runtime = cuda("cuda12.8-cuda_cudart-12.8.90-dev", headers=HEADERS[:1])
    crt = cuda("cuda12.8-cuda_crt-12.8.93", headers=HEADERS[1:])
    foreign = cuda("cuda13.0-cuda_crt-13.0.88", headers=HEADERS[1:])
    assert toolkit(NVCC, runtime, crt).whole
    assert not toolkit(NVCC, runtime, foreign).whole


# The members --------------------------------------------------------------------------------------


def test_a_joined_toolkit_goes_before_the_compiler_alone() -> None:
    """As CUDA_HOME it has headers and libraries too; the same toolkit twice is not several."""
    for order in ((JOINED, NVCC), (NVCC, JOINED)):
        found = toolkit(*order)
        assert (found.nvcc, found.others) == (JOINED.path, ())


def test_a_link_to_nvcc_is_no_second_nvcc() -> None:
    """An environment of links has it in its bin; what is joined under one name is a toolkit."""
    environment = StoreObject(
        store_path("environment-develop"), programs=("nvcc",), linked=(NVCC.path,)
    )
    found = toolkit(NVCC, environment)
    assert (found.nvcc, found.others) == (NVCC.path, ())
    assert toolkit(NVCC, NVCC_13, environment, wanted="13.0").others == (NVCC.path,)
    with pytest.raises(CudaNotFound) as caught:
        toolkit(NVCC, environment, wanted="12.6")
    assert caught.value.present == (f"12.8  {NVCC.path}",)
    joined = JOINED._replace(linked=(NVCC.path,), cuda_marker=False)
    assert toolkit(NVCC, joined).nvcc == joined.path
    marked = cuda("my-own-toolkit", "nvcc")._replace(linked=(NVCC.path,))
    assert toolkit(NVCC, marked, wanted="13.0").nvcc == marked.path
    # Where the one that it leads to is no part of the closure, it is what there is.
    alone = toolkit(environment, wanted="12.8")
    assert alone.nvcc == environment.path


def test_members_have_the_marker_or_a_name_of_the_list_and_the_version() -> None:
    """Another version stays out although marked, and so does a prefix alone."""
    members = [
        NVCC,
        cuda("cuda12.8-libcublas-12.8.4.1-lib", marker=False),
        cuda("cuda_nvrtc-12.8.93-lib", marker=False),
        cuda("libcurand-10.3.9.90-lib", marker=False),
        cuda("cuda12.8-of-tomorrow-1.0"),
        cuda("cudnn-9.8.0.87-lib"),
        cuda("nccl-2.28.7-1", marker=False),
        cuda("cuda12.8-libnvshmem-3.3.24", marker=False),
    ]
    others = [
        cuda("cuda13.0-cuda_cudart-13.0.48"),
        cuda("cuda_cudart-12.6.77"),
        cuda("libcublas-11.11.3.6-lib"),
        cuda("cudatoolkit-joined-11.8"),
        cuda("cuda12.8-cutlass-4.5.2", marker=False),
        cuda("cuda12.8-cuda_cupti-12.8.90-sample"),
        cuda("cuda12.8-cuda_documentation-12.8.90-doc"),
        cuda("cuda12.8-libnpp-12.3.3.100-python"),
        cuda("python3.12-torch-2.9.1", marker=False),
    ]
    found = toolkit(*others, *members)
    assert found.members == found.homes == tuple(found.path for found in members)
    assert found.passed_over == ()


def test_of_several_patch_levels_the_highest_by_number() -> None:
    """12.8.100 goes before 12.8.90; what is left out is told."""
    old, new = (libraries(f"cuda12.8-cuda_cudart-12.8.{n}-lib", cudart=True) for n in (90, 100))
    for order in ((old, new, NVCC), (new, old, NVCC)):
        found = toolkit(*order)
        assert new.path in found.members
        assert found.passed_over == (old.path,)
        assert found.cudart == f"{new.path}/lib"


def test_what_the_highest_lacks_comes_from_another_patch_level() -> None:
    """Its headers; behind everything else, and its libraries only where they are in one object."""
    old = headers("cuda12.8-cuda_cudart-12.8.57-dev")
    older = headers("cuda12.8-cuda_cudart-12.8.37-dev")
    new = libraries("cuda12.8-cuda_cudart-12.8.90-lib")
    found = toolkit(older, old, new, NVCC)
    assert found.members == (new.path, NVCC.path, old.path)
    assert found.passed_over == (older.path,)


def test_of_levels_that_offer_nothing_that_is_known_the_highest() -> None:
    """Of the others only what has something to offer."""
    names = [f"cuda12.8-libnvvm-12.8.{number}" for number in (57, 61, 90, 93)]
    libraries_alone = libraries(names[0])
    bare = [StoreObject(store_path(name), cuda_marker=True) for name in names[1:]]
    found = toolkit(libraries_alone, *bare, NVCC)
    assert found.members == (bare[-1].path, NVCC.path, libraries_alone.path)
    assert found.passed_over == tuple(part.path for part in bare[:-1])


def test_what_nvcc_names_goes_before_a_higher_patch_level() -> None:
    """Its own profile names the cuda_crt and libnvvm that it was built with."""
    right, higher = headers("cuda13.0-cuda_crt-13.0.48"), headers("cuda13.0-cuda_crt-13.0.88")
    nvcc = cuda("cuda13.0-cuda_nvcc-13.0.48", "nvcc", mentions=["cuda13.0-cuda_crt-13.0.48"])
    found = toolkit(higher, right, nvcc)
    assert found.members == (right.path, nvcc.path)
    assert found.passed_over == (higher.path,)


def test_of_several_nvcc_of_one_version_the_highest() -> None:
    """The other is no part of the toolkit, and not several compilers."""
    old = cuda("cuda12.8-cuda_nvcc-12.8.61", "nvcc")
    for order in ((old, NVCC), (NVCC, old)):
        found = toolkit(*order)
        assert (found.nvcc, found.members) == (NVCC.path, (NVCC.path,))
        assert (found.passed_over, found.others) == ((old.path,), ())
    twin = NVCC._replace(path=StorePath(NVCC.path.replace("aaa", "bbb")))
    assert toolkit(twin, NVCC).nvcc == twin.path


def test_of_several_joined_toolkits_of_one_name_the_highest() -> None:
    """Each is whole: headers of two patch levels would be mixed."""
    joined = [cuda(f"cuda-merged-12.8.{number}", "nvcc", "ptxas") for number in (0, 1)]
    for order in (joined, joined[::-1]):
        found = toolkit(*order)
        assert (found.members, found.passed_over) == ((joined[1].path,), (joined[0].path,))


def test_what_is_marked_and_not_on_the_list_has_no_levels() -> None:
    """Nothing says that two of one name are one thing."""
    unknown = [cuda(f"cuda12.8-of-tomorrow-1.{number}") for number in (0, 1)]
    assert toolkit(*unknown, NVCC).members == (*(part.path for part in unknown), NVCC.path)


@given(st.permutations([90, 57, 61, 100]))
def test_the_order_of_the_closure_decides_no_patch_level(order: list[int]) -> None:
    """Whatever comes first."""
    objects = [libraries(f"cuda12.8-cuda_cudart-12.8.{number}-lib") for number in order]
    found = toolkit(*objects, NVCC)
    assert found.members == (store_path("cuda12.8-cuda_cudart-12.8.100-lib"), NVCC.path)


def test_stubs_come_last_and_never_as_libraries() -> None:
    """All of a -stubs output is for linking only, its lib directory too."""
    cudart = cuda("cuda12.8-cuda_cudart-12.8.90-stubs", stubs=True)
    found = toolkit(cudart, NVCC)
    assert found.library_dirs == (f"{NVCC.path}/lib",)
    assert found.stub_dirs == (f"{cudart.path}/lib/stubs", f"{cudart.path}/lib")


def test_the_tools_of_its_members() -> None:
    """Those in nvcc's own bin are on PATH with it."""
    nvcc = cuda("cuda12.8-cuda_nvcc-12.8.93", "nvcc", "ptxas")
    cuobjdump = cuda("cuda12.8-cuda_cuobjdump-12.8.90", "cuobjdump")
    foreign = cuda("cuda13.0-cuda_nvdisasm-13.0.85", "nvdisasm")
    found = toolkit(cuobjdump, nvcc, foreign, wanted="12.8")
    assert found.find_tool("cuobjdump") == f"{cuobjdump.path}/bin/cuobjdump"
    assert found.find_tool("nvdisasm") is None
    assert found.tool_dirs == (f"{cuobjdump.path}/bin",)


# Of Python distributions --------------------------------------------------------------------------


def distribution(name: str, *programs: str, **held: object) -> StoreObject:
    path = store_path(name)
    site = f"{path}/lib/python3.12/site-packages"
    wheels = CudaWheels(
        f"{site}/nvidia/cu13",
        site,
        version="13.0" if "nvcc" in programs else None,
        programs=programs,
        **held,  # type: ignore[arg-type]
    )
    return StoreObject(path, site_packages=("3.12",), wheels=(wheels,))


WHEELS = (
    distribution("nvidia-cuda-nvcc-13.0.88", "nvcc", "ptxas"),
    distribution("nvidia-nvvm-13.0.88", "cicc"),
    distribution("python3.12-nvidia-cuda-crt-13.0.88", headers=HEADERS[1:], include_dirs=("/crt",)),
    distribution("nvidia-cuda-runtime-13.0.96", headers=HEADERS[:1], cudart="/rt/lib"),
)


def in_use(*objects: StoreObject) -> list[str]:
    return [wheels.site for found in objects for wheels in found.wheels]


def test_distributions_make_a_toolkit_together() -> None:
    """Each holds its part of nvidia/cu13, whatever its store object is called."""
    found = toolkit(*WHEELS, sites=in_use(*WHEELS))
    assert found.of_wheels
    assert found.whole
    assert not found.in_one_place
    assert found.version == "13.0"
    assert found.home == WHEELS[0].wheels[0].home
    assert found.nvcc == WHEELS[0].path
    assert found.homes == tuple(part.wheels[0].home for part in WHEELS)
    assert (found.include_dirs, found.cudart) == (("/crt",), "/rt/lib")
    assert found.reasons == (Reason.ONLY_VERSION, Reason.DISTRIBUTIONS)


@pytest.mark.parametrize("missing", range(1, 4))
def test_without_one_of_them_it_is_not_whole(missing: int) -> None:
    """Without cicc, crt or the runtime's headers nvcc compiles nothing."""
    parts = [part for number, part in enumerate(WHEELS) if number != missing]
    assert not toolkit(*parts, sites=in_use(*parts)).whole


def test_only_what_is_in_use_counts() -> None:
    """The wheels of another Python's site-packages do not."""
    assert choose_toolkit(probe_of(*WHEELS), None, required=False) is None
    others = WHEELS[1:]
    assert choose_toolkit(probe_of(*others), None, required=False, sites=in_use(*others)) is None
    assert not toolkit(*WHEELS, sites=in_use(*WHEELS[:1])).whole


def test_the_distributions_of_two_versions_are_two_toolkits() -> None:
    """Those of nvidia/cu12 are no parts of nvidia/cu13."""
    older = distribution("nvidia-cuda-nvcc-12.9.86", "nvcc", "cicc", headers=HEADERS)
    (wheels,) = older.wheels
    wheels = wheels._replace(home=f"{wheels.site}/nvidia/cu12", version="12.9")
    older = older._replace(wheels=(wheels,))
    found = toolkit(older, *WHEELS, sites=in_use(older, *WHEELS))
    assert (found.version, found.others) == ("13.0", (older.path,))
    assert found.members == tuple(part.path for part in WHEELS)
    asked = toolkit(older, *WHEELS, sites=in_use(older, *WHEELS), wanted="12.9")
    assert asked.homes == (wheels.home,)


def test_an_environment_that_has_all_of_it_is_a_cuda_home() -> None:
    """One directory, merged, as pip would have it."""
    env = distribution("python3-3.12.12-env", "nvcc", "cicc", headers=HEADERS)
    found = toolkit(*WHEELS, env, sites=in_use(env, *WHEELS))
    assert found.in_one_place
    assert found.members == (env.path,)


def test_a_whole_toolkit_of_store_objects_goes_before_distributions_of_its_version() -> None:
    """Which need layout linked; a bare nvcc does not."""
    sites = in_use(*WHEELS)
    whole = compiler("13.0", whole=True)
    assert toolkit(*WHEELS, whole, sites=sites).nvcc == whole.path
    bare = compiler("13.0", whole=False)
    assert toolkit(*WHEELS, bare, sites=sites).of_wheels
