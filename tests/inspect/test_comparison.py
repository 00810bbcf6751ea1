"""`inspect --diff`: what changed between two closures."""

import json

from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from nixenv import classify, probe_closure, query_closure
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import Distribution, SiteListing, probe_distributions
from nixenv.evidence.graph import Graph, Registration, query_graph
from nixenv.evidence.toolkit_files import ToolkitFiles
from nixenv.inspect.comparison import Change, Comparison, Inspected, compare
from nixenv.inspect.views.comparison import show_comparison
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.python import Interpreter, SitePackages
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath, store_name
from tests.closures import site_packages, store_path

NO_FILES = ToolkitFiles((), (), ())


def other_hash(path: StorePath) -> StorePath:
    """Give the store path of the same thing, built anew."""
    return StorePath(path.replace("a" * 32, "b" * 32))


def distribution(store_name: str) -> Distribution:
    name, _, version = store_name.partition("-")[2].rpartition("-")
    return Distribution(name, version)


def side(
    *names: str,
    python: str = "3.12",
    cuda: str | None = "12.8",
    sized: bool = True,
    own: tuple[str, ...] = (),
) -> Inspected:
    """Make a closure of these store names, 10 bytes each; `python3.12-X-1.0` holds X 1.0.

    Those of ``own`` come first in the order of the modules.
    """
    paths = tuple(store_path(name) for name in names)
    modules = [name for name in names if name.startswith(f"python{python}-")]
    nvcc = store_path("nvcc")
    toolkit = CudaToolkit(cuda, nvcc, nvcc, (), (), ()) if cuda else None
    sites = tuple(
        SiteListing(
            site_packages(name, python),
            (distribution(name),),
            (),
        )
        for name in modules
    )
    order = [*own, *(name for name in modules if name not in own)]
    return Inspected(
        Closure(paths[-1], paths, Origin.NIX, "test"),
        Probe(tuple(StoreObject(store_path(name), site_packages=(python,)) for name in modules)),
        Contents(
            sites,
            NO_FILES,
            Graph(tuple(Registration(path, 10) for path in paths)) if sized else None,
        ),
        Inventory(
            paths[-1],
            Interpreter(store_path("python"), python, (), ()),
            tuple(SitePackages(site_packages(name, python), own=name in own) for name in order),
            toolkit,
            None,
            None,
        ),
    )


ROOT = "python3.12-sglang-0.5.9"
BEFORE = side(
    "glibc-2.40-66",
    "ca-bundle.crt",
    "cuda12.8-libcublas-12.8.4.1-lib",
    "python3.12-torch-2.9.0",
    "python3.12-Ruamel.Yaml-0.17",
    "python3.12-old-1.0",
    ROOT,
)
AFTER = side(
    "glibc-2.42-1",
    "cuda12.8-libcublas-12.8.4.1-dev",
    "cuda12.8-libcublas-12.8.4.1-lib",
    "cuda12.8-cuda_nvcc-12.8.93",
    "python3.12-torch-2.9.1",
    "python3.12-ruamel-yaml-0.17",
    "python3.12-new-2.0",
    ROOT,
)


def test_nothing_changed() -> None:
    """The same closure compared with itself says so."""
    same = compare(BEFORE, BEFORE)
    assert (same.distributions, same.components, same.others, same.rebuilt) == ((), (), (), 0)
    assert same.sizes == (70, 70)


def test_added_removed_and_changed() -> None:
    """By name, sorted; names are compared as PyPA normalises them."""
    found = compare(BEFORE, AFTER)
    assert found.distributions == (
        Change("new", (), ("2.0",), 0, 10),
        Change("old", ("1.0",), (), 10, 0),
        Change("torch", ("2.9.0",), ("2.9.1",), 10, 10),
    )
    assert found.components == (
        Change("cuda_nvcc", (), ("12.8.93",), 0, 10),
        Change("libcublas", ("12.8.4.1-lib",), ("12.8.4.1-dev", "12.8.4.1-lib"), 10, 20),
    )
    assert found.others == (
        Change("ca-bundle.crt", ("",), (), 10, 0),
        Change("glibc", ("2.40-66",), ("2.42-1",), 10, 10),
    )
    assert (found.members, found.sizes) == ((7, 8), (70, 80))


def test_another_winner_is_a_change() -> None:
    """The same two versions, in another order of the modules."""
    names = ("python3.12-packaging-20.9", "python3.12-packaging-25.0", ROOT)
    old = side(*names, own=("python3.12-packaging-20.9",))
    new = side(*names, own=("python3.12-packaging-25.0",))
    (change,) = compare(old, new).distributions
    assert (change.before, change.after) == (("20.9", "25.0"), ("25.0", "20.9"))


def test_the_order_of_what_does_not_win_is_no_change() -> None:
    """Nix's order hangs on hashes."""
    names = ("python3.12-a-1", "python3.12-a-2", "python3.12-a-3")
    one, two, three = names
    assert (
        compare(
            side("lib-1.0", "lib-2.0", one, two, three, ROOT, own=(one,)),
            side("lib-2.0", "lib-1.0", three, two, one, ROOT, own=(one,)),
        ).distributions
        == ()
    )


def test_versions_of_python_and_cuda() -> None:
    """Also where there is none, or none could be chosen."""
    new = side("python3.13-sglang-0.5.9", python="3.13", cuda=None)
    found = compare(BEFORE, new)
    assert (found.python, found.cuda) == (("3.12", "3.13"), ("12.8", None))
    unknown = evolve(BEFORE, inventory=None)
    assert compare(unknown, new).python == (None, "3.13")
    assert compare(unknown, BEFORE).distributions == ()


def test_what_is_rebuilt_is_counted() -> None:
    """Of the same name and another hash."""
    paths = (*map(other_hash, BEFORE.closure.paths[:3]), *BEFORE.closure.paths[3:])
    rebuilt = Inspected(
        Closure(BEFORE.closure.root, paths, Origin.NIX, "test"),
        BEFORE.probe,
        BEFORE.contents,
        BEFORE.inventory,
    )
    found = compare(BEFORE, rebuilt)
    assert (found.rebuilt, found.others) == (3, ())


def test_sizes_that_are_not_known() -> None:
    """On either side: no Nix was asked, or a snapshot has none."""
    unsized = side("glibc-2.40-66", ROOT, sized=False)
    found = compare(unsized, AFTER)
    assert found.sizes == (None, 80)
    assert found.others[0] == Change("glibc", ("2.40-66",), ("2.42-1",), None, 10)
    text = show_comparison(found, colour=False)
    assert "  size not known -> 80 bytes\n" in text
    assert "  ~ glibc 2.40-66 -> 2.42-1\n" in text


def test_a_directory_of_many_distributions_is_nobodys_size() -> None:
    """As python.withPackages makes it."""
    env = store_path("python3-3.12.12-env")
    site = SiteListing(
        site_packages("python3-3.12.12-env"), (Distribution("a", "1"), Distribution("b", "2")), ()
    )
    many = Inspected(
        Closure(env, (env,), Origin.NIX, "test"),
        Probe((StoreObject(env, site_packages=("3.12",)),)),
        Contents((site,), NO_FILES, Graph((Registration(env, 10),))),
    )
    empty = side("glibc-2.40-66")
    assert compare(many, empty).distributions == (
        Change("a", ("1",), (), None, 0),
        Change("b", ("2",), (), None, 0),
    )


@given(st.lists(st.sampled_from([*map(store_name, (*BEFORE.closure.paths, *AFTER.closure.paths))])))
def test_there_and_back(names: list[str]) -> None:
    """What was added one way is removed the other way."""
    other = side(*dict.fromkeys([*names, ROOT]))
    there, back = compare(BEFORE, other), compare(other, BEFORE)

    def turned(change: Change) -> Change:
        return Change(
            change.name, change.after, change.before, change.size_after, change.size_before
        )

    for part in ("distributions", "components", "others"):
        assert tuple(map(turned, getattr(there, part))) == getattr(back, part)
    assert there.sizes == back.sizes[::-1]


def test_it_is_plain_data() -> None:
    """For `--json`."""
    document = json.loads(json.dumps(asdict(compare(BEFORE, AFTER))))
    assert document["distributions"][0] == {
        "name": "new",
        "before": [],
        "after": ["2.0"],
        "size_before": 0,
        "size_after": 10,
    }
    assert document["cuda"] == ["12.8", "12.8"]


def test_the_view() -> None:
    """A sign for each change, growth in bytes, and nothing that acts on a terminal."""
    found = compare(BEFORE, AFTER)
    text = show_comparison(found, colour=False)
    for line in (
        "  Python 3.12",
        "  7 -> 8 store paths; 0 only rebuilt",
        "  70 bytes -> 80 bytes  (+10 bytes)",
        "Python distributions (3 changed)",
        "  + new 2.0  (+10 bytes)",
        "  - old 1.0  (-10 bytes)",
        "  ~ torch 2.9.0 -> 2.9.1  (+0 bytes)",
        "  ~ libcublas 12.8.4.1-lib -> 12.8.4.1-dev, 12.8.4.1-lib  (+10 bytes)",
        "  - ca-bundle.crt no version  (-10 bytes)",
    ):
        assert f"{line}\n" in text, line
    assert "\x1b" not in text
    assert "\x1b[" in show_comparison(found, colour=True)
    hostile = evolve(found, distributions=(Change("a\x1b[2J", ("1",), (), None, None),))
    assert "a\\x1b[2J" in show_comparison(hostile, colour=False)


def test_the_fixture_closures(sglang: SglangClosure, environ: dict[str, str]) -> None:
    """Two real roots: another program, and a joined toolkit."""

    def look(root: str, program: str) -> Inspected:
        store_dir = sglang.store.store_dir
        closure = query_closure(StorePath(root), store_dir, environ)
        probe = probe_closure(closure, program)
        graph = query_graph(closure.paths, store_dir, environ)
        contents = Contents(probe_distributions(probe), NO_FILES, graph)
        return Inspected(closure, probe, contents, classify(closure, probe))

    found: Comparison = compare(look(sglang.root, "sglang"), look(sglang.joined, "vllm"))
    distributions = {change.name: (change.before, change.after) for change in found.distributions}
    assert distributions["vllm"] == ((), ("0.12.0",))
    assert distributions["sglang"] == (("0.5.9",), ())
    assert "packaging" not in distributions
    assert {change.name: change.after for change in found.components}["cuda-merged"] == ("12.8",)
    sizes = [
        sum(map(int, sglang.store.run("nix-store", "--query", "--size", *paths).split()))
        for paths in (sglang.store.closure(sglang.root), sglang.store.closure(sglang.joined))
    ]
    assert found.sizes == tuple(sizes)
