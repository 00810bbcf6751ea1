"""Why something is in the closure: the chain of references that leads to it. Pure."""

from collections.abc import Sequence

from attrs import frozen

from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.graph import Graph, closure_sizes, find_chain, find_referrers
from nixenv.inspect.lookup import NothingCalled, find_store_paths, names_of, suggest
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
        nar_size: Its own bytes.
        closure_size: The bytes of all that it needs, itself included.
    """

    path: StorePath
    reason: str
    chain: tuple[StorePath, ...]
    referrers: tuple[StorePath, ...]
    nar_size: int
    closure_size: int


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
    known = {registration.path: registration for registration in graph.registrations}
    matches = find_store_paths(name, tuple(known), sites)
    if not matches:
        raise NothingCalled(name, suggest(name, names_of(known, sites)))
    chains = {match.path: find_chain(graph, root, match.path) or () for match in matches}
    # Nearest to the root first: that is what the program itself uses.
    matches = tuple(sorted(matches, key=lambda match: len(chains[match.path]) or len(known)))
    sizes = closure_sizes(graph)
    return Presence(
        name,
        root,
        tuple(
            Explanation(
                path=match.path,
                reason=match.reason,
                chain=chains[match.path],
                referrers=find_referrers(graph, match.path),
                nar_size=known[match.path].nar_size,
                closure_size=sizes[match.path],
            )
            for match in matches[:MATCH_LIMIT]
        ),
        len(matches[MATCH_LIMIT:]),
    )
