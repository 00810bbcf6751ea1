"""Merging directories into links, over directories that are only data."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.linked.tree import Conflict, Entry, Link, Scan, Source, merge, separate

Tree = Mapping[str, "Tree | None"]  # None stands for a file


def scan_of(disk: Tree) -> Scan:
    def scan(directory: str) -> Iterable[Entry]:
        held: Tree = disk
        for part in directory.split("/"):
            below = held[part]
            assert below is not None
            held = below
        for name, below in held.items():
            yield Entry(name, f"{directory}/{name}", below is not None)

    return scan


def links(disk: Tree, *sources: str | Source) -> dict[str, str]:
    parts = [s if isinstance(s, Source) else Source(s) for s in sources]
    found, _ = separate(merge("site", parts, scan_of(disk)))
    assert len({link.path for link in found}) == len(found)
    return {link.path: link.target for link in found}


def test_a_directory_of_one_source_is_one_link() -> None:
    """However much is in it."""
    disk: Tree = {"a": {"numpy": {"core": {"x.py": None}}, "six.py": None}}
    assert links(disk, "a") == {"site/numpy": "a/numpy", "site/six.py": "a/six.py"}


def test_a_shared_directory_is_merged_down_to_what_is_not_shared() -> None:
    """A namespace package of three distributions."""
    disk: Tree = {
        "a": {"google": {"auth": {"x.py": None}}},
        "b": {"google": {"cloud": {"core": {"y.py": None}}}},
        "c": {"google": {"cloud": {"storage": {"z.py": None}}}},
    }
    assert links(disk, "a", "b", "c") == {
        "site/google/auth": "a/google/auth",
        "site/google/cloud/core": "b/google/cloud/core",
        "site/google/cloud/storage": "c/google/cloud/storage",
    }


def test_packages_with_an_init_each_are_merged_as_pip_would() -> None:
    """As the nvidia wheels: the first one's `__init__.py`, and everybody's subpackages."""
    disk: Tree = {
        "a": {"nvidia": {"__init__.py": None, "cudnn": {"x.py": None}}},
        "b": {"nvidia": {"__init__.py": None, "nccl": {"y.py": None}}},
    }
    found, conflicts = separate(merge("site", (Source("a"), Source("b")), scan_of(disk)))
    assert found == (
        Link("site/nvidia/__init__.py", "a/nvidia/__init__.py"),
        Link("site/nvidia/cudnn", "a/nvidia/cudnn"),
        Link("site/nvidia/nccl", "b/nvidia/nccl"),
    )
    assert conflicts == (
        Conflict("site/nvidia/__init__.py", "a/nvidia/__init__.py", ("b/nvidia/__init__.py",)),
    )


@pytest.mark.parametrize(
    ("first", "second"), [({"x.py": None}, None), (None, {"x.py": None}), (None, None)]
)
def test_what_cannot_be_merged_is_a_conflict(first: Tree | None, second: Tree | None) -> None:
    """A file and a directory, or two files: the first wins, whichever it is."""
    disk: Tree = {"a": {"thing": first}, "b": {"thing": second}}
    parts = tuple(merge("site", (Source("a"), Source("b")), scan_of(disk)))
    assert parts == (
        Link("site/thing", "a/thing"),
        Conflict("site/thing", "a/thing", ("b/thing",)),
    )


def test_one_directory_reached_twice_is_not_shared() -> None:
    """As where a withPackages environment comes before the store objects that it links to."""

    def scan(directory: str) -> Iterable[Entry]:
        return {"env": [Entry("torch", "store/torch", is_directory=True)]}.get(
            directory, [Entry("torch", "store/torch", is_directory=True)]
        )

    parts = tuple(merge("site", (Source("env"), Source("torch")), scan))
    assert parts == (Link("site/torch", "store/torch"),)


def test_a_directory_can_be_opened_by_its_name() -> None:
    """uv sees no metadata in a directory that is a link."""
    disk: Tree = {"a": {"x-1.dist-info": {"METADATA": None, "licenses": {"MIT": None}}}}
    found = merge("site", [Source("a")], scan_of(disk), lambda name: name.endswith("-info"))
    assert list(found) == [
        Link("site/x-1.dist-info/METADATA", "a/x-1.dist-info/METADATA"),
        Link("site/x-1.dist-info/licenses", "a/x-1.dist-info/licenses"),
    ]


def test_hidden_paths_are_passed_over_at_any_depth() -> None:
    """And only in the source that hides them."""
    disk: Tree = {
        "a": {"ns": {"old": {"x.py": None}, "kept": {"y.py": None}}, "gone.py": None},
        "b": {"ns": {"old": {"z.py": None}}},
    }
    hidden = Source("a", frozenset({"gone.py", "ns/old"}))
    assert links(disk, hidden, "b") == {
        "site/ns/kept": "a/ns/kept",
        "site/ns/old": "b/ns/old",
    }


def looped(links: Mapping[str, str]) -> Scan:
    """Scan a disk on which some paths are links, each to a directory."""

    def scan(directory: str) -> Iterable[Entry]:
        names = {
            path.split("/")[1]: target
            for path, target in links.items()
            if path.startswith(f"{directory}/")
        }
        yield Entry("x.h", f"{directory}/x.h", is_directory=False)
        for name, target in names.items():
            yield Entry(name, target, is_directory=True)

    return scan


def test_links_back_to_the_directory_stay_links_back() -> None:
    """`include/cccl -> .` in two members, as nixpkgs has it since 2026; and in one of three."""
    scan = looped({"a/cccl": "a", "b/cccl": "b"})
    for members in (("a", "b"), ("a", "b", "c"), ("c", "a")):
        found, _ = separate(merge("include", tuple(map(Source, members)), scan))
        assert Link("include/cccl", ".") in found
    assert Link("include/cccl", "a") not in found


def test_links_in_a_circle_end() -> None:
    """Each of two directories leads to the other."""
    scan = looped({"a/other": "b", "b/other": "a"})
    found, _ = separate(merge("include", (Source("a"), Source("b")), scan))
    assert Link("include/other", ".") in found
    found, _ = separate(merge("include", (Source("a"), Source("c")), scan))
    assert Link("include/other", "b") in found


def test_a_link_to_a_directory_above_leads_there_in_the_farm() -> None:
    """From two and three levels down, wherever in the farm it is."""
    disk = {
        member: held
        for top in "ab"
        for member, held in {
            top: [("deep", f"{top}/deep")],
            f"{top}/deep": [("up", top), ("deeper", f"{top}/deep/deeper")],
            f"{top}/deep/deeper": [("up", f"{top}/deep"), ("top", top)],
        }.items()
    }

    def scan(directory: str) -> Iterable[Entry]:
        return [Entry(name, path, is_directory=True) for name, path in disk[directory]]

    parts = tuple(merge("cuda/include", (Source("a"), Source("b")), scan))
    assert parts == (
        Link("cuda/include/deep/up", ".."),
        Link("cuda/include/deep/deeper/up", ".."),
        Link("cuda/include/deep/deeper/top", "../.."),
    )


def test_depth_has_no_limit() -> None:
    """Deeper than Python calls functions."""

    def scan(directory: str) -> Iterable[Entry]:
        if len(directory) < 5000:
            yield Entry("d", f"{directory}/d", is_directory=True)
        yield Entry(directory[0], directory, is_directory=False)

    found, _ = separate(merge("lib", (Source("a"), Source("b")), scan))
    assert len(found) == 2 * 2501


names = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    st.none(), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=8
)
disks = st.dictionaries(names, trees, max_size=3)


def files(tree: Tree | None, path: str = "") -> Iterable[str]:
    if tree is None:
        yield path
        return
    for name, below in tree.items():
        yield from files(below, f"{path}/{name}")


def winners(sources: Iterable[Tree]) -> dict[str, int]:
    """Which source's file is at each path: the first one's, unless something is in its way."""
    won: dict[str, int] = {}
    directories: set[str] = set()
    for number, tree in enumerate(sources):
        for file in files(tree):
            parents = [file[:end] for end in range(1, len(file)) if file[end] == "/"]
            if not {file, *parents} & won.keys() and file not in directories:
                won[file] = number
                directories.update(parents)
    return won


@given(sources=st.lists(disks, max_size=4))
def test_the_first_file_at_a_path_wins(sources: list[Tree]) -> None:
    """And whoever reads through the links sees just what a copy of all sources would hold."""
    disk = {str(number): tree for number, tree in enumerate(sources)}
    seen = {}
    for path, target in links(disk, *disk).items():
        number, _, inside = target.partition("/")
        held: Tree | None = sources[int(number)]
        for part in inside.split("/"):
            assert held is not None
            held = held[part]
        for file in files(held):
            seen[path.removeprefix("site") + file] = int(number)
    assert seen == winners(sources)
