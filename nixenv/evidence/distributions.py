"""The probe station's second look at Python, for people: what each site-packages directory holds.

``export`` does without it: listing hundreds of directories is what makes a shell slow. Nothing is
imported or run here. All files are read as text, from the start and up to a limit.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from attrs import frozen

from nixenv.linked.record import read_record
from nixenv.road.disk import read_text
from nixenv.road.probe import Probe

_TAGGED_EXTENSION = re.compile(
    r"(?P<module>.*/[^/.]+|[^/.]+)\.(?P<tag>cpython-\d+[a-z]*)-(?P<platform>[a-z0-9_]+-linux[^/.]*)\.so",
    re.DOTALL,
)

# Of METADATA only the header counts.
_METADATA_HEAD = 1 << 18
_SMALL_HEAD = 1 << 16
_INIT_HEAD = 1 << 13

# So many files are looked at where no RECORD names them.
_MOST_FILES = 5_000

_METADATA_NAME = re.compile(r"(?P<name>[^-]+)(?:-(?P<version>.+))?\.(?:dist|egg)-info", re.DOTALL)

# A package that asks for the directories of its name on the whole path (pkgutil, pkg_resources).
_EXTENDS_PATH = re.compile(
    r"^[ \t]*__path__\s*(?::[^=\n]*)?=[^\n]*extend_path\(|^[^#\n]*declare_namespace\(",
    re.MULTILINE,
)


@frozen
class Distribution:
    """An installed distribution, by its own metadata.

    Attributes:
        name: Its name.
        version: Its version; ``?`` when nothing tells it.
        requires: What it requires: the lines of Requires-Dist, verbatim.
        modules: Its top-level modules and packages, those that are there.
        tags: What it was built for, by its WHEEL: ``cp310-abi3-manylinux2014_x86_64``.
        untagged: How many extension modules it has of the stable ABI, or without a tag.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    untagged: int = 0


@frozen
class SiteListing:
    """What one site-packages directory holds.

    A name can be imported when it is in one of `packages`, `extended` and `namespaces`.

    Attributes:
        directory: Its path.
        distributions: The distributions whose metadata is in it, by name.
        path_files: Its ``.pth`` files that run code. It is run in a site directory, but not on
            PYTHONPATH.
        packages: Its top-level modules, and its packages with an ``__init__``: the first on the
            path hides all others of the name.
        extended: Its top-level packages whose ``__init__`` takes in all others of the name.
        namespaces: Its top-level directories without ``__init__`` (PEP 420). Several of
            one name make one package, as long as none of the above has that name.
        extensions: Its extension modules whose names tell a CPython version (`match_extension`),
            and what else there is of these modules; paths below the directory.
    """

    directory: str
    distributions: tuple[Distribution, ...]
    path_files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extended: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


@frozen
class _TopLevel:
    """What is at the top of a directory, sorted.

    Attributes:
        names: All names.
        packages: As in `SiteListing`, and so on.
    """

    names: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extended: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    @property
    def metadata(self) -> tuple[str, ...]:
        return tuple(filter(_METADATA_NAME.fullmatch, self.names))

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(sorted({*self.packages, *self.extended, *self.namespaces}))


def probe_distributions(
    probe: Probe, step: Callable[[], object] = lambda: None
) -> tuple[SiteListing, ...]:
    """List every directory of modules of the closure; one that cannot be read is empty.

    That is each site-packages, and what else the program's launcher or a path line names.

    Args:
        probe: The notes that name the directories.
        step: Called after each.
    """
    directories = (
        *(
            f"{found.path}/lib/python{version}/site-packages"
            for found in probe.objects
            for version in found.site_packages
        ),
        *(place.directory for place in (probe.python.places if probe.python else ())),
        *(line for note in probe.directories for line in note.path_lines),
    )
    listings = []
    for directory in dict.fromkeys(directories):
        listings.append(_list_site_packages(directory))
        step()
    return tuple(listings)


def _list_site_packages(directory: str) -> SiteListing:
    top = _scan(directory)
    metadata = top.metadata
    recorded = {name: _read_record(f"{directory}/{name}") for name in metadata}
    distributions = tuple(
        _read_distribution(directory, name, recorded[name], top) for name in metadata
    )
    return SiteListing(
        directory,
        distributions,
        tuple(name for name in top.names if _runs_code(directory, name)),
        top.packages,
        top.extended,
        top.namespaces,
        _find_extensions(directory, top, tuple(chain.from_iterable(recorded.values()))),
    )


def _scan(directory: str) -> _TopLevel:
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return _TopLevel()
    packages = {_top_module(entry.name) for entry in found if _is_module_file(entry.name)}
    extended = []
    namespaces = []
    for entry in found:
        if not entry.name.isidentifier() or entry.name == "__pycache__" or not _is_dir(entry):
            continue
        inside = _list(entry.path)
        if not any(name.startswith("__init__.") for name in inside):
            namespaces.append(entry.name)
        elif _EXTENDS_PATH.search(read_text(f"{entry.path}/__init__.py", _INIT_HEAD)):
            extended.append(entry.name)
        else:
            packages.add(entry.name)
    return _TopLevel(
        names=tuple(entry.name for entry in found),
        packages=tuple(sorted(filter(str.isidentifier, packages))),
        extended=tuple(extended),
        namespaces=tuple(namespaces),
    )


def _is_module_file(path: str) -> bool:
    return path.endswith((".py", ".so"))


def _top_module(path: str) -> str:
    """Name the top-level module of a module's file."""
    top, slash, _ = path.partition("/")
    return top if slash else top.partition(".")[0]


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read_record(metadata: str) -> tuple[str, ...]:
    return tuple(filter(_is_module_file, read_record(metadata) or ()))


def _read_distribution(
    directory: str, name: str, recorded: Iterable[str], top: _TopLevel
) -> Distribution:
    """Read its metadata; where that tells no name or version, the directory's name has to do."""
    match = _METADATA_NAME.fullmatch(name)
    stem, version = (match["name"], match["version"]) if match else (name, None)
    place = f"{directory}/{name}"
    files = (f"{place}/METADATA", f"{place}/PKG-INFO", place)
    text = next(filter(None, (read_text(file, _METADATA_HEAD) for file in files)), "")
    header = parse_headers(text)
    wheel = parse_headers(read_text(f"{place}/WHEEL", _SMALL_HEAD))
    told = next(iter(header.get("name", ())), "") or stem
    return Distribution(
        told,
        next(iter(header.get("version", ())), "") or version or "?",
        tuple(filter(None, header.get("requires-dist", ()))),
        _own_modules(place, told, recorded, top),
        tuple(filter(None, wheel.get("tag", ()))),
        sum(map(_is_untagged, recorded)),
    )


def parse_headers(text: str) -> dict[str, list[str]]:
    """Read the headers at the beginning of a text, such as METADATA: values by lower-case names.

    Each value is one line of text; what is none is empty. (The standard library's parser takes
    three times as long, which thousands of distributions make seconds.) Pure.

    >>> parse_headers("Name: a\\nRequires-Dist: b\\n  (>=1)\\nRequires-Dist: c\\n\\nText: no\\n")
    {'name': ['a'], 'requires-dist': ['b (>=1)', 'c']}
    """
    headers: dict[str, list[str]] = {}
    for line in re.sub(r"\r?\n[ \t]+(?=\S)", " ", text.partition("\n\n")[0]).split("\n"):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            break
        headers.setdefault(name.lower(), []).append(_plain(value))
    return headers


def _is_untagged(path: str) -> bool:
    """Whether this is an extension module that any CPython may load; no library beside one."""
    name = path.rpartition("/")[2]
    return path.endswith(".so") and ".cpython-" not in name and not name.startswith("lib")


def _plain(value: str) -> str:
    """Give the one line of text that a header's value is; empty when it is none."""
    return "" if "\0" in value else " ".join(value.split())


def _own_modules(
    place: str, project: str, recorded: Iterable[str], top: _TopLevel
) -> tuple[str, ...]:
    """Say which of the top-level modules are a distribution's: as it says itself, else a guess."""
    claimed = set(map(_top_module, recorded))
    claimed = claimed or set(read_text(f"{place}/top_level.txt", _SMALL_HEAD).split())
    if not claimed and len(top.metadata) == 1:
        return top.modules
    if not claimed:
        claimed = {re.sub(r"[-.]", "_", name) for name in (project, project.lower())}
    return tuple(name for name in top.modules if name in claimed)


def _runs_code(directory: str, name: str) -> bool:
    """Whether ``site`` would run code for this file."""
    if not name.endswith(".pth") or name.startswith("."):
        return False
    lines = read_text(f"{directory}/{name}", _SMALL_HEAD).split("\n")
    return any(line.startswith(("import ", "import\t")) for line in lines)


def _find_extensions(directory: str, top: _TopLevel, recorded: Sequence[str]) -> tuple[str, ...]:
    known = set(map(_top_module, recorded))
    unrecorded = _walk(directory, [name for name in top.modules if name not in known])
    found = {}
    tagged = filter(None, map(match_extension, chain(recorded, top.names, unrecorded)))
    for match in islice(tagged, _MOST_FILES):
        path = match.string
        if _top_module(path) in top.modules and os.path.isfile(f"{directory}/{path}"):
            found[path] = match["module"]
    others = (f"{module}{end}" for module in found.values() for end in (".abi3.so", ".so", ".py"))
    there = (path for path in others if os.path.isfile(f"{directory}/{path}"))
    return tuple(sorted({*found, *there}))


def match_extension(path: str) -> re.Match[str] | None:
    """Match an extension module whose file name tells which CPython it was built for, and where.

    PEP 3149: ``numpy/_core/_multiarray_umath.cpython-312-x86_64-linux-gnu.so``. Those of the stable
    ABI (``.abi3.so``) and those without a tag (``.so``) can be loaded by any.

    Args:
        path: A path below site-packages.

    Returns:
        The match, with ``module``, ``tag`` and ``platform``; None where nothing is told.
    """
    # Most of what RECORD lists is none: look closer at the few.
    if ".cpython-" not in path or "/../" in path:
        return None
    return _TAGGED_EXTENSION.fullmatch(path)


def _walk(directory: str, names: Iterable[str]) -> Iterator[str]:
    """Name the files below some directories in ``directory``, up to a number of them.

    (`os.walk` calls itself for each level; links to directories are not followed.)
    """
    return islice(_walk_below(directory, list(names)), _MOST_FILES)


def _walk_below(directory: str, pending: list[str]) -> Iterator[str]:
    while pending:
        inside = pending.pop()
        with contextlib.suppress(OSError), os.scandir(f"{directory}/{inside}") as entries:
            for entry in entries:
                if not _is_dir(entry):
                    yield f"{inside}/{entry.name}"
                elif not entry.is_symlink():
                    pending.append(f"{inside}/{entry.name}")
