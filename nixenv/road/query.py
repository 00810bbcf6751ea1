"""The query station: ask Nix for the closure of a root."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from enum import StrEnum

from nixenv.errors import NixError, Unreadable
from nixenv.files import read_file
from nixenv.process import PATIENT, Meanwhile, Patience
from nixenv.road.nix import (
    NixFailed,
    NixNotFound,
    NixNotRunnable,
    ask_nix,
    find_nix_store,
    nix_search_path,
)
from nixenv.storepath import StorePath, parse_store_path
from nixenv.typed import NamedTuple


class UnusableClosure(NixError):
    """Nix, or the recorded closure, gave something that is no closure of the root."""

    source: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.source} gave no usable closure: {self.detail}",
            "run it by hand and compare; if the store is not /nix/store, set NIX_STORE_DIR; "
            "is another nix-store first on PATH?",
        )


class Origin(StrEnum):
    """Who listed a closure; a snapshot keeps it."""

    NIX = "nix"
    """Nix: this root's closure alone, references first and the root last."""
    REQUISITES = "requisites.txt"
    """Flox, in ``requisites.txt``, without Nix: that of the whole environment, sorted by path."""
    STAND_IN = "requisites.txt for nix"
    """Flox likewise, where there is a Nix that could not list it."""
    SHIPPED = "shipped snapshot"
    """Nix, when the environment was built: a snapshot of this very root came with it."""


SHIPPED = "share/nixenv"
"""Where an environment has the snapshots that come with it."""

# That of 10,000 store paths has 5 MB.
_SHIPPED_LIMIT = 64 << 20


# Beside its links, what Flox puts into an environment.
_REQUISITES = "requisites.txt"

# Bytes: the store paths of half a million store objects.
_LONGEST_LIST = 64 << 20


class Closure(NamedTuple):
    """The closure of a root.

    Attributes:
        root: The store path that was asked about.
        paths: Its members, each once, in the order of who listed them.
        origin: Who that was.
        source: What was read, for a person: a command line or a file.
        failure: Why Nix did not list it, where Flox's list stands in; not kept in a snapshot.
    """

    root: StorePath
    paths: tuple[StorePath, ...]
    origin: Origin
    source: str
    failure: NixError | None = None


def query_closure(
    root: StorePath,
    store_dir: str,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    meanwhile: Meanwhile = lambda _listen: None,
) -> Closure:
    """Ask Nix for the closure, or read one that is recorded where Nix cannot tell it.

    A snapshot of the root that came with the Flox environment goes before what Flox recorded, which
    is the closure of the whole environment, without order. That Nix runs out of time is an error:
    the next moment it may answer.

    Args:
        root: The store path.
        store_dir: The store directory that every answer must lie in.
        environ: The environment: PATH, NIX_BIN and HOME to find nix-store, FLOX_ENV to find what
            is recorded; nix-store is started with it.
        patience: How long to wait for Nix, and who is told meanwhile.
        meanwhile: What to do while Nix works, if Nix is asked.

    Raises:
        NixNotFound: no nix-store, and nothing recorded.
        NixNotRunnable, NixFailed: nix-store gives no answer, and what is recorded does not either.
        NixOutOfTime, NixSaidTooMuch: nix-store does not come to an end.
        UnusableClosure: the answer is no closure of ``root``.
        Unreadable: there is no nix-store, and requisites.txt is there and cannot be read.
    """
    flox_env = environ.get("FLOX_ENV")
    nix_store = find_nix_store(environ)
    if nix_store is None:
        recorded = _read_recorded(flox_env, root, store_dir)
        if recorded is not None:
            return recorded
        searched = nix_search_path(environ).split(os.pathsep)
        raise NixNotFound([*searched, *([f"{flox_env}/{_REQUISITES}"] if flox_env else [])])
    argv = (nix_store, "-qR", root)
    try:
        stdout = ask_nix(argv, environ, patience, meanwhile, _LONGEST_LIST)
    except (NixFailed, NixNotRunnable) as error:
        # Without permission for its database, on a read-only file system, without its daemon: the
        # store objects may be there all the same.
        closure = _stand_in(error, flox_env, root, store_dir)
        if isinstance(error, NixFailed):
            patience.hear(error.stderr)
        return closure
    return parse_requisites(stdout, root, store_dir, Origin.NIX, " ".join(argv))


def _stand_in(failure: NixError, flox_env: str | None, root: StorePath, store_dir: str) -> Closure:
    try:
        closure = _read_recorded(flox_env, root, store_dir)
    except (Unreadable, UnusableClosure):
        closure = None
    if closure is None:
        raise failure
    if closure.origin is Origin.REQUISITES:
        return closure._replace(origin=Origin.STAND_IN, failure=failure)
    return closure


def _read_recorded(flox_env: str | None, root: StorePath, store_dir: str) -> Closure | None:
    """Read the closure that came with the environment, else the one that Flox recorded."""
    if not flox_env:
        return None
    shipped = _read_shipped(os.path.join(flox_env, SHIPPED), root, store_dir)
    if shipped is not None:
        return shipped
    requisites = os.path.join(flox_env, _REQUISITES)
    return _read_requisites(requisites, root, store_dir) if os.path.exists(requisites) else None


def _read_shipped(directory: str, root: StorePath, store_dir: str) -> Closure | None:
    """Find the snapshot of the root; of its content only the closure counts, the rest is here."""
    import json  # noqa: PLC0415 -- not where there is a Nix

    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
    except OSError:
        return None
    for name in names:
        file = os.path.join(directory, name)
        try:
            document = json.loads(read_file(file, _SHIPPED_LIMIT))
            if isinstance(document, dict) and document.get("root") == root:
                lines = "\n".join(document["paths"])
                return parse_requisites(lines, root, store_dir, Origin.SHIPPED, file)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UnusableClosure):
            continue  # no snapshot, or none that can be used
    return None


def parse_requisites(
    text: str, root: StorePath, store_dir: str, origin: Origin, source: str
) -> Closure:
    """Parse a list of store paths, one a line.

    ``nix-store -qR`` prints, for example::

        /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.40-66
        /nix/store/vs486qjklkkwfds3151h2918x2xc2vqf-python3.12-sglang-…-0.5.9

    Raises:
        UnusableClosure: a line is no store path, or the root is not among them.
    """
    paths: dict[StorePath, None] = {}
    for line in text.splitlines():
        try:
            paths[parse_store_path(line, store_dir)] = None
        except ValueError as error:
            raise UnusableClosure(source, str(error)) from error
    if not paths:
        raise UnusableClosure(source, "it is empty")
    if root not in paths:
        raise UnusableClosure(source, f"{root} is not among its {len(paths)} store paths")
    return Closure(root, tuple(paths), origin, source)


def list_expected(flox_env: str, root: StorePath, store_dir: str) -> Iterator[StorePath]:
    """List what most likely is in the closure, before Nix has said it: what Flox recorded.

    Nothing where that is not of the root, nor of an environment that is the root; and nothing from
    the first line on that is no store path.
    """
    try:
        lines = _read_list(f"{flox_env}/{_REQUISITES}").splitlines()
    except OSError:
        return
    if root in lines or root == os.path.realpath(flox_env):
        with contextlib.suppress(ValueError):
            for line in lines:
                yield parse_store_path(line, store_dir)


def _read_requisites(file: str, root: StorePath, store_dir: str) -> Closure:
    try:
        text = _read_list(file)
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    return parse_requisites(text, root, store_dir, Origin.REQUISITES, file)


def _read_list(file: str) -> str:
    return os.fsdecode(read_file(file, _LONGEST_LIST))
