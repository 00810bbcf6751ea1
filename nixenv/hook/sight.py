"""What the hook asks for, and what was looked up for it: equal while nothing has changed.

A text is kept only if what was looked up before Nix was asked is the same when the work is done,
and its file is dated by the first look: what changes after that is younger, which bash sees.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping

from nixenv.files import read_file
from nixenv.road.profile import PROFILE_LIMIT
from nixenv.road.root import Root
from nixenv.storepath import enclosing_store_path
from nixenv.typed import NamedTuple

HEAD = "nixenv activation 3"
"""The first line of what the hook asks for; of another format, nothing is taken."""

# The kernel dates files by a clock that is behind by up to a tick, of 10 ms at most.
_TICK = 10_000_000

# The variables that a text depends on by their value.
_NAMED = ("FLOX_ENV", "NIX_STORE_DIR", "NIX_STORE", "VIRTUAL_ENV")

# As many as Linux follows.
_LINKS = 40


class Asked(NamedTuple):
    """What the hook asks for, as it gives it: empty for what it does not say.

    Attributes:
        name: The name of the activation file.
        cache_dir: The cache directory.
        nixenv: The program that it started.
        layout: NIXENV_LAYOUT.
        profile: NIXENV_PROFILE.
        root: NIXENV_ROOT.
    """

    name: str
    cache_dir: str
    nixenv: str
    layout: str
    profile: str
    root: str

    @property
    def settings(self) -> dict[str, str]:
        """The variables that are set to something, exported or not."""
        settings = {
            "NIXENV_LAYOUT": self.layout,
            "NIXENV_PROFILE": self.profile,
            "NIXENV_ROOT": self.root,
        }
        return {name: value for name, value in settings.items() if value}


class Sight(NamedTuple):
    """What was looked up, as it was then: two of these differ when something has changed.

    Attributes:
        key: All that was asked for, the profile's content last.
        same: Pairs of paths that lead to the same thing: as it was named, and behind all links.
        unchanged: Paths that must not have changed since, with what their dates and places were.
        found: The program's file on PATH; empty where the root was named.
    """

    key: tuple[str, ...]
    same: tuple[tuple[str, str], ...]
    unchanged: tuple[tuple[str, tuple[int, ...]], ...]
    found: str


def look(asked: Asked, profile: str, root: Root, environ: Mapping[str, str]) -> Sight:
    """Look at all that the text will depend on but the store, which never changes.

    Args:
        asked: What the hook asks for.
        profile: The profile's file, if it has one, as the hook names it.
        root: The root as it was found.
        environ: The variables, without what an earlier activation has set.

    Raises:
        OSError: something of it is not there any more.
    """
    named = [environ.get("FLOX_ENV"), root.named, asked.nixenv, root.found]
    unchanged = [os.path.realpath(asked.nixenv, strict=True)]
    homes = [environ.get("VIRTUAL_ENV", "")]
    if root.found is not None:
        for directory in _list_directories(root.found, os.path.dirname(root.path)):
            named.append(directory)
            unchanged.append(os.path.realpath(directory, strict=True))
        homes.append(os.path.dirname(os.path.dirname(root.found)))
    # A virtual environment, which leads to an interpreter in the store.
    unchanged += filter(os.path.exists, (f"{home}/pyvenv.cfg" for home in homes))
    return Sight(
        _key(asked, profile, environ),
        tuple((path, os.path.realpath(path, strict=True)) for path in filter(None, named)),
        tuple((path, _identity(os.stat(path))) for path in unchanged),
        root.found or "",
    )


def _list_directories(file: str, store_dir: str) -> Iterator[str]:
    """List the directory of a file, and those of the links that it leads through to the store."""
    for _ in range(_LINKS):
        directory = os.path.dirname(file)
        yield directory
        if enclosing_store_path(os.path.realpath(directory), store_dir) or not os.path.islink(file):
            return
        file = os.path.join(directory, os.readlink(file))
        if enclosing_store_path(file, store_dir):
            return


def take_moment() -> int:
    """Give a time, in nanoseconds, before which the kernel dates nothing that happens from now."""
    return time.time_ns() - _TICK


def _key(asked: Asked, profile: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the lines of the hook's __nixenv_key."""
    return (
        *(HEAD, asked.cache_dir, asked.layout, asked.root),
        *(environ.get(name, "") for name in _NAMED),
        profile,
        _read_profile(profile),
    )


def _read_profile(file: str) -> str:
    """Read a profile as bash does: nothing where there is no file, and as far as the first NUL."""
    with contextlib.suppress(OSError):
        return os.fsdecode(read_file(file, PROFILE_LIMIT).partition(b"\0")[0])
    return ""


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
