"""Why something is in the closure: the chain of references that leads to it. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.graph import Graph, closure_size, find_chain, find_referrers
from nixenv.inspect.lookup import Match, NothingCalled, find_store_paths, names_of, suggest
from nixenv.storepath import StorePath

MATCH_LIMIT = 10
"""So many matches are explained; of more than that, a person wants a narrower name."""


@frozen
class Explanation:
    """Why one store object is in the closure.

    Attributes:
        path: Its store path.
        reason: Why it is meant by the name.
        chain: The shortest chain of references from the root to it, both included; empty when
            nothing leads from the root to it.
        referrers: All members that refer to it directly.
        nar_size: Its own bytes; None without Nix, and then nothing of the others is known.
        closure_size: The bytes of all that it needs, itself included.
    """

    path: StorePath
    reason: str
    chain: tuple[StorePath, ...]
    referrers: tuple[StorePath, ...]
    nar_size: int | None
    closure_size: int | None


@frozen
class Presence:
    """What is in the closure under a name, and why.

    Attributes:
        name: The name.
        root: The root.
        explanations: One for each store object that the name stands for, nearest to the
            root first.
        left_out: How many more there would be.
    """

    name: str
    root: StorePath
    explanations: tuple[Explanation, ...]
    left_out: int = 0


def explain_presence(
    name: str, graph: Graph, root: StorePath, sites: Sequence[SiteListing]
) -> Presence:
    """Explain why what ``name`` stands for is in the closure.

    Args:
        name: A store path, a store name, with or without version, or its beginning
            (``libcublas``), or the name of a distribution.
        graph: The closure's references and sizes.
        root: The root.
        sites: What the site-packages directories hold.

    Raises:
        NothingCalled: there is no such thing.
    """
    known = tuple(registration.path for registration in graph.registrations)
    matches = find_store_paths(name, known, sites)
    if not matches:
        raise NothingCalled(name, suggest(name, names_of(known, sites)))
    explanations = explain_matches(matches, graph, root)
    # Nearest to the root first: that is what the program itself uses.
    nearest = sorted(explanations, key=lambda found: len(found.chain) or len(known))
    return Presence(name, root, tuple(nearest[:MATCH_LIMIT]), len(nearest[MATCH_LIMIT:]))


def explain_matches(
    matches: Iterable[Match], graph: Graph | None, root: StorePath
) -> Iterator[Explanation]:
    """Explain why each of these is in the closure, as far as its references are known."""
    own = {found.path: found.nar_size for found in graph.registrations} if graph else {}
    for match in matches:
        path = match.path
        yield Explanation(
            path=path,
            reason=match.reason,
            chain=(find_chain(graph, root, path) or ()) if graph else (),
            referrers=find_referrers(graph, path) if graph else (),
            nar_size=own.get(path),
            closure_size=closure_size(graph, path) if graph else None,
        )
