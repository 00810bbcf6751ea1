"""One thing of the closure, close up: where it comes from, who else has it, who wins and why. Pure.

A name may mean several things: ``ninja`` is a program, and may be a distribution.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from attrs import asdict, frozen
from packaging.utils import canonicalize_name

from nixenv.errors import NixenvError
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.evidence.machine import Machine
from nixenv.evidence.toolkit_files import DirectoryListing
from nixenv.findings import Code, Finding
from nixenv.inspect.components import Group, group_of
from nixenv.inspect.diagnosis.table import load_table
from nixenv.inspect.lookup import (
    Kind,
    Match,
    NothingCalled,
    find_store_paths,
    holder_of,
    names_of,
    suggest,
)
from nixenv.inspect.why import Explanation, explain_matches
from nixenv.road.choice import because
from nixenv.road.classify import Inventory
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, enclosing_store_path, parse_store_name, store_name

OBJECT_LIMIT = 5
"""So many store objects are described; of more than that, a person wants a narrower name."""

# cudart, libcudart, libcudart.so, libcudart.so.12, libcudart_static.a, -lcudart
_LIBRARY_NAME = re.compile(r"(?:-l|lib)?(?P<stem>[^/]+?)(?P<ending>\.a|\.so(?:\.\d+)*)?")
_LIBRARY_FILE = re.compile(r"lib(?P<stem>.+?)(?:\.a|\.so(?:\.\d+)*)", re.DOTALL)
_WORD = re.compile(r"[^\s:;,()`'\"]+")


_PYTHON_ORDER = (
    "the order of PYTHONPATH, and of the merged site-packages in layout linked, where the "
    "program's own modules come before the rest of the closure"
)


@frozen
class Provider:
    """Something that has the thing.

    Attributes:
        path: The directory, or the program's file.
        detail: Which one it has there: a version, or file names.
        wins: Whether this one is used.
        reason: Its place in the order that decides, or why it has none.
        nar_size: The bytes of its store object; None when unknown.
    """

    path: str
    detail: str
    wins: bool
    reason: str
    nar_size: int | None = None


@frozen
class Aspect:
    """One thing that the name means.

    Attributes:
        kind: What it is.
        decided_by: The variable or rule that decides who wins.
        providers: All that have it: who wins first, then in the order that decides. Several win
            where their parts make one package.
    """

    kind: Kind
    decided_by: str
    providers: tuple[Provider, ...]


@frozen
class ObjectFacts(Explanation):
    """What is known of one store object, besides why it is in the closure.

    Attributes:
        group: What it is there for.
        holds: What it holds, a line each.
    """

    group: Group
    holds: tuple[str, ...]


@frozen
class Subject:
    """All that is known of a name.

    Attributes:
        name: The name.
        aspects: What it means.
        objects: The store objects that it means.
        left_out: How many more of these there would be.
        findings: Those that tell of it, or miss it.
    """

    name: str
    aspects: tuple[Aspect, ...]
    objects: tuple[ObjectFacts, ...]
    left_out: int = 0
    findings: tuple[Finding, ...] = ()


class FindingNotThere(NixenvError):
    """The code of a finding that this environment does not have."""

    code: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.code} was looked for, and is not there",
            f"`nixenv explain {self.code}` says what it means",
        )


def describe_subject(
    name: str,
    closure: Closure,
    probe: Probe,
    contents: Contents,
    inventory: Inventory | None = None,
    *,
    machine: Machine | None = None,
    findings: Sequence[Finding] = (),
) -> Subject:
    """Describe what ``name`` stands for.

    Args:
        name: A distribution, a top-level module, a header (``nv/target``), a library
            (``libcudart.so.12``, ``cudart``), a program (``nvcc``), or a store path or its name.
        closure: The closure.
        probe: The notes on its store objects.
        contents: What the second looks found.
        inventory: What was chosen; None where nothing could be: then nobody wins.
        machine: The machine as it is now, for the programs that PATH finds.
        findings: What was found to be wrong: of a header that is not there, one may know what
            would bring it.

    Raises:
        NothingCalled: there is no such thing.
        FindingNotThere: it is the code of a finding, and nothing of that kind was found.
    """
    scene = _Scene(closure, probe, contents, inventory, machine)
    aspects = tuple(filter(None, (describe(name, scene) for describe in _ASPECTS)))
    matches = find_store_paths(name, closure.paths, contents.sites)
    if aspects:
        matches = tuple(match for match in matches if match.exact)
    matches = _in_order_of(aspects, matches)
    kinds = {aspect.kind for aspect in aspects}
    told = tuple(found for found in findings if _tells_of(name, found) or _bears_on(kinds, found))
    if not aspects and not matches and not told:
        if name in tuple(Code):
            raise FindingNotThere(name)
        raise NothingCalled(name, suggest(name, (*_known_names(scene), *Code)))
    return Subject(
        name,
        aspects,
        tuple(_describe_objects(matches[:OBJECT_LIMIT], scene)),
        len(matches[OBJECT_LIMIT:]),
        told,
    )


@frozen
class _Scene:
    """All that a description may draw on."""

    closure: Closure
    probe: Probe
    contents: Contents
    inventory: Inventory | None
    machine: Machine | None

    def size_of(self, path: str) -> int | None:
        holder = holder_of(path, self.closure.paths)
        known = self.contents.graph.registrations if self.contents.graph else ()
        return next((found.nar_size for found in known if found.path == holder), None)


# Python ------------------------------------------------------------------------------------------


def _describe_distribution(name: str, scene: _Scene) -> Aspect | None:
    wanted = canonicalize_name(name)
    found = {
        site.directory: ", ".join(versions)
        for site in scene.contents.sites
        if (versions := _versions(site, lambda held: canonicalize_name(held.name) == wanted))
    }
    return _aspect(
        Kind.DISTRIBUTION,
        f"{_PYTHON_ORDER}: the first directory wins",
        found,
        _ranked_sites(scene),
        _not_used(scene),
        scene,
    )


def _describe_module(name: str, scene: _Scene) -> Aspect | None:
    """Tell who has a top-level module, unless that is who has the distribution of that name."""
    holders = {
        site.directory: site
        for site in scene.contents.sites
        if name in (*site.packages, *site.extended, *site.namespaces)
    }
    distribution = _describe_distribution(name, scene)
    if distribution and {provider.path for provider in distribution.providers} == set(holders):
        return None
    ranked = _ranked_sites(scene)
    used = [directory for directory in ranked if directory in holders]
    winners, rule = _choose_module(name, [holders[directory] for directory in used])
    found = {
        directory: "; ".join((_module_kind(name, site), *_versions(site, _has_module(name))))
        for directory, site in holders.items()
    }
    return _aspect(
        Kind.MODULE,
        f"{_PYTHON_ORDER}: {rule}",
        found,
        ranked,
        _not_used(scene),
        scene,
        winners=winners,
    )


def _choose_module(name: str, used: Sequence[SiteListing]) -> tuple[tuple[str, ...], str]:
    """Say which directories an import takes a module from, and by which rule."""
    regular = [site for site in used if name in (*site.packages, *site.extended)]
    if not regular:
        return tuple(site.directory for site in used), "a namespace, and all its parts are used"
    if name in regular[0].extended:
        return (
            tuple(site.directory for site in used),
            "the first one with an __init__ takes in all others",
        )
    return (regular[0].directory,), "the first one with an __init__ wins, and hides all others"


def _module_kind(name: str, site: SiteListing) -> str:
    return "part of a namespace" if name in site.namespaces else "module, or with an __init__"


def _has_module(name: str) -> Callable[[Distribution], bool]:
    return lambda held: name in held.modules


def _versions(site: SiteListing, is_meant: Callable[[Distribution], bool]) -> tuple[str, ...]:
    return tuple(f"{held.name} {held.version}" for held in site.distributions if is_meant(held))


def _ranked_sites(scene: _Scene) -> dict[str, str]:
    used = scene.inventory.site_packages if scene.inventory else ()
    return {
        part.directory: "one of the program's own modules" if part.own else "rest of the closure"
        for part in used
    }


def _not_used(scene: _Scene) -> str:
    if scene.inventory is None or scene.inventory.interpreter is None:
        return "no Python could be chosen"
    return f"not on PYTHONPATH: not of Python {scene.inventory.interpreter.version}"


# CUDA and other libraries ------------------------------------------------------------------------


def _describe_header(name: str, scene: _Scene) -> Aspect | None:
    files = scene.contents.files
    toolkit = scene.inventory.cuda if scene.inventory else None
    ranked = {
        **dict.fromkeys(toolkit.include_dirs if toolkit else (), "of the toolkit"),
        **_given(files.given_headers),
    }
    listings = (*files.headers, *files.given_headers)
    found = {listing.directory: name for listing in listings if name in listing.names}
    return _aspect(
        Kind.HEADER,
        "CPATH: the first directory wins, after those that the compiler is given as -I "
        "(layout linked: the include directory of CUDA_HOME)",
        found,
        ranked,
        "not on CPATH: not of the toolkit",
        scene,
    )


def _describe_library(name: str, scene: _Scene) -> Aspect | None:
    wanted = _LIBRARY_NAME.fullmatch(name)
    if wanted is None:
        return None
    files = scene.contents.files
    held = {
        listing.directory: names
        for listing in (*files.libraries, *files.given_libraries)
        if (names := _matching_libraries(wanted, listing))
    }
    found = {directory: ", ".join(names) for directory, names in held.items()}
    if re.search(r"\.so\.\d", wanted["ending"] or ""):
        return _aspect(
            Kind.LIBRARY,
            "the RUNPATH of the file that needs it: LIBRARY_PATH is for linking only",
            found,
            {},
            "used by what names this directory in its RUNPATH",
            scene,
        )
    toolkit = scene.inventory.cuda if scene.inventory else None
    ranked = {
        **dict.fromkeys(toolkit.library_dirs if toolkit else (), "of the toolkit"),
        **dict.fromkeys(toolkit.stub_dirs if toolkit else (), "a stub, for linking only"),
        **_given(files.given_libraries),
    }
    # The linker passes over a directory that has libcudart.so.12 alone.
    linkable = {f"lib{wanted['stem']}.so", f"lib{wanted['stem']}.a"}
    unlinkable = {directory for directory, names in held.items() if linkable.isdisjoint(names)}
    return _aspect(
        Kind.LIBRARY,
        f"LIBRARY_PATH, for -l{wanted['stem']}: the first directory wins, stubs come last (layout "
        "linked: the lib directory of CUDA_HOME)",
        found,
        {path: word for path, word in ranked.items() if path not in unlinkable},
        "not on LIBRARY_PATH, or nothing there to link with",
        scene,
    )


def _matching_libraries(wanted: "re.Match[str]", listing: DirectoryListing) -> tuple[str, ...]:
    if wanted["ending"]:
        exact = f"lib{wanted['stem']}{wanted['ending']}"
        return tuple(name for name in listing.names if name in (exact, wanted.string))
    return tuple(
        name
        for name in listing.names
        if (file := _LIBRARY_FILE.fullmatch(name)) and file["stem"] == wanted["stem"]
    )


def _given(listings: Iterable[DirectoryListing]) -> dict[str, str]:
    return {listing.directory: "there before, not of the closure" for listing in listings}


# Programs ----------------------------------------------------------------------------------------


def _describe_program(name: str, scene: _Scene) -> Aspect | None:
    holders = [found.path for found in scene.probe.objects if name in _programs(found)]
    chosen, reason = _chosen_program(name, scene.inventory) if scene.inventory else (None, "")
    found = {f"{path}/bin/{name}": "" for path in holders}
    ranked = {f"{chosen}/bin/{name}": reason} if chosen else {}
    now = scene.machine.programs.get(name) if scene.machine else None
    if now is not None:
        found = {**found, now: "what PATH finds now"}
    return _aspect(
        Kind.PROGRAM,
        "the choice of this closure; its directory is put first on PATH where the profile asks",
        found,
        ranked,
        "not chosen",
        scene,
    )


def _programs(found: StoreObject) -> Iterator[str]:
    yield from found.programs
    yield from (f"python{version}" for version in found.pythons)


def _chosen_program(name: str, inventory: Inventory) -> tuple[StorePath | None, str]:
    interpreter, toolkit = inventory.interpreter, inventory.cuda
    if interpreter and name == f"python{interpreter.version}":
        return interpreter.path, because(interpreter.reasons)
    if name == "nvcc" and toolkit:
        return toolkit.nvcc, f"CUDA {toolkit.version}: {because(toolkit.reasons)}"
    compiler, ninja = inventory.host_compiler, inventory.ninja
    if compiler and name in map(os.path.basename, (compiler.cc, compiler.cxx)):
        return compiler.path, compiler.reason
    return ninja if ninja and name == "ninja" else (None, "")


# Store objects -----------------------------------------------------------------------------------


def _describe_objects(matches: Iterable[Match], scene: _Scene) -> Iterator[ObjectFacts]:
    notes = {found.path: found for found in scene.probe.objects}
    for found in explain_matches(matches, scene.contents.graph, scene.closure.root):
        note = notes.get(found.path)
        yield ObjectFacts(
            **asdict(found, recurse=False),
            group=group_of(found.path, note),
            holds=tuple(_holds(found.path, note, scene.contents)),
        )


def _in_order_of(aspects: Sequence[Aspect], matches: Sequence[Match]) -> tuple[Match, ...]:
    """Put the store objects in the order in which they provide the thing."""
    paths = [provider.path for aspect in aspects for provider in aspect.providers]

    def rank(match: Match) -> int:
        own = (number for number, path in enumerate(paths) if path.startswith(f"{match.path}/"))
        return next(own, len(paths))

    return tuple(sorted(matches, key=rank))


def _holds(path: StorePath, note: StoreObject | None, contents: Contents) -> Iterator[str]:
    if note is not None:
        yield from (f"bin/{name}" for name in _programs(note))
    for site in contents.sites:
        if site.directory.startswith(f"{path}/"):
            found = (f"{found.name} {found.version}" for found in site.distributions)
            inside = os.path.dirname(site.directory[len(path) + 1 :])
            yield f"{inside}/site-packages: {', '.join(found) or 'no distribution'}"
    for what, listings in (
        ("headers", contents.files.headers),
        ("libraries", contents.files.libraries),
    ):
        for listing in listings:
            if listing.directory.startswith(f"{path}/") and listing.names:
                yield f"{listing.directory[len(path) + 1 :]}: {len(listing.names)} {what}"
    if note is not None and note.cuda_marker:
        yield "the mark of a CUDA redistributable"


# What they have in common ------------------------------------------------------------------------


def _aspect(
    kind: Kind,
    decided_by: str,
    found: dict[str, str],
    ranked: dict[str, str],
    outside: str,
    scene: _Scene,
    *,
    winners: Sequence[str] | None = None,
) -> Aspect | None:
    """Order what was found: who wins, then by the ranks that decide, then the rest.

    Args:
        kind: What it is.
        decided_by: What decides.
        found: From the path of each provider to what it has.
        ranked: All paths that count, in their order, with a word on each.
        outside: What is said of a provider that is none of these.
        scene: All that is known.
        winners: Who wins, where it is not just the first one.
    """
    if not found:
        return None
    order = list(ranked)
    counted = [path for path in order if path in found]
    used = counted[:1] if winners is None else winners
    counted.sort(key=lambda path: path not in used)
    return Aspect(
        kind,
        decided_by,
        (
            *(
                Provider(
                    path,
                    found[path],
                    path in used,
                    f"{_place(order.index(path), len(order))}{ranked[path]}",
                    scene.size_of(path),
                )
                for path in counted
            ),
            *(
                Provider(path, detail, False, outside, scene.size_of(path))  # noqa: FBT003 -- a field
                for path, detail in found.items()
                if path not in ranked
            ),
        ),
    )


def _place(index: int, count: int) -> str:
    return f"number {index + 1} of {count}: " if count > 1 else ""


def _bears_on(kinds: Collection[Kind], finding: Finding) -> bool:
    bears_on = load_table().findings[finding.code].bears_on
    # What bears on everything may have to do with what was not found, too.
    return not bears_on.isdisjoint(kinds) or bears_on == frozenset(Kind)


def _tells_of(name: str, finding: Finding) -> bool:
    words = [w for text in (finding.summary, *finding.evidence) for w in _WORD.findall(text)]
    return name in (finding.code, *words) or any(_is_called(name, word) for word in words)


def _is_called(name: str, word: str) -> bool:
    """Say whether a word is the store path of a component of that name."""
    path = enclosing_store_path(word, os.path.dirname(word))
    if path is None:
        return False
    return canonicalize_name(parse_store_name(store_name(path)).name) == canonicalize_name(name)


def _known_names(scene: _Scene) -> Iterator[str]:
    yield from names_of(scene.closure.paths, scene.contents.sites)
    for site in scene.contents.sites:
        yield from (*site.packages, *site.extended, *site.namespaces)
    files = scene.contents.files
    for listing in (*files.headers, *files.libraries):
        yield from listing.names
    for found in scene.probe.objects:
        yield from _programs(found)


_ASPECTS: tuple[Callable[[str, _Scene], Aspect | None], ...] = (
    _describe_distribution,
    _describe_module,
    _describe_header,
    _describe_library,
    _describe_program,
)
