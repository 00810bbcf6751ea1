"""Which store objects make a CUDA toolkit: its members, one patch level of each. Pure.

A part is a directory that is laid out as a toolkit, or as a piece of one: a store object, or the
directory ``nvidia/cuNN`` in a site-packages, where CUDA comes as Python distributions.
"""

from collections.abc import Iterable, Iterator, Sequence

from nixenv.road.cuda_files import CudaWheels
from nixenv.road.prefix import CUDA_TOOLS, HEADERS
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.redistributables import CudaName, may_be_known, parse_cuda_name
from nixenv.storepath import StorePath, store_name
from nixenv.typed import NamedTuple


class Part(NamedTuple):
    """A part, and what is noted on it.

    Attributes:
        path: The store object that it is, or is in.
        home: The directory.
        name: What the store name says of CUDA.
        note: What is noted on it.
    """

    path: StorePath
    home: str
    name: CudaName
    note: StoreObject | CudaWheels

    @property
    def stub_dirs(self) -> tuple[str, ...]:
        """Its directories of stand-ins, for linking only."""
        if isinstance(self.note, CudaWheels):
            return ()
        # nixpkgs' -stubs outputs link their stubs into lib as well.
        directories = self.note.library_dirs if self.name.output == "stubs" else ()
        return (*self.note.stub_dirs, *directories)

    @property
    def kinds(self) -> frozenset[str]:
        """What it has to offer to a toolkit."""
        libraries = self.name.output if self.name.output in ("static", "stubs") else "lib"
        held = {
            "include": self.note.include_dirs,
            libraries: self.note.library_dirs,
            "bin": self.note.programs,
        }
        return frozenset(kind for kind, found in held.items() if found)

    @property
    def tools(self) -> tuple[str, ...]:
        """Its programs of CUDA besides nvcc."""
        return tuple(program for program in self.note.programs if program in CUDA_TOOLS)


class Candidate(NamedTuple):
    """A toolkit that could be chosen.

    Attributes:
        version: ``X.Y``; None when nothing tells.
        nvcc: The part that has nvcc.
        parts: All of its parts, of each redistributable those of one patch level first.
        passed_over: The parts of other patch levels, which add nothing to these.
    """

    version: str | None
    nvcc: Part
    parts: tuple[Part, ...]
    passed_over: tuple[Part, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nvcc finds in it what it includes by itself, and can start its own compiler."""
        headers = {header for part in self.parts for header in part.note.headers}
        programs = {program for part in self.parts for program in part.note.programs}
        # A store object that brings nvcc brings cicc too; of the wheels, it is one of its own.
        complete = not isinstance(self.nvcc.note, CudaWheels) or "cicc" in programs
        return complete and headers.issuperset(HEADERS)


def find_candidates(
    probe: Probe, sites: Sequence[str], wanted: str | None
) -> tuple[Candidate, ...]:
    """Give the toolkits that there may be, each version once of store objects, and once of wheels.

    Args:
        probe: The notes on the closure.
        sites: The site-packages directories in use, in their order.
        wanted: The version that was asked for: an nvcc whose name tells none is taken for it.
    """
    best: dict[str | None, Part] = {}
    for part in _find_compilers(probe):
        held = best.get(part.name.cuda)
        if held is None or _rank(part) > _rank(held):
            best[part.name.cuda] = part
    untold = best.pop(None, None)
    if untold is not None:
        version = wanted if wanted not in best else None
        best[version] = untold
    found = (_gather(probe, version, nvcc) for version, nvcc in best.items())
    return (*found, *_find_wheels(probe, sites))


def _find_compilers(probe: Probe) -> Iterator[Part]:
    """Give the parts that have an nvcc of their own.

    In an environment of links it is that of another store object; a joined toolkit, which consists
    of links as well, is one by its name or by nixpkgs' marker.
    """
    holders = {found.path: found for found in probe.objects if "nvcc" in found.programs}
    for found in holders.values():
        part = _as_part(found)
        is_toolkit = part.name.known or found.cuda_marker
        if is_toolkit or holders.keys().isdisjoint(found.linked):
            yield part


def _rank(part: Part) -> tuple[bool, tuple[int, ...]]:
    # A joined toolkit is a whole CUDA_HOME, where cuda_nvcc alone is only the compiler.
    return part.name.joined, part.name.version


def _as_part(found: StoreObject) -> Part:
    return Part(found.path, found.path, parse_cuda_name(store_name(found.path)), found)


def _may_be_part(found: StoreObject) -> bool:
    return found.cuda_marker or "nvcc" in found.programs or may_be_known(store_name(found.path))


def _gather(probe: Probe, version: str | None, nvcc: Part) -> Candidate:
    """Gather the members of a version around its nvcc."""
    if version is None:
        return Candidate(None, nvcc, (nvcc,))
    members = [
        part
        for part in map(_as_part, filter(_may_be_part, probe.objects))
        if part.path == nvcc.path or _is_member(part, version)
    ]
    first, more = _choose_levels(members, nvcc)
    parts = tuple(part for level in (first, more) for part in members if part.path in level)
    passed_over = tuple(part for part in members if part.path not in first | more)
    return Candidate(version, nvcc, parts, passed_over)


def _is_member(part: Part, version: str) -> bool:
    """Say whether a store object is a part of CUDA ``version``, for compilers and linkers.

    nixpkgs' marker says that it belongs to a toolkit, and so does the list of redistributables; the
    name says to which. A prefix alone is no membership: cuda13.0-cutlass-4.5.2 has it.
    """
    marked = isinstance(part.note, StoreObject) and part.note.cuda_marker
    return (marked or part.name.known) and not part.name.beside and part.name.is_of(version)


def _choose_levels(
    members: Iterable[Part], nvcc: Part
) -> tuple[frozenset[StorePath], frozenset[StorePath]]:
    """Choose the patch level of each redistributable, and what others have that it lacks.

    So with joined toolkits of one name. The level of nvcc itself comes first, else the one that its
    own files name, else the highest. Of another one only that is taken which the first does not
    have at all: its headers, where of the first the closure holds the libraries alone.
    """
    first: set[StorePath] = set()
    more: set[StorePath] = set()
    redistributables: dict[str, dict[tuple[int, ...], list[Part]]] = {}
    for part in members:
        if not part.name.known:
            first.add(part.path)
        else:
            levels = redistributables.setdefault(part.name.part, {})
            levels.setdefault(part.name.version, []).append(part)
    for levels in redistributables.values():
        preferred, *others = sorted(levels.values(), key=lambda parts: _level_rank(parts, nvcc))
        first.update(part.path for part in preferred)
        offered = frozenset().union(*(part.kinds for part in preferred))
        for level in others:
            more.update(part.path for part in level if part.kinds - offered)
            offered = offered.union(*(part.kinds for part in level))
    return frozenset(first), frozenset(more)


def _level_rank(level: Sequence[Part], nvcc: Part) -> tuple[bool, bool, tuple[int, ...]]:
    """Order the levels of a redistributable, the preferred one first."""
    named = nvcc.note.mentions if isinstance(nvcc.note, StoreObject) else ()
    return (
        all(part.path != nvcc.path for part in level),
        all(part.path not in named for part in level),
        tuple(-number for number in level[0].name.version),
    )


def _find_wheels(probe: Probe, sites: Sequence[str]) -> Iterator[Candidate]:
    """Find the toolkits of Python distributions: the parts of one ``nvidia/cuNN`` together."""
    nothing = parse_cuda_name("")
    noted = [(note.path, wheels) for note in probe.objects for wheels in note.wheels]
    families: dict[str, list[Part]] = {}
    for site in sites:
        for path, wheels in noted:
            if wheels.site == site:
                family = families.setdefault(wheels.home.rpartition("/")[2], [])
                family.append(Part(path, wheels.home, nothing, wheels))
    for parts in families.values():
        nvcc = next((part for part in parts if "nvcc" in part.note.programs), None)
        if nvcc is not None and isinstance(nvcc.note, CudaWheels):
            alone = Candidate(nvcc.note.version, nvcc, (nvcc,))
            yield alone if alone.whole else alone._replace(parts=tuple(parts))
