"""References and sizes: what Nix says of them, and what follows from that."""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore, StoreRecord
from nixenv import query_closure
from nixenv.evidence.graph import (
    Graph,
    Registration,
    closure_size,
    closure_sizes,
    find_chain,
    find_referrers,
    parse_dump,
    query_graph,
)
from nixenv.road.nix import NixFailed, NixNotFound
from nixenv.road.query import UnusableClosure
from nixenv.storepath import StorePath
from tests.closures import store_path

STORE_DIR = "/nix/store"
PATHS = [store_path(f"object-{number}") for number in range(8)]


def graph_of(*references: Sequence[int], sizes: Sequence[int] | None = None) -> Graph:
    """Make a graph in which number N refers to ``references[N]``."""
    return Graph(
        tuple(
            Registration(
                PATHS[number],
                sizes[number] if sizes else 1,
                tuple(PATHS[other] for other in others),
            )
            for number, others in enumerate(references)
        )
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of any shape without circles, their members in any order."""
    count = draw(st.integers(1, len(PATHS)))
    rank = draw(st.permutations(range(count)))
    others = st.lists(st.integers(0, count - 1), max_size=4, unique=True)
    references = [[o for o in draw(others) if rank[o] < rank[n]] for n in range(count)]
    sizes = draw(st.lists(st.integers(0, 10**18 - 1), min_size=count, max_size=count))
    return graph_of(*references, sizes=sizes)


def reached_from(graph: Graph, path: StorePath) -> set[StorePath]:
    references = {known.path: known.references for known in graph.registrations}
    reached, waiting = set[StorePath](), [path]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += references[current]
    return reached


def dump_of(graph: Graph) -> str:
    """Write what Nix would: each object refers to itself as well, as many do."""
    lines: list[str] = []
    for known in graph.registrations:
        references = (*known.references, known.path)
        lines += (known.path, "0" * 64, str(known.nar_size), "", str(len(references)), *references)
    return "".join(f"{line}\n" for line in lines)


def test_references_in_a_circle_are_no_graph() -> None:
    """Nix has none, and a snapshot that says so would be walked for ever."""
    with pytest.raises(ValueError, match="in a circle: .*object-2"):
        graph_of([1], [2], [1])
    one, other = PATHS[:2]
    text = "".join(f"{a}\n{'0' * 64}\n1\n\n1\n{b}\n" for a, b in ((one, other), (other, one)))
    with pytest.raises(UnusableClosure, match="in a circle"):
        parse_dump(text, STORE_DIR)


def test_a_member_that_is_registered_twice_makes_no_graph() -> None:
    """Nix has each once; twice, the sizes of closures would be those of other members."""
    text = f"{PATHS[0]}\n{'0' * 64}\n1\n\n0\n"
    with pytest.raises(UnusableClosure, match=f"{PATHS[0]} is registered twice"):
        parse_dump(text + text, STORE_DIR)


@given(graphs())
def test_the_size_of_a_closure_is_the_sum_of_what_is_reached(graph: Graph) -> None:
    """Each member once, however many chains lead to it."""
    own = {known.path: known.nar_size for known in graph.registrations}
    assert closure_sizes(graph) == {
        path: sum(own[reached] for reached in reached_from(graph, path)) for path in own
    }


@given(graphs(), st.data())
def test_a_chain_is_a_chain_and_none_is_shorter(graph: Graph, data: st.DataObject) -> None:
    """From the root to the target, each member referred to by the one before it."""
    members = [known.path for known in graph.registrations]
    root, target = (data.draw(st.sampled_from(members)) for _ in range(2))
    references = {known.path: known.references for known in graph.registrations}
    chain = find_chain(graph, root, target)
    layers = [{root}]
    while layers[-1] and target not in layers[-1]:
        layers.append({other for path in layers[-1] for other in references[path]})
        if len(layers) > len(members):
            break
    if target not in layers[-1]:
        assert chain is None
        return
    assert chain is not None
    assert (chain[0], chain[-1], len(chain)) == (root, target, len(layers))
    assert all(later in references[earlier] for earlier, later in pairwise(chain))


@given(graphs())
def test_what_nix_dumps_is_read_back(graph: Graph) -> None:
    """All of it; that an object refers to itself is left out."""
    assert parse_dump(dump_of(graph), STORE_DIR) == graph


@given(st.text(st.sampled_from(f"{PATHS[0]}\n0123 \x0b"), max_size=60), graphs())
def test_nonsense_is_refused(text: str, graph: Graph) -> None:
    """Whatever stands behind a good answer, it is an answer or one documented error."""
    with contextlib.suppress(UnusableClosure):
        read = parse_dump(dump_of(graph) + text, STORE_DIR).registrations
        assert read[: len(graph.registrations)] == graph.registrations


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["/nix/other/x"], "no store path"),
        ([PATHS[0], "hash", "one", "", "0"], "no number"),
        ([PATHS[0], "hash", "-1", "", "0"], "no number"),
        ([PATHS[0], "hash", "9" * 19, "", "0"], "no number"),
        ([PATHS[0], "hash", "1", "", "2", PATHS[1]], "ends in the middle of"),
        ([PATHS[0], "hash", "1"], "ends in the middle of"),
        ([PATHS[0], "hash", "1", "", "9" * 19], "no number"),
        ([PATHS[0], "hash", "1", "", "9" * 18], "ends in the middle of"),
        ([PATHS[0], "hash", "1", "", "1", "../x"], "no store path"),
    ],
)
def test_the_reason_of_a_refusal(lines: list[str], word: str) -> None:
    """The line that is wrong, or that the answer is cut off."""
    with pytest.raises(UnusableClosure, match=word):
        parse_dump("".join(f"{line}\n" for line in lines), STORE_DIR)


def test_the_earlier_reference_decides_between_equal_chains() -> None:
    """The same closure gets the same answer each time."""
    both = graph_of([2, 1], [3], [3], [])
    assert find_chain(both, PATHS[0], PATHS[3]) == (PATHS[0], PATHS[2], PATHS[3])


def test_what_is_not_in_the_graph_has_no_chain() -> None:
    """References that lead out of the closure lead nowhere."""
    outward = Graph((Registration(PATHS[0], 5, (PATHS[7],)),))
    assert find_chain(outward, PATHS[0], PATHS[7]) is None
    assert find_chain(outward, PATHS[7], PATHS[0]) is None
    assert closure_sizes(outward) == {PATHS[0]: 5}
    assert closure_size(outward, PATHS[0]) == 5


def test_referrers_are_direct_ones() -> None:
    """In the closure's order, and without the object itself."""
    chained = graph_of([], [0], [1], [0, 2])
    assert find_referrers(chained, PATHS[0]) == (PATHS[1], PATHS[3])


def test_a_chain_longer_than_the_interpreters_stack() -> None:
    """Ten thousand, each referring to the one before it, in either order."""
    paths = [store_path(f"link-{number}") for number in range(10_000)]
    links = [
        Registration(path, 1, (before,) if before else ())
        for before, path in zip([None, *paths], paths, strict=False)
    ]
    for registrations in (links, links[::-1]):
        assert closure_sizes(Graph(tuple(registrations)))[paths[-1]] == 10_000


def test_real_nix_tells_references_and_sizes(
    sglang: SglangClosure, environ: dict[str, str]
) -> None:
    """What `nix-store --query` says of each member, in the closure's order."""
    closure = query_closure(StorePath(sglang.root), sglang.store.store_dir, environ)
    graph = query_graph(closure.paths, sglang.store.store_dir, environ)
    assert tuple(known.path for known in graph.registrations) == closure.paths
    for known in graph.registrations:
        query = sglang.store.run("nix-store", "--query", "--references", known.path)
        assert set(known.references) == set(query.split()) - {known.path}
    sizes = closure_sizes(graph)
    assert sizes[closure.root] == sum(known.nar_size for known in graph.registrations)
    size = sglang.store.run("nix-store", "--query", "--size", closure.root)
    assert graph.registrations[-1].nar_size == int(size)


def test_more_paths_than_linux_passes_on(tmp_path: Path) -> None:
    """Then the whole database is asked for, and what is of the closure is taken."""
    store = PrivateStore.create(tmp_path)
    paths = [f"{store.store_dir}/{'a' * 32}-{'long' * 40}-{number}" for number in range(1500)]
    for path in paths:
        Path(path).mkdir(parents=True)
    store.load(StoreRecord(path, (), number) for number, path in enumerate(paths))
    wanted = tuple(map(StorePath, paths[1:]))
    environ = {**os.environ, **store.environ}
    code = (
        "import json, os, sys\n"
        "from nixenv.evidence.graph import query_graph\n"
        "paths, store_dir = json.load(sys.stdin)\n"
        "graph = query_graph(paths, store_dir, os.environ)\n"
        "print(*(f'{known.path} {known.nar_size}' for known in graph.registrations), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        input=json.dumps([wanted, store.store_dir]),
        # A quarter of the stack is for arguments: 256 KiB, and the paths have 300.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:-1] == [f"{path} {n + 1}" for n, path in enumerate(wanted)]


def test_no_paths_are_not_all_paths(sglang: SglangClosure, environ: dict[str, str]) -> None:
    """Nix would take no path for the whole store."""
    assert query_graph((), sglang.store.store_dir, environ) == Graph(())


def test_no_nix_to_ask() -> None:
    """All the places that were looked in."""
    with pytest.raises(NixNotFound) as caught:
        query_graph(PATHS, STORE_DIR, {"PATH": "/nowhere"})
    assert "/nowhere" in caught.value.searched


def test_a_failure_is_told_without_all_the_paths(
    sglang: SglangClosure, environ: dict[str, str]
) -> None:
    """A command line of a megabyte hides the reason."""
    unknown = StorePath(f"{sglang.store.store_dir}/{'b' * 32}-unknown")
    paths = [*map(StorePath, sglang.objects.values()), unknown]
    with pytest.raises(NixFailed, match="is not valid") as caught:
        query_graph(paths, sglang.store.store_dir, environ)
    assert f"--dump-db ... {unknown}` failed" in str(caught.value)


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Make an environment in which nix-store is a script of these lines."""

    def make(lines: str) -> dict[str, str]:
        script = tmp_path / "nix-store"
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
        return {"PATH": str(tmp_path)}

    return make


def test_an_answer_that_lacks_a_member(stand_in: Callable[[str], dict[str, str]]) -> None:
    """It would make sizes and chains wrong, and nobody would see it."""
    environ = stand_in(f"printf '%s\\n' {PATHS[0]} hash 1 '' 0")
    assert query_graph(PATHS[:1], STORE_DIR, environ).registrations[0].nar_size == 1
    with pytest.raises(UnusableClosure, match=f"{PATHS[1]} is not among its 1"):
        query_graph(PATHS[:2], STORE_DIR, environ)


@given(graphs(), st.integers(1, 7))
def test_sizes_are_looked_for_part_by_part(graph: Graph, few: int) -> None:
    """However many are looked for at a time, and whichever order they come in."""
    backwards = Graph(graph.registrations[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nixenv.evidence.graph._LOOKED_FOR", few * len(graph.registrations))
        found = closure_sizes(graph), closure_sizes(backwards)
    expected = {known.path: closure_size(graph, known.path) for known in graph.registrations}
    assert found == (expected, expected)
