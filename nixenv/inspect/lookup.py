"""What a person means by a name: store paths of the closure. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum

from attrs import frozen
from packaging.utils import canonicalize_name

from nixenv.errors import NixenvError
from nixenv.evidence.distributions import SiteListing
from nixenv.storepath import StorePath, enclosing_store_path, parse_store_name, store_name
from nixenv.text import printable


class NothingCalled(NixenvError):
    """A name that nothing in the closure has."""

    name: str
    close: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        reason = f"nothing in the closure is called {self.name!r}"
        if self.close:
            return (reason, f"did you mean {printable(' or '.join(self.close))}?")
        return (
            reason,
            "give the name of a distribution, module, header, library, program or store path; "
            "`nixenv inspect` lists what there is",
        )


class Kind(StrEnum):
    """What a name may mean, besides a store object."""

    DISTRIBUTION = "distribution"
    MODULE = "module"
    HEADER = "header"
    LIBRARY = "library"
    PROGRAM = "program"


@frozen
class Match:
    """A store path that somebody may mean.

    Attributes:
        path: The store path.
        reason: Why, for a person: ``it holds the distribution torch 2.9.1``.
        exact: Whether the whole name is meant, and not only its beginning.
    """

    path: StorePath
    reason: str
    exact: bool = True


def find_store_paths(
    name: str, paths: Sequence[StorePath], sites: Iterable[SiteListing]
) -> tuple[Match, ...]:
    """Find the members of a closure that ``name`` stands for, best first.

    A store path, or a path inside one, is that one. Else it is compared with the names of
    distributions, store names whole and without prefix and version, as PyPA normalises names;
    and only where none is equal, with the beginnings of store names.
    """
    named = _find_path(name, paths)
    if named is not None:
        return (Match(named, "it is this store path"),)
    wanted = canonicalize_name(name)
    if not wanted:
        return ()
    matches = [
        *(Match(path, "its name is this") for path in paths if store_name(path) == name),
        *_find_distributions(wanted, frozenset(paths), sites),
        *(match for path in paths for match in _match_component(path, wanted)),
    ]
    if not matches:
        matches = [
            Match(path, "its name begins with this", exact=False)
            for path in paths
            if _begins_with(wanted, store_name(path))
        ]
    first: dict[StorePath, Match] = {}
    for match in matches:
        first.setdefault(match.path, match)
    return tuple(first.values())


def suggest(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Find the few names that are spelled nearly like ``name``."""
    spelled = {candidate.lower(): candidate for candidate in candidates}
    return tuple(spelled[close] for close in get_close_matches(name.lower(), spelled))


def holder_of(directory: str, paths: Collection[StorePath]) -> StorePath | None:
    """Give the member of the closure that a path lies in; None when it is in none."""
    root = next(iter(paths), None)
    path = root and enclosing_store_path(directory, root.rpartition("/")[0])
    return path if path in paths else None


def names_of(paths: Iterable[StorePath], sites: Iterable[SiteListing]) -> tuple[str, ...]:
    """Give the names that `find_store_paths` knows: for suggestions."""
    components = (parse_store_name(store_name(path)).name for path in paths)
    held = (distribution.name for site in sites for distribution in site.distributions)
    return tuple(dict.fromkeys((*held, *components)))


def _find_path(name: str, paths: Sequence[StorePath]) -> StorePath | None:
    """Take a path in the store, or the last part of a store path, hash and all."""
    if not paths:
        return None
    store_dir = paths[0].rpartition("/")[0]
    text = name if name.startswith("/") else f"{store_dir}/{name}"
    path = enclosing_store_path(text, store_dir)
    return path if path in paths else None


def _find_distributions(
    wanted: str, paths: Collection[StorePath], sites: Iterable[SiteListing]
) -> list[Match]:
    matches = []
    for site in sites:
        for distribution in site.distributions:
            if canonicalize_name(distribution.name) != wanted:
                continue
            path = holder_of(site.directory, paths)
            if path is not None:
                reason = f"it holds the distribution {distribution.name} {distribution.version}"
                matches.append(Match(path, reason))
    return matches


def _match_component(path: StorePath, wanted: str) -> Iterator[Match]:
    component = parse_store_name(store_name(path))
    if canonicalize_name(component.name) == wanted:
        yield Match(path, "its name is this, without version")
    elif canonicalize_name(f"{component.name}-{component.release}") == wanted:
        yield Match(path, "its name is this, without prefix")


def _begins_with(wanted: str, name: str) -> bool:
    names = (name, parse_store_name(name).name)
    return any(canonicalize_name(text).startswith(wanted) for text in names)
