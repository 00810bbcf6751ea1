"""What the directories of modules hold that matters to the order of modules."""

import os
import stat
from collections.abc import Mapping

from nixenv.road.disk import LOOK, NO_SUCH, find_entries, find_file, is_kind, read_head
from nixenv.road.launcher import parse_path_lines
from nixenv.road.launcher.end import find_version
from nixenv.storepath import StorePath, enclosing_store_path
from nixenv.text import decode
from nixenv.typed import NamedTuple

# Of a .pth file so much is read.
_PATH_FILE_HEAD = 1 << 16


class ModuleDirectory(NamedTuple):
    """What a directory of modules holds that matters to the order of modules.

    Attributes:
        directory: Its path.
        path_lines: The directories that the plain lines of its ``.pth`` files name, in the order
            in which Python reads them, those that are there.
        leads_to: The store objects that its links lead to: an environment is made of links.
        distributions: How many distributions have their metadata in it.
    """

    directory: str
    path_lines: tuple[str, ...] = ()
    leads_to: tuple[StorePath, ...] = ()
    distributions: int = 0


class FloxModules(NamedTuple):
    """The modules of the Flox environment, which a user may have installed beside the program.

    Attributes:
        directory: The site-packages directory in ``$FLOX_ENV``, as its own path in the store.
        python: The file behind ``$FLOX_ENV/bin/python3``.
        content: What its entries lead to: the same in each environment that has the same modules.
    """

    directory: str
    python: str
    content: tuple[str, ...]


def probe_modules(
    directory: str, store_dir: str, entries: Mapping[str, "os.DirEntry[str]"] | None = None
) -> ModuleDirectory:
    """Look at one directory; nothing is in one that is not there.

    Args:
        directory: The directory.
        store_dir: The store directory.
        entries: What it holds, by name, where that has been looked up.

    Raises:
        OSError: it cannot be read.
    """
    if entries is None:
        entries = find_entries(directory) or {}
    metadata = [name for name in entries if name.endswith((".dist-info", ".egg-info"))]
    lines: dict[str, None] = {}
    for name in sorted([name for name in entries if name.endswith(".pth") and name[0] != "."]):
        head = read_head(f"{directory}/{name}", _PATH_FILE_HEAD) or b""
        text = decode(head)
        lines.update(dict.fromkeys(parse_path_lines(directory, text)))
    lines.pop(directory, None)
    there = tuple(line for line in lines if is_kind(line, stat.S_ISDIR))
    # One look tells an environment from a package, which has none of these as links.
    first = next(iter(metadata or entries), None)
    is_made_of_links = first is not None and entries[first].is_symlink()
    leads_to = _follow_links(entries, store_dir) if is_made_of_links else ()
    return ModuleDirectory(directory, there, leads_to, len(metadata))


def _follow_links(
    entries: Mapping[str, "os.DirEntry[str]"], store_dir: str
) -> tuple[StorePath, ...]:
    links = (_target(entries[name]) for name in sorted(entries) if entries[name].is_symlink())
    found = (enclosing_store_path(target, store_dir) for target in links)
    return tuple(dict.fromkeys(path for path in found if path is not None))


def probe_flox(flox_env: str, store_dir: str) -> FloxModules | None:
    """Look at the modules for the Python of a Flox environment; None where there are none.

    Raises:
        OSError: they cannot be read.
    """
    home = os.path.realpath(flox_env)
    python = find_file(f"{home}/bin/python3")
    version = find_version(python, LOOK) if python else None
    directory = f"{home}/lib/python{version}/site-packages"
    if not python or not version or enclosing_store_path(home, store_dir) is None:
        return None
    try:
        with os.scandir(directory) as entries:
            content = sorted(map(_target, entries))
    except OSError as error:
        if error.errno in NO_SUCH:
            return None
        raise
    return FloxModules(directory, python, tuple(content))


def _target(entry: "os.DirEntry[str]") -> str:
    """Say what an entry leads to, by one link."""
    if not entry.is_symlink():
        return entry.path
    return os.path.join(os.path.dirname(entry.path), os.readlink(entry.path))
