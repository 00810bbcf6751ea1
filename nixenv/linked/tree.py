"""Merge directories into a tree of links. Pure: what a directory holds is asked of the caller.

A directory that one source owns becomes one link; only what several sources share becomes a
directory of the farm, so that a farm of 600 site-packages has hundreds of links and not millions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

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
        target: What it leads to: a path outside, or a relative one within the farm.
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

    Where links lead from a directory back to one above it, as nixpkgs' ``include/cccl -> .`` does,
    the farm has a link that does the same.

    Args:
        place: The path below the farm's directory.
        sources: The directories.
        scan: Lists a directory.
        opened: Says, by its name, whether a directory is to be one of the farm also where one
            source owns it.
    """
    pending = [_Directory(place, tuple(sources))]
    while pending:
        directory = pending.pop()
        for name, claimed in _claims(directory.sources, scan).items():
            for part in _settle(directory, name, claimed, opened):
                if isinstance(part, _Directory):
                    pending.append(part)
                else:
                    yield part


def separate(
    parts: Iterable[Link | Conflict],
) -> tuple[tuple[Link, ...], tuple[Conflict, ...]]:
    """Take the links and the conflicts of a merge apart."""
    found = tuple(parts)
    return (
        tuple(part for part in found if isinstance(part, Link)),
        tuple(part for part in found if isinstance(part, Conflict)),
    )


@frozen
class _Directory:
    """A directory of the farm that is to be made of several.

    Attributes:
        place: Its path below the farm's directory.
        sources: What it is made of.
        above: The directory that it is in; None for the outermost.
    """

    place: str
    sources: tuple[Source, ...]
    above: "_Directory | None" = None

    def find(self, directories: Collection[str]) -> str | None:
        """Find the place, this or one above it, where these directories are being merged."""
        current: _Directory | None = self
        while current is not None:
            if {source.directory for source in current.sources}.issuperset(directories):
                return current.place
            current = current.above
        return None


_Claims = dict[str, list[tuple[Entry, Source]]]


def _claims(sources: Iterable[Source], scan: Scan) -> _Claims:
    """Say which sources have an entry of which name, and what is below it."""
    claims: _Claims = {}
    for source in sources:
        for entry in scan(source.directory):
            inside = f"{source.inside}{entry.name}"
            if inside not in source.hidden:
                below = Source(entry.path, source.hidden, f"{inside}/")
                claims.setdefault(entry.name, []).append((entry, below))
    return claims


def _settle(
    directory: _Directory, name: str, claimed: Sequence[tuple[Entry, Source]], opened: Choice
) -> Iterator[Link | Conflict | _Directory]:
    path = f"{directory.place}/{name}"
    first, _ = claimed[0]
    shared: dict[str, Source] = {}
    for entry, source in claimed:
        if entry.is_directory:
            shared.setdefault(entry.path, source)
    if not first.is_directory:
        yield Link(path, first.path)
    elif (outer := directory.find(shared)) is not None:
        levels = directory.place.count("/") - outer.count("/")
        yield Link(path, "/".join([".."] * levels) or ".")
    elif len(shared) > 1 or opened(first.name):
        yield _Directory(path, tuple(shared.values()), directory)
    else:
        yield Link(path, first.path)
    losers = dict.fromkeys(
        entry.path
        for entry, _ in claimed
        if entry.path != first.path and not (entry.is_directory and first.is_directory)
    )
    if losers:
        yield Conflict(path, first.path, tuple(losers))
