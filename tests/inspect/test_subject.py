"""`inspect NAME`: what a name means, who has it, who wins and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from nixenv import Finding, classify, probe_closure, query_closure
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import Distribution, SiteListing, probe_distributions
from nixenv.evidence.graph import Graph, Registration, query_graph
from nixenv.evidence.machine import Machine
from nixenv.evidence.toolkit_files import DirectoryListing, ToolkitFiles, probe_toolkit_files
from nixenv.findings import Code, Severity
from nixenv.inspect.components import Group
from nixenv.inspect.lookup import Kind, NothingCalled
from nixenv.inspect.subject import OBJECT_LIMIT, Aspect, FindingNotThere, Subject, describe_subject
from nixenv.inspect.views.subject import show_subject
from nixenv.road.choice import Choice, Reason
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.host_compiler import HostCompiler
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.python import Interpreter, SitePackages
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath
from tests.closures import site_packages, store_path

ROOT = store_path("python3.12-sglang-0.5.9")
PYTHON = store_path("python3-3.12.12")
OLD = store_path("python3.12-packaging-20.9")
NEW = store_path("python3.12-packaging-25.0")
OTHER = store_path("python3.13-packaging-24.0")
NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
CUDART = store_path("cuda12.8-cuda_cudart-12.8.90")
STUBS = store_path("cuda12.8-cuda_cudart-12.8.90-stubs")
CUDART13 = store_path("cuda13.0-cuda_cudart-13.0.48")
CUBLAS = store_path("cuda12.8-libcublas-12.8.4.1-lib")
GCC = store_path("gcc-wrapper-14.3.0")
NINJA = store_path("python3.12-ninja-1.11.1")
GCC13 = store_path("gcc-wrapper-13.4.0")
ZLIB = store_path("zlib-1.3.1")

PATHS = (
    ZLIB,
    OLD,
    PYTHON,
    OTHER,
    NVCC,
    CUDART13,
    CUDART,
    STUBS,
    CUBLAS,
    GCC13,
    GCC,
    NINJA,
    NEW,
    ROOT,
)
CLOSURE = Closure(ROOT, PATHS, Origin.NIX, "test")
PROBE = Probe(
    (
        StoreObject(PYTHON, pythons=("3.12",)),
        StoreObject(NVCC, programs=("nvcc",), host_compiler=f"{GCC}/bin", cuda_marker=True),
        StoreObject(GCC13, programs=("gcc", "g++")),
        StoreObject(GCC, programs=("gcc", "g++")),
        StoreObject(NINJA, programs=("ninja",)),
    )
)
INVENTORY = Inventory(
    ROOT,
    Interpreter(PYTHON, "3.12", (Reason.ONLY_VERSION,), ()),
    (
        SitePackages(site_packages("python3.12-packaging-25.0"), own=True),
        SitePackages(site_packages("python3.12-packaging-20.9"), own=False),
    ),
    CudaToolkit(
        "12.8",
        NVCC,
        NVCC,
        (Reason.ASKED_FOR, Reason.NVCC_OF_VERSION),
        (NVCC, CUDART, STUBS, CUBLAS),
        (NVCC, CUDART, STUBS, CUBLAS),
        include_dirs=(f"{NVCC}/include", f"{CUDART}/include"),
        library_dirs=(f"{CUBLAS}/lib", f"{CUDART}/lib"),
        stub_dirs=(f"{STUBS}/lib/stubs",),
    ),
    HostCompiler(GCC, Reason.NEWEST_GCC, f"{GCC}/bin/gcc", f"{GCC}/bin/g++"),
    Choice(NINJA, Reason.HAS_NINJA),
)
SITES = (
    SiteListing(
        site_packages("python3.12-packaging-20.9"), (Distribution("Packaging", "20.9"),), ()
    ),
    SiteListing(
        site_packages("python3.13-packaging-24.0", "3.13"),
        (Distribution("packaging", "24.0"),),
        (),
    ),
    SiteListing(
        site_packages("python3.12-packaging-25.0"), (Distribution("packaging", "25.0"),), ()
    ),
)
FILES = ToolkitFiles(
    headers=(
        DirectoryListing(f"{CUDART13}/include", ("cuda_runtime.h",)),
        DirectoryListing(f"{NVCC}/include", ("crt/host_config.h",)),
        DirectoryListing(f"{CUDART}/include", ("cuda_runtime.h", "nv/target")),
    ),
    libraries=(
        DirectoryListing(f"{CUDART13}/lib", ("libcudart.so", "libcudart.so.13")),
        DirectoryListing(f"{CUBLAS}/lib", ("libcublas.so.12", "libcudart.so.12")),
        DirectoryListing(
            f"{CUDART}/lib", ("libcudart.so", "libcudart.so.12", "libcudart_static.a")
        ),
        DirectoryListing(f"{STUBS}/lib/stubs", ("libcuda.so",)),
        DirectoryListing(f"{ZLIB}/lib", ("libz.so", "libz.so.1")),
    ),
    given_headers=(DirectoryListing("/flox/include", ("cuda_runtime.h",)),),
    given_libraries=(DirectoryListing("/flox/lib", ("libcuda.so",)),),
)
GRAPH = Graph(tuple(Registration(path, 10, (ZLIB,) if path == ROOT else ()) for path in PATHS))
CONTENTS = Contents(SITES, FILES, GRAPH)
VERSIONS = ("one-1.1.0", "two-2.2.0", "three-3.3.0")
MISSING = Finding(
    Code.CUDA_LIBRARY_WITHOUT_HEADERS,
    Severity.WARNING,
    "CUDA 12.8: libcublas is there without cublas_v2.h and cublasLt.h; that fails",
    (),
    "add libcublas",
)


def describe(
    name: str, contents: Contents = CONTENTS, inventory: Inventory | None = INVENTORY
) -> Subject:
    machine = Machine("x86_64", programs={"nvcc": "/usr/local/cuda/bin/nvcc", "ninja": "/n"})
    return describe_subject(
        name, CLOSURE, PROBE, contents, inventory, machine=machine, findings=(MISSING,)
    )


def aspect(name: str, kind: Kind) -> Aspect:
    (found,) = (each for each in describe(name).aspects if each.kind is kind)
    return found


def ranking(found: Aspect) -> list[tuple[str, bool]]:
    return [(provider.path, provider.wins) for provider in found.providers]


def test_a_distribution() -> None:
    """The program's own one wins, wherever it is in Nix's order; another Python's is none."""
    found = aspect("PACKAGING", Kind.DISTRIBUTION)
    assert "PYTHONPATH" in found.decided_by
    assert [(p.detail, p.wins, p.reason) for p in found.providers] == [
        ("packaging 25.0", True, "number 1 of 2: one of the program's own modules"),
        ("Packaging 20.9", False, "number 2 of 2: rest of the closure"),
        ("packaging 24.0", False, "not on PYTHONPATH: not of Python 3.12"),
    ]
    assert [provider.nar_size for provider in found.providers] == [10, 10, 10]
    assert [facts.path for facts in describe("packaging").objects] == [NEW, OLD, OTHER]


def modules_of(*kinds: str) -> list[tuple[str, bool]]:
    """Rank three directories that have a module `m`, each as a package of another kind."""
    sites = tuple(
        SiteListing(
            f"/{n}",
            (Distribution(f"m{n}", "1", modules=("m",)),),
            packages=("m",) if kind == "packages" else (),
            extended=("m",) if kind == "extended" else (),
            namespaces=("m",) if kind == "namespaces" else (),
        )
        for n, kind in enumerate(kinds)
    )
    order = tuple(SitePackages(site.directory, own=True) for site in sites)
    inventory = INVENTORY._replace(site_packages=order)
    found = describe("m", Contents(sites, FILES, None), inventory)
    assert [each.kind for each in found.aspects] == [Kind.MODULE]
    return ranking(found.aspects[0])


def test_a_module() -> None:
    """As Python's own finder: the first with an __init__, else all parts of the namespace."""
    assert modules_of("packages", "packages") == [("/0", True), ("/1", False)]
    assert modules_of("namespaces", "packages", "packages") == [
        ("/1", True),
        ("/0", False),
        ("/2", False),
    ]
    assert modules_of("namespaces", "namespaces") == [("/0", True), ("/1", True)]
    assert modules_of("namespaces", "extended", "packages") == [
        ("/0", True),
        ("/1", True),
        ("/2", True),
    ]
    assert modules_of("packages", "extended") == [("/0", True), ("/1", False)]


def test_a_module_of_the_distributions_name_is_told_once() -> None:
    """Unless somebody else has it too."""
    torch = SiteListing("/0", (Distribution("m", "1", modules=("m",)),), packages=("m",))
    other = SiteListing("/1", (), packages=("m",))
    one = describe("m", Contents((torch,), FILES, None))
    assert [each.kind for each in one.aspects] == [Kind.DISTRIBUTION]
    two = describe("m", Contents((torch, other), FILES, None))
    assert [each.kind for each in two.aspects] == [Kind.DISTRIBUTION, Kind.MODULE]


def test_a_header() -> None:
    """By CPATH: ours, then what was there; another CUDA's is not on it."""
    assert ranking(aspect("cuda_runtime.h", Kind.HEADER)) == [
        (f"{CUDART}/include", True),
        ("/flox/include", False),
        (f"{CUDART13}/include", False),
    ]
    assert ranking(aspect("nv/target", Kind.HEADER)) == [(f"{CUDART}/include", True)]


@pytest.mark.parametrize("name", ["cudart", "libcudart", "-lcudart"])
def test_a_library_to_link_with(name: str) -> None:
    """A directory where the linker finds nothing to link with does not win, though it is first."""
    found = aspect(name, Kind.LIBRARY)
    assert ranking(found) == [
        (f"{CUDART}/lib", True),
        (f"{CUDART13}/lib", False),
        (f"{CUBLAS}/lib", False),
    ]
    assert found.providers[0].detail == "libcudart.so, libcudart.so.12"
    assert "-lcudart" in found.decided_by


def test_a_library_by_its_file_name() -> None:
    """A version is for run time, where no variable of ours decides."""
    found = aspect("libcudart.so.12", Kind.LIBRARY)
    assert ranking(found) == [(f"{CUBLAS}/lib", False), (f"{CUDART}/lib", False)]
    assert "RUNPATH" in found.decided_by
    assert ranking(aspect("libcudart_static.a", Kind.LIBRARY)) == [(f"{CUDART}/lib", True)]
    assert ranking(aspect("libcudart.so", Kind.LIBRARY))[0] == (f"{CUDART}/lib", True)


def test_a_stub_and_a_library_of_no_toolkit() -> None:
    """Stubs are before what was there already; zlib is nobody's on LIBRARY_PATH."""
    found = aspect("cuda", Kind.LIBRARY)
    assert ranking(found) == [(f"{STUBS}/lib/stubs", True), ("/flox/lib", False)]
    assert found.providers[0].reason == "number 3 of 4: a stub, for linking only"
    assert ranking(aspect("libz.so", Kind.LIBRARY)) == [(f"{ZLIB}/lib", False)]


@pytest.mark.parametrize(
    ("name", "winner", "reason"),
    [
        ("nvcc", NVCC, "CUDA 12.8: asked for; the highest nvcc of that version"),
        ("g++", GCC, "the newest gcc wrapper"),
        ("ninja", NINJA, "it has a ninja, and nothing is called so"),
        ("python3.12", PYTHON, "the only version in the closure"),
    ],
)
def test_a_program(name: str, winner: StorePath, reason: str) -> None:
    """The choice of the closure, and why."""
    first = aspect(name, Kind.PROGRAM).providers[0]
    assert (first.path, first.wins, first.reason) == (f"{winner}/bin/{name}", True, reason)


def test_a_program_that_path_finds_elsewhere() -> None:
    """It is what this shell runs, and no choice."""
    found = aspect("nvcc", Kind.PROGRAM)
    assert ranking(found)[1] == ("/usr/local/cuda/bin/nvcc", False)
    assert found.providers[1].detail == "what PATH finds now"
    assert ranking(aspect("ninja", Kind.PROGRAM)) == [(f"{NINJA}/bin/ninja", True), ("/n", False)]


def test_a_store_path() -> None:
    """What it is for, what it holds, what it takes, and who needs it."""
    (facts,) = describe(ZLIB).objects
    assert (facts.group, facts.nar_size, facts.closure_size) == (Group.OTHER, 10, 10)
    assert facts.chain == (ROOT, ZLIB)
    assert facts.referrers == (ROOT,)
    assert facts.holds == ("lib: 2 libraries",)
    (nvcc,) = describe("cuda_nvcc").objects
    assert nvcc.group is Group.CUDA
    assert nvcc.holds == ("bin/nvcc", "include: 1 headers", "the mark of a CUDA redistributable")
    (old,) = describe(OLD).objects
    assert old.holds == ("lib/python3.12/site-packages: Packaging 20.9",)


def test_without_nix_sizes_and_chains_are_not_known() -> None:
    """The rest is."""
    found = describe("packaging", Contents(SITES, FILES, None))
    assert found.aspects[0].providers[0].nar_size is None
    assert found.objects[0].nar_size is None
    assert found.objects[0].chain == ()
    assert "there was no Nix to ask" in show_subject(found, colour=False)


def test_without_a_choice_nobody_wins() -> None:
    """Where no interpreter could be chosen, what there is can still be shown."""
    for name in ("packaging", "cuda_runtime.h", "cudart", "g++"):
        found = describe(name, inventory=None)
        winners = [p.path for p in found.aspects[0].providers if p.wins]
        assert winners in ([], ["/flox/include"])


def test_what_is_not_there_and_is_known_to_be_missed() -> None:
    """The finding that misses it knows what would bring it."""
    found = describe("cublasLt.h")
    assert (found.aspects, found.objects, found.findings) == ((), (), (MISSING,))
    text = show_subject(found, colour=False)
    assert "nothing in the closure is called so" in text
    assert "next: add libcublas" in text


def test_a_beginning_counts_only_where_nothing_has_the_name() -> None:
    """`cuda` is a library, and not also everything that begins so."""
    assert describe("cuda").objects == ()
    found = describe("cuda1")
    assert len(found.objects) == 5
    assert found.aspects == ()


def test_too_many_store_objects_are_counted() -> None:
    """The rest would bury what was asked for."""
    found = describe_subject(
        "lib",
        Closure(
            ROOT,
            tuple(store_path(f"lib-{n}.0") for n in range(OBJECT_LIMIT + 3)),
            Origin.NIX,
            "test",
        ),
        Probe(()),
        Contents((), ToolkitFiles((), (), ()), None),
    )
    assert (len(found.objects), found.left_out) == (OBJECT_LIMIT, 3)
    assert "3 more store paths match" in show_subject(found, colour=False)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("packagin", "packaging"),
        ("cuda_runtme.h", "cuda_runtime.h"),
        ("libcudrt.so", "libcudart.so"),
        ("nvc", "nvcc"),
    ],
)
def test_a_name_that_nothing_has(name: str, close: str) -> None:
    """With what is spelled nearly like it, of any kind."""
    with pytest.raises(NothingCalled) as caught:
        describe(f"x{name}")
    assert close in caught.value.close


@given(st.text(max_size=12))
def test_any_name_is_answered(name: str) -> None:
    """With a description or with one of the documented errors."""
    try:
        text = show_subject(describe(name), colour=False)
    except (NothingCalled, FindingNotThere) as error:
        text = error.reason
    assert text


def test_the_view_marks_the_winner_and_keeps_paths_whole() -> None:
    """Who wins first, one path a line, nothing that acts on a terminal."""
    text = show_subject(describe("packaging"), colour=False)
    winner = site_packages("python3.12-packaging-25.0")
    assert text.startswith("distribution packaging\n  decided by the order of PYTHONPATH")
    assert (
        f"  wins   packaging 25.0; number 1 of 2: one of the program's own modules\n    {winner}\n"
        in text
    )
    assert "  other  Packaging 20.9" in text
    assert "  found  libz.so" in show_subject(describe("libz.so"), colour=False)
    evil = SiteListing(SITES[0].directory, (Distribution("packaging", "\x1b[2J\n"),), ())
    hostile = show_subject(describe("packaging", Contents((evil,), FILES, GRAPH)), colour=False)
    assert "packaging \\x1b[2J\\n; number" in hostile
    assert "\x1b[" in show_subject(describe("packaging"), colour=True)


def test_the_fixture_closure(sglang: SglangClosure, environ: dict[str, str]) -> None:
    """Of real Nix and the real files of CUDA: each kind, and the decoys lose."""
    closure = query_closure(StorePath(sglang.root), sglang.store.store_dir, environ)
    probe = probe_closure(closure, "sglang")
    contents = Contents(
        probe_distributions(probe),
        probe_toolkit_files(probe),
        query_graph(closure.paths, sglang.store.store_dir, environ),
    )
    inventory = classify(closure, probe)

    def winners(name: str) -> list[tuple[Kind, str]]:
        found = describe_subject(name, closure, probe, contents, inventory)
        return [
            (each.kind, provider.path)
            for each in found.aspects
            for provider in each.providers
            if provider.wins
        ]

    objects = sglang.objects
    site = f"lib/python{sglang.python_minor}/site-packages"
    packaging = objects[f"python{sglang.python_minor}-packaging-25.0"]
    assert winners("packaging") == [(Kind.DISTRIBUTION, f"{packaging}/{site}")]
    headers = objects["cuda12.8-cuda_cudart-12.8.90-dev"]
    parts = [f"{objects[f'python{sglang.python_minor}-acme-ns-{n}']}/{site}" for n in VERSIONS]
    assert sorted(winners("acme_ns")) == sorted((Kind.MODULE, part) for part in parts)
    assert winners("cuda_runtime.h") == [(Kind.HEADER, f"{headers}/include")]
    libraries = objects["cuda12.8-cuda_cudart-12.8.90-lib"]
    assert winners("cudart") == [(Kind.LIBRARY, f"{libraries}/lib")]
    assert winners("nvcc") == [(Kind.PROGRAM, f"{objects['cuda12.8-cuda_nvcc-12.8.93']}/bin/nvcc")]
    assert winners("gcc") == [(Kind.PROGRAM, f"{objects['gcc-wrapper-14.3.0']}/bin/gcc")]
