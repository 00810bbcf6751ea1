"""Snapshots: a closure and its notes as one JSON file, to replay the road where there is no Nix.

docs/snapshot.md describes the schema. It holds what is in the store; and what is known of the
machine, where the one who takes it wants that, for `inspect` to show the same elsewhere.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cattrs
from attrs import frozen

from nixenv.errors import NixenvError, Unreadable
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.graph import Graph, Registration
from nixenv.evidence.machine import Machine
from nixenv.evidence.occasion import Occasion
from nixenv.evidence.toolkit_files import ToolkitFiles
from nixenv.files import read_file
from nixenv.places import Layout
from nixenv.plain import make_converter
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.profile import Profile, parse_profile, to_document
from nixenv.road.profile_table import ProfileInvalid
from nixenv.road.query import Closure, Origin
from nixenv.road.variables import is_variable_name
from nixenv.storepath import StorePath, enclosing_store_path, parse_store_path
from nixenv.text import printable
from nixenv.versions import MINOR_VERSION, PYTHON_VERSION

if TYPE_CHECKING:
    from nixenv.road.cuda_files import CudaWheels


class SnapshotInvalid(NixenvError):
    """A file that is no snapshot, or one of another schema."""

    file: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.file} is no snapshot that can be read: {printable(self.detail)}",
            "take it again with `nixenv snapshot -o FILE`, or update nixenv if theirs is newer",
        )


# 90 for sm_90
_GPU_CODE = re.compile(r"[0-9]{1,4}")

SCHEMA = 3
"""The schema that this version writes; it reads no other one."""

# Bytes. That of a closure of 50,000 store objects has some 120 million; to read one takes up to 25
# times as many.
_LONGEST = 128 << 20

# Linux keeps its error numbers below (MAX_ERRNO in include/linux/err.h).
_ERRNO_LIMIT = 4096


class Request(NamedTuple):
    """What was asked for when the snapshot was taken: `inspect` judges by it elsewhere.

    Attributes:
        profile: The profile, whole: its file stays on that machine.
        layout: ``store`` or ``linked``.
        cache_dir: The absolute directory of writable state; None where there was none.
        python: The Python version ``X.Y`` that was asked for.
        cuda: The CUDA version ``X.Y`` that was asked for.
    """

    profile: Profile
    layout: str
    cache_dir: str | None
    python: str | None
    cuda: str | None


@frozen
class Snapshot:
    """Everything that the stations behind the probe need, and `inspect`.

    Attributes:
        program: The program's file name, as `Root.program`.
        closure: The closure.
        probe: The notes on its store objects.
        contents: What they hold beyond that, for people.
        machine: The machine that it was taken on; None where it was left out.
        request: What was asked for; None likewise.
        taken: When, where and by what it was taken; None likewise.
    """

    program: str | None
    closure: Closure
    probe: Probe
    contents: Contents
    machine: Machine | None = None
    request: Request | None = None
    taken: Occasion | None = None


@frozen
class _Node:
    """A `Registration`, its references as places in ``paths``: each is named many times."""

    nar_size: int
    references: tuple[int, ...]


@frozen
class _Document:
    """The file's top level."""

    schema: int
    program: str | None
    root: StorePath
    paths: tuple[StorePath, ...]
    origin: Origin
    probe: Probe
    sites: tuple[SiteListing, ...]
    files: ToolkitFiles
    graph: tuple[_Node, ...] | None
    machine: Machine | None
    request: Request | None
    taken: Occasion | None = None


def dump_snapshot(snapshot: Snapshot) -> str:
    """Write a snapshot as JSON. Pure."""
    closure = snapshot.closure
    contents = snapshot.contents
    document = _Document(
        schema=SCHEMA,
        program=snapshot.program,
        root=closure.root,
        paths=closure.paths,
        origin=closure.origin,
        probe=snapshot.probe,
        sites=contents.sites,
        files=contents.files,
        graph=None if contents.graph is None else _to_nodes(contents.graph, closure.paths),
        machine=snapshot.machine,
        request=snapshot.request,
        taken=snapshot.taken,
    )
    return json.dumps(_CONVERTER.unstructure(document), indent=1) + "\n"


def parse_snapshot(text: str, file: str) -> Snapshot:
    """Read a snapshot back. Pure.

    Raises:
        SnapshotInvalid: it is no JSON, no snapshot, of a newer schema, or names what is no store
            path.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotInvalid(file, f"it is no JSON ({error}); is it cut off?") from error
    if not isinstance(raw, dict) or type(raw.get("schema")) is not int:
        raise SnapshotInvalid(file, 'it has no "schema" number')
    if raw["schema"] != SCHEMA:
        raise SnapshotInvalid(file, f"its schema is {raw['schema']}; this nixenv reads {SCHEMA}")
    try:
        document = _CONVERTER.structure(raw, _Document)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as error:
        raise SnapshotInvalid(file, "; ".join(cattrs.transform_error(error))) from error
    _check_document(document, file)
    _check_names(document.machine, file)
    _check_request(document.request, file)
    closure = Closure(document.root, document.paths, document.origin, f"snapshot {file}")
    graph = None if document.graph is None else _to_graph(document.graph, document.paths, file)
    contents = Contents(document.sites, document.files, graph)
    return Snapshot(
        document.program,
        closure,
        document.probe,
        contents,
        document.machine,
        document.request,
        document.taken,
    )


def load_snapshot(file: str) -> Snapshot:
    """Read a snapshot from a file.

    Raises:
        Unreadable: the file cannot be read.
        SnapshotInvalid: see `parse_snapshot`.
    """
    try:
        text = read_file(file, _LONGEST).decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise SnapshotInvalid(file, f"it is no UTF-8: {error}") from error
    return parse_snapshot(text, file)


def _to_nodes(graph: Graph, paths: tuple[StorePath, ...]) -> tuple[_Node, ...]:
    place = {path: number for number, path in enumerate(paths)}
    known = {registration.path: registration for registration in graph.registrations}
    return tuple(
        _Node(
            known[path].nar_size,
            tuple(place[reference] for reference in known[path].references if reference in place),
        )
        for path in paths
    )


def _to_graph(nodes: tuple[_Node, ...], paths: tuple[StorePath, ...], file: str) -> Graph:
    if len(nodes) != len(paths):
        raise SnapshotInvalid(file, f"its graph has {len(nodes)} nodes for {len(paths)} paths")
    for node in nodes:
        for number in node.references:
            if not 0 <= number < len(paths):
                raise SnapshotInvalid(file, f"a reference in its graph is to path {number}")
    try:
        return Graph(
            tuple(
                Registration(path, node.nar_size, tuple(paths[n] for n in node.references))
                for path, node in zip(paths, nodes, strict=True)
            )
        )
    except ValueError as error:
        raise SnapshotInvalid(file, str(error)) from error


def _check_document(document: _Document, file: str) -> None:
    """Hold every path and version that may reach an environment to what the probe would note."""
    store_dir = document.root.rpartition("/")[0]
    objects = document.probe.objects
    if not store_dir.startswith("/") or os.path.normpath(store_dir) != store_dir:
        raise SnapshotInvalid(file, f"{store_dir!r} is no store directory")
    for path in (document.root, *document.paths, *(found.path for found in objects)):
        try:
            parse_store_path(path, store_dir)
        except ValueError as error:
            raise SnapshotInvalid(file, str(error)) from error
    if document.root not in document.paths:
        raise SnapshotInvalid(file, f"its root {document.root} is not among its paths")
    paths = [found.path for found in objects]
    if len(set(paths)) != len(paths) or not set(paths) <= set(document.paths):
        raise SnapshotInvalid(file, "its notes are not on the closure's store objects, each once")
    _check_notes(document.probe, store_dir, file)
    for code in document.files.gpu_codes:
        if not _GPU_CODE.fullmatch(code):
            raise SnapshotInvalid(file, f"{code!r} is not a GPU architecture")


def _check_notes(probe: Probe, store_dir: str, file: str) -> None:
    for fault in probe.faults:
        if not 0 < fault.errno < _ERRNO_LIMIT:
            raise SnapshotInvalid(file, f"{fault.errno} is not an error number of Linux")
    for found in probe.objects:
        for version in (*found.pythons, *found.site_packages):
            if not PYTHON_VERSION.fullmatch(version):
                raise SnapshotInvalid(file, f"{version!r} is no version X.Y")
        for version in _cuda_versions_of(found):
            if not MINOR_VERSION.fullmatch(version):
                raise SnapshotInvalid(file, f"{version!r} is no version X.Y")
        for directory in _directories_of(found):
            _check_directory(directory, store_dir, file)
        for program in (*found.programs, *(p for wheels in found.wheels for p in wheels.programs)):
            if "/" in program:
                raise SnapshotInvalid(file, f"{program!r} is no program's name")
    _check_modules(probe, store_dir, file)


def _cuda_versions_of(found: StoreObject) -> Iterator[str]:
    cuda = (*(wheels.version for wheels in found.wheels), found.torch and found.torch.cuda)
    yield from filter(None, cuda)


def _directories_of(found: StoreObject) -> Iterator[str]:
    yield from found.stub_dirs
    yield from (path for wheels in found.wheels for path in (wheels.home, wheels.site))
    parts: tuple[StoreObject | CudaWheels, ...] = (found, *found.wheels)
    for part in parts:
        yield from (*part.include_dirs, *part.library_dirs)
        yield from filter(None, (part.cudart,))


def _check_directory(directory: str, store_dir: str, file: str) -> None:
    _check_plain(directory, file)
    if enclosing_store_path(directory, store_dir) is None:
        raise SnapshotInvalid(file, f"{directory!r} is not in {store_dir}")


def _check_plain(path: str, file: str) -> None:
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise SnapshotInvalid(file, f"{path!r} is no plain path")


def _check_modules(probe: Probe, store_dir: str, file: str) -> None:
    """Hold what the program's launcher says, and what the Flox environment holds, likewise."""
    for launcher in filter(None, (probe.launcher, probe.root_python)):
        for version in filter(None, (launcher.version,)):
            if not PYTHON_VERSION.fullmatch(version):
                raise SnapshotInvalid(file, f"{version!r} is no version X.Y")
        for name, _ in launcher.carried:
            if not is_variable_name(name):
                raise SnapshotInvalid(file, f"{name!r} is no name of an environment variable")
        for place in launcher.places:
            _check_plain(place.directory, file)
    for note in probe.directories:
        for line in note.path_lines:
            _check_plain(line, file)
    if probe.flox is not None:
        _check_directory(probe.flox.directory, store_dir, file)


def _check_names(machine: Machine | None, file: str) -> None:
    """Hold the names of variables to what they are: remedies name them in commands."""
    if machine is None:
        return
    names = (
        *machine.variables,
        *(directory.variable for directory in machine.directories),
        *(tool.name for tool in machine.tools),
        *(port.variable for port in machine.ports),
        *(found.variable for found in machine.foreign_files),
        *machine.driver.hindered_by,
        *machine.nvcc_compilers,
    )
    for name in names:
        if not is_variable_name(name):
            raise SnapshotInvalid(file, f"{name!r} is no name of an environment variable")


def _check_request(request: Request | None, file: str) -> None:
    """Hold the choices to what the command line would have taken: remedies repeat them."""
    if request is None:
        return
    if request.layout not in [*Layout]:
        raise SnapshotInvalid(file, f"there is no layout {request.layout!r}")
    if request.cache_dir is not None and not request.cache_dir.startswith("/"):
        raise SnapshotInvalid(file, f"{request.cache_dir!r} is no absolute cache directory")
    versions = ((request.python, PYTHON_VERSION), (request.cuda, MINOR_VERSION))
    for version, pattern in versions:
        if version is not None and not pattern.fullmatch(version):
            raise SnapshotInvalid(file, f"{version!r} is no version X.Y")
    try:
        parse_profile(to_document(request.profile), request.profile.name)
    except ProfileInvalid as error:
        raise SnapshotInvalid(file, error.reason) from error


def _exactly(kind: type) -> Any:
    def structure(value: object, _type: object) -> object:
        if type(value) is not kind:
            raise ValueError(f"wants {kind.__name__}, not {type(value).__name__}")
        return value

    return structure


def _text(value: object, _type: object) -> str:
    text: str = _exactly(str)(value, str)
    if "\0" in text:
        raise ValueError("holds a NUL")
    os.fsencode(text)  # a lone surrogate that stands for no byte is a ValueError
    return text


def _texts(value: object, _type: object) -> tuple[str, ...]:
    return tuple(_text(item, str) for item in _exactly(list)(value, list))


def _make_converter() -> cattrs.Converter:
    converter = make_converter()
    converter.register_structure_hook(str, _text)
    # Which is one of str as well, and must come back as a member.
    converter.register_structure_hook(Origin, lambda value, _type: Origin(value))
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _texts)
    for kind in (bool, int):
        converter.register_structure_hook(kind, _exactly(kind))
    return converter


_CONVERTER = _make_converter()
