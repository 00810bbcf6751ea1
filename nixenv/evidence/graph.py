"""The query station's second question, for people: how the closure hangs together, and its sizes.

One ``nix-store --dump-db`` answers it. ``export`` does without.
"""

import errno
import os
import re
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from attrs import field, frozen, validators

from nixenv.errors import NixError
from nixenv.process import PATIENT, Meanwhile, Patience
from nixenv.road.nix import (
    NixNotFound,
    NixNotRunnable,
    ask_nix,
    find_nix_store,
    nix_search_path,
)
from nixenv.road.query import UnusableClosure
from nixenv.storepath import StorePath, parse_store_path


class ReferencesUnknown(NixError):
    """The references of a closure are asked for, and its source does not tell them."""

    source: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.source} does not tell what refers to what",
            "ask where there is Nix, or from a snapshot that was taken there",
        )


# What Nix itself can hold: it keeps sizes in 64 bits.
_LARGEST_SIZE = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")

# Bits: so many pairs of a member and another that it may reach are looked at at a time.
_LOOKED_FOR = 1 << 28


@frozen
class Registration:
    """What Nix's database says about one store object.

    Attributes:
        path: Its store path.
        nar_size: Its size as a Nix archive, in bytes: near to what it takes on disk.
        references: The store paths that it refers to, itself left out, in Nix's order.
    """

    path: StorePath
    nar_size: int = field(validator=[validators.ge(0), validators.le(_LARGEST_SIZE)])
    references: tuple[StorePath, ...] = ()


def _check_registrations(
    _instance: object, _attribute: object, registrations: tuple[Registration, ...]
) -> None:
    _by_path(registrations)
    try:
        _references_first(registrations)
    except CycleError as error:
        raise ValueError(f"references go in a circle: {' -> '.join(error.args[1])}") from error


@frozen
class Graph:
    """The registrations of a whole closure.

    Attributes:
        registrations: One for each member, in the closure's order. References never go in a circle:
            a store object is built after those that it refers to.

    Raises:
        ValueError: they do, or a member is registered twice.
    """

    registrations: tuple[Registration, ...] = field(repr=False, validator=_check_registrations)


def query_graph(
    paths: Sequence[StorePath],
    store_dir: str,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    meanwhile: Meanwhile = lambda _listen: None,
) -> Graph:
    """Ask Nix for the registrations of all members of a closure, with one command.

    Args:
        paths: The members.
        store_dir: The store directory that every answer must lie in.
        environ: The environment, as for `nixenv.road.query.query_closure`.
        patience: How long to wait for Nix, and who is told meanwhile.
        meanwhile: What to do while Nix works, if Nix is asked.

    Raises:
        NixNotFound: no nix-store.
        NixNotRunnable, NixFailed, NixOutOfTime, NixSaidTooMuch: nix-store gives no answer.
        UnusableClosure: the answer is no list of registrations, or lacks some of ``paths``.
    """
    nix_store = find_nix_store(environ)
    if nix_store is None:
        raise NixNotFound(nix_search_path(environ).split(os.pathsep))
    if not paths:
        return Graph(())  # Nix would take no path for all paths
    dump = _dump(nix_store, paths, environ, patience, meanwhile)
    return parse_dump(dump, store_dir, paths, f"{nix_store} --dump-db")


def parse_dump(
    text: str,
    store_dir: str,
    members: Collection[StorePath] | None = None,
    source: str = "nix-store --dump-db",
) -> Graph:
    """Parse what ``nix-store --dump-db`` prints. Pure.

    For each store object a line each: its path, its hash, its size, its deriver (which may be
    empty), the number of its references, and the references::

        /nix/store/328j4fwk5x0snpnfp4ky992ix6h9xpfr-zlib-1.3.1
        c8c73d929367ef16fbcf4fd0…
        848

        1
        /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.40-66

    Args:
        text: What it prints.
        store_dir: The store directory that all paths must lie in.
        members: Those that are wanted, in this order; None for all, as they come. (A closure has
            what is referred to first; to find such an order for a dump takes a second for 50,000.)
        source: What printed it, for a person.

    Raises:
        UnusableClosure: it is something else, or lacks a member.
    """
    try:
        registrations = tuple(_parse_registrations(text, store_dir))
        return Graph(registrations if members is None else _select(registrations, members))
    except ValueError as error:
        raise UnusableClosure(source, str(error)) from error


def closure_size(graph: Graph, member: StorePath) -> int:
    """Give the bytes of one member's whole closure, itself included. Pure."""
    known = {found.path: found for found in graph.registrations}
    reached = {member}
    waiting = [member]
    while waiting:
        new = set(known[waiting.pop()].references) & known.keys() - reached
        reached |= new
        waiting += new
    return sum(known[path].nar_size for path in reached)


def closure_sizes(graph: Graph) -> dict[StorePath, int]:
    """Give for each member the bytes of its whole closure, itself included. Pure.

    What each member reaches is a set of members, as the bits of a number. All of these sets at once
    would take the square of the members: a part of the members is looked for at a time.
    """
    members = _references_first(graph.registrations)
    number = {known.path: place for place, known in enumerate(members)}
    references = [
        [number[path] for path in known.references if path in number] for known in members
    ]
    totals = [0] * len(members)
    width = _LOOKED_FOR // max(len(members), 1) + 1
    for start in range(0, len(members), width):
        sizes = [known.nar_size for known in members[start : start + width]]
        for place, size in enumerate(_sizes_within(references, start, sizes), start):
            totals[place] += size
    return dict(zip(number, totals, strict=True))


def _sizes_within(
    references: Sequence[Sequence[int]], start: int, sizes: Sequence[int]
) -> Iterator[int]:
    """Give, for each member from ``start`` on, the bytes of what it reaches of the next few.

    Args:
        references: What each member refers to: members before it.
        start: The first of these few.
        sizes: Their sizes.
    """
    planes, every, whole = _bit_planes(sizes), (1 << len(sizes)) - 1, sum(sizes)
    reached = [0] * len(references)
    for place in range(start, len(references)):
        found = 1 << place - start if place - start < len(sizes) else 0
        for reference in references[place]:
            found |= reached[reference]
        reached[place] = found
        yield whole if found == every else _add_up(found, planes)


def _add_up(found: int, planes: Sequence[tuple[int, int]]) -> int:
    return sum((found & plane).bit_count() << bit for bit, plane in planes) if found else 0


def find_chain(graph: Graph, root: StorePath, target: StorePath) -> tuple[StorePath, ...] | None:
    """Find the shortest chain of references from ``root`` to ``target``, both included. Pure.

    Of several that are equally short, the one that takes the earlier references. None when there
    is none.
    """
    references = {known.path: known.references for known in graph.registrations}
    if root not in references or target not in references:
        return None
    referrer: dict[StorePath, StorePath | None] = {root: None}
    waiting = deque([root])
    while waiting and target not in referrer:
        path = waiting.popleft()
        for reference in references[path]:
            if reference in references and reference not in referrer:
                referrer[reference] = path
                waiting.append(reference)
    if target not in referrer:
        return None
    return tuple(_walk_back(target, referrer))[::-1]


def find_referrers(graph: Graph, target: StorePath) -> tuple[StorePath, ...]:
    """Find the members that refer to ``target`` directly, in the closure's order. Pure."""
    return tuple(
        known.path
        for known in graph.registrations
        if target in known.references and known.path != target
    )


def _dump(
    nix_store: str,
    paths: Sequence[StorePath],
    environ: Mapping[str, str],
    patience: Patience,
    meanwhile: Meanwhile,
) -> str:
    command = (nix_store, "--dump-db")
    try:
        return ask_nix((*command, *paths), environ, patience, meanwhile)
    except NixNotRunnable as error:
        if not _is_too_long(error):
            raise
        # More paths than Linux passes to a program: ask for everything in the store.
        return ask_nix(command, environ, patience, meanwhile)


def _is_too_long(error: NixNotRunnable) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.E2BIG


def _parse_registrations(text: str, store_dir: str) -> Iterator[Registration]:
    # A large closure names glibc in every other registration: each line is parsed once.
    parse_path = cache(lambda line: parse_store_path(line, store_dir))
    lines = iter(text.splitlines())
    for line in lines:
        path = parse_path(line)
        _hash, size, _deriver, count = _take(lines, 4, path)
        references = map(parse_path, _take(lines, _number(count), path))
        others = tuple(reference for reference in references if reference != path)
        yield Registration(path, _number(size), others)


def _select(
    registrations: Sequence[Registration], members: Collection[StorePath]
) -> tuple[Registration, ...]:
    found = _by_path(registrations)
    missing = next((path for path in members if path not in found), None)
    if missing is not None:
        raise ValueError(f"{missing} is not among its {len(found)} store paths")
    return tuple(found[path] for path in dict.fromkeys(members))


def _by_path(registrations: Sequence[Registration]) -> dict[StorePath, Registration]:
    found = {known.path: known for known in registrations}
    if len(found) < len(registrations):
        counts = Counter(known.path for known in registrations)
        raise ValueError(f"{counts.most_common(1)[0][0]} is registered twice")
    return found


def _take(lines: Iterator[str], count: int, path: StorePath) -> list[str]:
    taken = list(islice(lines, count))
    if len(taken) < count:
        raise ValueError(f"it ends in the middle of {path}")
    return taken


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def _walk_back(
    target: StorePath, referrer: Mapping[StorePath, StorePath | None]
) -> Iterator[StorePath]:
    path: StorePath | None = target
    while path is not None:
        yield path
        path = referrer[path]


def _references_first(registrations: tuple[Registration, ...]) -> tuple[Registration, ...]:
    """Give them so that each stands behind those that it refers to: as they are, from Nix.

    Raises:
        CycleError: there is no such order.
    """
    members = {known.path for known in registrations}
    seen: set[StorePath] = set()
    for known in registrations:
        if not seen.issuperset(members.intersection(known.references)):
            break
        seen.add(known.path)
    else:
        return registrations
    named = {known.path: known for known in registrations}
    order = TopologicalSorter(_inner_references(registrations)).static_order()
    return tuple(named[path] for path in order)


def _inner_references(
    registrations: Sequence[Registration],
) -> dict[StorePath, tuple[StorePath, ...]]:
    """Give the references from member to member; one to itself is none."""
    members = {known.path for known in registrations}
    return {
        known.path: tuple(r for r in known.references if r in members and r != known.path)
        for known in registrations
    }


def _bit_planes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Turn sizes into one set of members for each bit: those whose size has that bit.

    The sum over a set is then a few dozen intersections, where adding up 10,000 sizes for each of
    10,000 members takes seconds.
    """
    planes: dict[int, int] = defaultdict(int)
    for number, size in enumerate(sizes):
        for bit in range(size.bit_length()):
            if size >> bit & 1:
                planes[bit] |= 1 << number
    return sorted(planes.items())
