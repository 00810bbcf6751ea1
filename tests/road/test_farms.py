"""Where farms lie: a name tells all that its farm depends on, and nothing else."""

import pytest

from nixenv.road.classify import Inventory, Program
from nixenv.road.cuda import CudaToolkit
from nixenv.road.farms import Farms, canonical_homes, list_landmarks, place_farms
from nixenv.road.on_top import OnTop
from nixenv.road.python import Interpreter, SitePackages
from tests.closures import store_path

NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
CUDART = store_path("cuda12.8-cuda_cudart-12.8.90")
PYTHON = store_path("python3-3.12.12")
TOOLKIT = CudaToolkit("12.8", NVCC, NVCC, (), members=(CUDART, NVCC), homes=(CUDART, NVCC))
INVENTORY = Inventory(
    root=store_path("root"),
    interpreter=Interpreter(PYTHON, "3.12", (), ()),
    site_packages=(SitePackages("/s/one", own=True), SitePackages("/s/two", own=False)),
    cuda=TOOLKIT,
    host_compiler=None,
    ninja=None,
    program=Program("sglang", "/p/bin/sglang", (("A", "b"),)),
)


def place(**changes: object) -> Farms:
    return place_farms(INVENTORY._replace(**changes), "/farms")  # type: ignore[arg-type]


HERE = place()


def test_both_lie_in_the_directory_under_names_that_say_what_they_are() -> None:
    """With the version, and a digest of the rest."""
    assert HERE.virtualenv is not None
    assert HERE.toolkit is not None
    assert HERE.virtualenv.startswith("/farms/python3.12-")
    assert HERE.toolkit.startswith("/farms/cuda12.8-")
    assert {len(farm.rpartition("-")[2]) for farm in HERE.directories} == {16}
    assert HERE.directories == (HERE.virtualenv, HERE.toolkit)


@pytest.mark.parametrize(
    "changes",
    [
        {"interpreter": Interpreter(store_path("python3-3.12.13"), "3.12", (), ())},
        {"interpreter": Interpreter(PYTHON, "3.12", (), (), base=store_path("base"))},
        {"interpreter": Interpreter(PYTHON, "3.13", (), ())},
        {"site_packages": INVENTORY.site_packages[::-1]},
        {"site_packages": INVENTORY.site_packages[:1]},
        {"site_packages": tuple(p._replace(own=True) for p in INVENTORY.site_packages)},
        {"site_packages": tuple(p._replace(content=("x",)) for p in INVENTORY.site_packages)},
        {"program": Program("vllm", "/p/bin/sglang", (("A", "b"),))},
        {"program": Program("sglang", "/q/bin/sglang", (("A", "b"),))},
        {"program": Program("sglang", "/p/bin/sglang", (("A", "c"),))},
        {"program": Program("sglang", "/p/bin/sglang")},
        {"program": None},
    ],
)
def test_what_a_virtual_environment_depends_on(changes: dict[str, object]) -> None:
    """Another interpreter, other modules or another program have a farm of their own."""
    there = place(**changes)
    assert there.virtualenv != HERE.virtualenv
    assert there.toolkit == HERE.toolkit


@pytest.mark.parametrize(
    "changes",
    [
        {"root": store_path("other")},
        {"interpreter": Interpreter(PYTHON, "3.12", (), (store_path("x"),))},
        {"on_top": OnTop("/v", "/q", fits=True, kept=False)},
        {"torch_cuda": "12.8"},
        {"cuda": TOOLKIT._replace(members=(NVCC, CUDART), homes=(NVCC, CUDART))},
    ],
)
def test_what_no_farm_depends_on(changes: dict[str, object]) -> None:
    """Neither the root nor the order of the toolkit's members: builds would begin anew."""
    assert place(**changes) == HERE


def test_what_is_in_a_flox_environment_counts_and_not_where_it_is() -> None:
    """Its path changes whenever anything is installed."""
    one, other = (
        place(site_packages=(SitePackages(path, own=False, content=("x", "y")),))
        for path in ("/flox/1", "/flox/2")
    )
    assert one == other


def test_without_python_or_cuda_there_is_no_farm_for_it() -> None:
    """Nor for a Python that the user's own virtual environment stands in front of."""
    assert place(interpreter=None) == Farms(None, HERE.toolkit)
    assert place(cuda=None) == Farms(HERE.virtualenv, None)
    assert place(cuda=None).directories == (HERE.virtualenv,)
    kept = OnTop("/v", "/q", fits=True, kept=True)
    assert place(on_top=kept) == Farms(None, HERE.toolkit)


def test_a_toolkits_parts_are_ordered_by_themselves() -> None:
    """nvcc's home first, then by name."""
    assert canonical_homes(TOOLKIT) == (NVCC, CUDART)
    a, b = store_path("a"), store_path("b")
    mixed = TOOLKIT._replace(members=(b, NVCC, a), homes=("/b/home", NVCC, "/a/home"))
    assert canonical_homes(mixed) == (NVCC, "/a/home", "/b/home")


def test_the_landmarks_of_a_farm() -> None:
    """The program that it is there for, and directories in which nobody else writes."""
    assert list_landmarks("/farms/python3.13t-12ab") == (
        "/farms/python3.13t-12ab/bin/python3.13t",
        (
            "/farms/python3.13t-12ab",
            "/farms/python3.13t-12ab/bin",
            "/farms/python3.13t-12ab/lib/python3.13t/site-packages",
        ),
    )
    farm = "/farms/cuda12.8-12ab"
    assert list_landmarks(farm) == (
        f"{farm}/bin/nvcc",
        (farm, f"{farm}/bin", f"{farm}/include", f"{farm}/lib"),
    )
