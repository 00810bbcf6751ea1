"""What changed between two closures, such as before and after an upgrade. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen
from packaging.utils import canonicalize_name

from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.graph import Graph
from nixenv.inspect.components import Group, group_of
from nixenv.inspect.lookup import holder_of
from nixenv.road.classify import Inventory
from nixenv.road.probe import Probe
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, parse_store_name, store_name


@frozen
class Inspected:
    """One side of a comparison.

    Attributes:
        closure: The closure.
        probe: The notes on its store objects.
        contents: What the second looks found.
        inventory: What the closure offers; None where no interpreter could be chosen.
    """

    closure: Closure
    probe: Probe
    contents: Contents
    inventory: Inventory | None = None


@frozen
class Change:
    """What became of one thing.

    Attributes:
        name: Its name.
        before: Its versions before, of a distribution the one that wins first; empty when it was
            added.
        after: Its versions after; empty when it was removed.
        size_before: The bytes of its store objects before, 0 when it was added; None when unknown.
        size_after: The bytes of its store objects after; None when unknown.
    """

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    size_before: int | None
    size_after: int | None


@frozen
class Comparison:
    """What changed; what stayed the same is left out.

    Attributes:
        roots: The two roots.
        python: The two versions of Python; None where there is none.
        cuda: The two versions of CUDA; None where there is none.
        members: The numbers of store paths.
        sizes: The bytes of the two closures; None where Nix could not be asked.
        distributions: Python distributions, by name.
        components: CUDA's parts, by name, with their outputs: ``12.8.4.1-lib``.
        others: All other store objects, likewise; a name without version has an empty one.
        rebuilt: The number of store paths that have the same name and another hash.
    """

    roots: tuple[StorePath, StorePath]
    python: tuple[str | None, str | None]
    cuda: tuple[str | None, str | None]
    members: tuple[int, int]
    sizes: tuple[int | None, int | None]
    distributions: tuple[Change, ...]
    components: tuple[Change, ...]
    others: tuple[Change, ...]
    rebuilt: int


@frozen
class _Holding:
    """One version of a thing in one store object."""

    name: str
    version: str
    size: int | None


def compare(before: Inspected, after: Inspected) -> Comparison:
    """Compare two closures."""
    return Comparison(
        roots=(before.closure.root, after.closure.root),
        python=(_python(before), _python(after)),
        cuda=(_cuda(before), _cuda(after)),
        members=(len(before.closure.paths), len(after.closure.paths)),
        sizes=(_total(before.contents.graph), _total(after.contents.graph)),
        distributions=_changes(_distributions(before), _distributions(after)),
        components=_changes(_objects(before, is_cuda=True), _objects(after, is_cuda=True)),
        others=_changes(_objects(before, is_cuda=False), _objects(after, is_cuda=False)),
        rebuilt=_rebuilt(before.closure, after.closure),
    )


def _python(side: Inspected) -> str | None:
    interpreter = side.inventory.interpreter if side.inventory else None
    return interpreter.version if interpreter else None


def _cuda(side: Inspected) -> str | None:
    return side.inventory.cuda.version if side.inventory and side.inventory.cuda else None


def _total(graph: Graph | None) -> int | None:
    return None if graph is None else sum(known.nar_size for known in graph.registrations)


def _sizes(graph: Graph | None) -> Mapping[StorePath, int]:
    return {} if graph is None else {known.path: known.nar_size for known in graph.registrations}


def _used_sites(side: Inspected) -> Iterator[tuple[StorePath | None, SiteListing]]:
    """Give the site-packages directories in use, in their order, with their store objects."""
    sites = {site.directory: site for site in side.contents.sites}
    used = [part.directory for part in side.inventory.site_packages] if side.inventory else sites
    members = frozenset(side.closure.paths)
    for directory in used:
        if directory in sites:
            yield holder_of(directory, members), sites[directory]


def _distributions(side: Inspected) -> dict[str, list[_Holding]]:
    """Give the distributions by name, the one that wins first."""
    sizes = _sizes(side.contents.graph)
    named = defaultdict(list)
    for holder, site in _used_sites(side):
        # A directory of many distributions, as python.withPackages makes it, is no one's size.
        size = sizes.get(holder) if holder and len(site.distributions) == 1 else None
        for found in site.distributions:
            holding = _Holding(canonicalize_name(found.name), found.version, size)
            named[holding.name].append(holding)
    return {name: [first, *_sorted(rest)] for name, (first, *rest) in named.items()}


def _objects(side: Inspected, *, is_cuda: bool) -> dict[str, list[_Holding]]:
    """Give the store objects that hold no distribution in use, by name: CUDA's, or the others."""
    told = {holder for holder, site in _used_sites(side) if site.distributions}
    notes = {found.path: found for found in side.probe.objects}
    sizes = _sizes(side.contents.graph)
    named = defaultdict(list)
    for path in side.closure.paths:
        if path not in told and (group_of(path, notes.get(path)) is Group.CUDA) is is_cuda:
            component = parse_store_name(store_name(path))
            holding = _Holding(component.name, component.release, sizes.get(path))
            named[holding.name].append(holding)
    return {name: _sorted(holdings) for name, holdings in named.items()}


def _sorted(holdings: Iterable[_Holding]) -> list[_Holding]:
    return sorted(holdings, key=lambda holding: holding.version)


def _changes(
    before: Mapping[str, Sequence[_Holding]], after: Mapping[str, Sequence[_Holding]]
) -> tuple[Change, ...]:
    pairs = ((name, before.get(name, ()), after.get(name, ())) for name in {*before, *after})
    return tuple(
        Change(name, _versions(old), _versions(new), _sum(old), _sum(new))
        for name, old, new in sorted(pairs)
        if _versions(old) != _versions(new)
    )


def _versions(holdings: Iterable[_Holding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(holding.version for holding in holdings))


def _sum(holdings: Sequence[_Holding]) -> int | None:
    known = [holding.size for holding in holdings if holding.size is not None]
    return sum(known) if known or not holdings else None


def _rebuilt(before: Closure, after: Closure) -> int:
    names = {store_name(path) for path in set(before.paths) - set(after.paths)}
    return sum(store_name(path) in names for path in set(after.paths) - set(before.paths))
