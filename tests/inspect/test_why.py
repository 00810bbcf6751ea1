"""`--why NAME`: what a name stands for, and why that is in the closure."""

from itertools import pairwise

import pytest

from fixtures.closure import SglangClosure
from nixenv import probe_closure, query_closure
from nixenv.evidence.distributions import Distribution, SiteListing, probe_distributions
from nixenv.evidence.graph import Graph, Registration, query_graph
from nixenv.inspect.lookup import NothingCalled, find_store_paths, suggest
from nixenv.inspect.views.why import show_presence
from nixenv.inspect.why import MATCH_LIMIT, Presence, explain_presence
from nixenv.storepath import StorePath, store_name
from tests.closures import site_packages, store_path

ROOT = store_path("python3.12-sglang-0.5.9")
TORCH = store_path("python3.12-torch-2.9.1")
VISION = store_path("python3.12-torchvision-0.24.1")
CUBLAS = store_path("cuda12.8-libcublas-12.8.4.1-lib")
CUBLAS_DEV = store_path("cuda12.8-libcublas-12.8.4.1-dev")
ENV = store_path("python3-3.12.12-env")
PATHS = (CUBLAS, CUBLAS_DEV, ENV, TORCH, VISION, ROOT)
GRAPH = Graph(
    (
        Registration(CUBLAS, 100),
        Registration(CUBLAS_DEV, 20, (CUBLAS,)),
        Registration(ENV, 3),
        Registration(TORCH, 1000, (CUBLAS,)),
        Registration(VISION, 10, (TORCH, CUBLAS_DEV)),
        Registration(ROOT, 1, (TORCH, VISION)),
    )
)
SITES = (
    SiteListing(site_packages("python3-3.12.12-env"), (Distribution("Flash_Attn.X", "2.8"),), ()),
    SiteListing(site_packages("python3.12-torch-2.9.1"), (Distribution("torch", "2.9.1"),), ()),
    SiteListing("/home/user/site-packages", (Distribution("stray", "1"),), ()),
)


def explain(name: str, graph: Graph = GRAPH) -> Presence:
    return explain_presence(name, graph, ROOT, SITES)


def meant(name: str) -> list[StorePath]:
    return [match.path for match in find_store_paths(name, PATHS, SITES)]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (CUBLAS, [CUBLAS]),
        (f"{CUBLAS}/lib/libcublas.so", [CUBLAS]),
        (CUBLAS.rpartition("/")[2], [CUBLAS]),
        ("cuda12.8-libcublas-12.8.4.1-dev", [CUBLAS_DEV]),
        ("libcublas", [CUBLAS, CUBLAS_DEV]),
        ("LibCublas", [CUBLAS, CUBLAS_DEV]),
        ("libcublas-12.8.4.1-dev", [CUBLAS_DEV]),
        ("torch", [TORCH]),
        ("flash-attn-x", [ENV]),
        ("torchv", [VISION]),
        ("cuda12.8-lib", [CUBLAS, CUBLAS_DEV]),
        ("tor", [TORCH, VISION]),
        ("stray", []),
        ("orch", []),
        ("", []),
        ("/", []),
        ("/nix/store", []),
        (store_path("glibc-2.40-66"), []),
        ("a\0b\udcff", []),
    ],
)
def test_what_a_name_stands_for(name: str, paths: list[StorePath]) -> None:
    """A path, a name, a distribution; a beginning only where nothing has the whole name."""
    assert meant(name) == paths


def test_the_chain_and_the_sizes() -> None:
    """The shortest way, everything that refers to it, and what it takes along."""
    (found,) = explain(CUBLAS).explanations
    assert found.chain == (ROOT, TORCH, CUBLAS)
    assert found.referrers == (CUBLAS_DEV, TORCH)
    assert (found.nar_size, found.closure_size) == (100, 100)
    (vision,) = explain("torchvision").explanations
    assert (vision.nar_size, vision.closure_size) == (10, 1130)


def test_what_is_nearest_to_the_root_comes_first() -> None:
    """And what nothing leads to comes last."""
    assert [found.path for found in explain("python3").explanations] == [ENV]
    assert explain("python3").explanations[0].chain == ()
    found = explain("cuda12.8-").explanations
    assert [len(each.chain) for each in found] == [3, 3]
    paths = [each.path for each in explain("p").explanations]
    assert paths == [ROOT, TORCH, VISION, ENV]


def test_too_many_matches_are_counted() -> None:
    """The rest would bury what was asked for."""
    paths = [store_path(f"lib-{n}.0") for n in range(MATCH_LIMIT + 2)]
    graph = Graph(tuple(Registration(path, 1) for path in paths))
    found = explain_presence("lib", graph, paths[0], ())
    assert len(found.explanations) == MATCH_LIMIT
    assert found.left_out == 2
    assert "2 more store paths match" in show_presence(found, colour=False)


def test_a_name_that_nothing_has() -> None:
    """With what is spelled nearly like it."""
    with pytest.raises(NothingCalled) as caught:
        explain("libcubals")
    assert caught.value.remedy == "did you mean libcublas?"
    with pytest.raises(NothingCalled, match="store path") as caught:
        explain("zzz")
    assert caught.value.close == ()


def test_suggestions_keep_their_spelling() -> None:
    """As it must be typed."""
    assert suggest("JINJA", ["Jinja2", "torch"]) == ("Jinja2",)


def test_the_view_keeps_paths_whole_and_shows_no_control_characters() -> None:
    """One path a line; what could move the cursor is escaped."""
    text = show_presence(explain(CUBLAS), colour=False)
    assert f"\n       {ROOT}\n    -> {TORCH}\n    -> {CUBLAS}\n" in text
    assert "100 bytes; 100 bytes with all that it needs" in text
    assert f"direct referrers (2):\n    {CUBLAS_DEV}\n    {TORCH}\n" in text
    evil = (SiteListing(site_packages(store_name(TORCH)), (Distribution("torch", "\x1b[2J"),), ()),)
    hostile = explain_presence("torch", GRAPH, ROOT, evil)
    assert "\x1b" not in show_presence(hostile, colour=False)
    assert "\\x1b[2J" in show_presence(hostile, colour=False)
    assert "it is the root" in show_presence(explain("sglang"), colour=True)


def test_the_fixture_closure(sglang: SglangClosure, environ: dict[str, str]) -> None:
    """By real Nix: the old `packaging` hangs below a build tool that the new one remembers."""
    store_dir = sglang.store.store_dir
    closure = query_closure(StorePath(sglang.root), store_dir, environ)
    graph = query_graph(closure.paths, store_dir, environ)
    sites = probe_distributions(probe_closure(closure, "sglang"))
    found = explain_presence("packaging", graph, closure.root, sites).explanations
    python = f"python{sglang.python_minor}"
    assert [store_name(path) for path in found[0].chain][1:] == [f"{python}-packaging-25.0"]
    old = next(each for each in found if store_name(each.path) == f"{python}-packaging-20.9")
    # Two chains are equally short, through the build tool and through an environment: which one
    # comes first hangs on hashes.
    assert len(old.chain) == 4
    for earlier, later in pairwise(old.chain):
        assert later in sglang.store.run("nix-store", "--query", "--references", earlier).split()
    for each in found:
        referrers = sglang.store.run("nix-store", "--query", "--referrers", each.path).split()
        assert set(each.referrers) == set(referrers) & set(closure.paths) - {each.path}
