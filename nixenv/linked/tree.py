"""Merge directories into a tree of links. Pure: what a directory holds is asked of the caller.

A directory that one source owns becomes one link; only what several sources share becomes a
directory of the farm, so that a farm of 600 site-packages has hundreds of links and not millions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import frozen


@frozen
class Entry:
    """One entry of a directory.

    Attributes:
        name: Its name there.
        path: What it is, behind all links.
        is_directory: Whether that is a directory.
    """

    name: str
    path: str
    is_directory: bool


@frozen
class Source:
    """A directory to merge, as far as it counts.

    Attributes:
        directory: Its path.
        hidden: Paths below the source's top that are passed over.
        inside: Where below that top this directory is: empty, or ending with a slash.
    """

    directory: str
    hidden: frozenset[str] = frozenset()
    inside: str = ""


@frozen
class Link:
    """A link of the farm.

    Attributes:
        path: Where, below the farm's directory.
        target: What it leads to.
    """

    path: str
    target: str


@frozen
class Conflict:
    """A path that several sources claim for what cannot be merged; the first won.

    Attributes:
        path: Where, below the farm's directory.
        winner: What is there now.
        losers: What is not.
    """

    path: str
    winner: str
    losers: tuple[str, ...]


Scan = Callable[[str], Iterable[Entry]]
Choice = Callable[[str], bool]


def merge(
    place: str, sources: Sequence[Source], scan: Scan, opened: Choice = lambda _: False
) -> Iterator[Link | Conflict]:
    """Merge ``sources`` into the directory ``place`` of the farm; the first source wins.

    Args:
        place: The path below the farm's directory.
        sources: The directories.
        scan: Lists a directory.
        opened: Says, by its name, whether a directory is to be one of the farm also where one
            source owns it.
    """
    claims: dict[str, list[tuple[Entry, Source]]] = {}
    for source in sources:
        for entry in scan(source.directory):
            inside = f"{source.inside}{entry.name}"
            if inside not in source.hidden:
                below = Source(entry.path, source.hidden, f"{inside}/")
                claims.setdefault(entry.name, []).append((entry, below))
    for name, claimed in claims.items():
        yield from _settle(f"{place}/{name}", claimed, scan, opened)


def separate(
    parts: Iterable[Link | Conflict],
) -> tuple[tuple[Link, ...], tuple[Conflict, ...]]:
    """Take the links and the conflicts of a merge apart."""
    found = tuple(parts)
    return (
        tuple(part for part in found if isinstance(part, Link)),
        tuple(part for part in found if isinstance(part, Conflict)),
    )


def _settle(
    path: str, claimed: Sequence[tuple[Entry, Source]], scan: Scan, opened: Choice
) -> Iterator[Link | Conflict]:
    first, _ = claimed[0]
    shared: dict[str, Source] = {}
    for entry, source in claimed:
        if entry.is_directory:
            shared.setdefault(entry.path, source)
    if first.is_directory and (len(shared) > 1 or opened(first.name)):
        yield from merge(path, tuple(shared.values()), scan, opened)
    else:
        yield Link(path, first.path)
    losers = dict.fromkeys(
        entry.path
        for entry, _ in claimed
        if entry.path != first.path and not (entry.is_directory and first.is_directory)
    )
    if losers:
        yield Conflict(path, first.path, tuple(losers))
