"""The query station: ask Nix for the closure of a root."""

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from nixenv.errors import NixError, Unreadable
from nixenv.process import PATIENT, Patience
from nixenv.road.nix import NixNotFound, ask_nix, find_nix_store, nix_search_path
from nixenv.storepath import StorePath, parse_store_path


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
    """Flox, in ``requisites.txt``: that of the whole environment, sorted by path."""


class Closure(NamedTuple):
    """The closure of a root.

    Attributes:
        root: The store path that was asked about.
        paths: Its members, each once, in the order of who listed them.
        origin: Who that was.
        source: What was read, for a person: a command line or a file.
    """

    root: StorePath
    paths: tuple[StorePath, ...]
    origin: Origin
    source: str


def query_closure(
    root: StorePath,
    store_dir: str,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    meanwhile: Callable[[], object] = lambda: None,
) -> Closure:
    """Ask Nix for the closure, or read the one that Flox recorded where there is no Nix.

    Args:
        root: The store path.
        store_dir: The store directory that every answer must lie in.
        environ: The environment: PATH, NIX_BIN and HOME to find nix-store, FLOX_ENV to find
            requisites.txt; nix-store is started with it.
        patience: How long to wait for Nix, and who is told meanwhile.
        meanwhile: Called while Nix works, if Nix is asked.

    Raises:
        NixNotFound: no nix-store, and no requisites.txt.
        NixNotRunnable, NixFailed, NixOutOfTime, NixSaidTooMuch: nix-store gives no answer.
        UnusableClosure: the answer is no closure of ``root``.
        Unreadable: requisites.txt is there and cannot be read.
    """
    nix_store = find_nix_store(environ)
    if nix_store:
        argv = (nix_store, "-qR", root)
        stdout = ask_nix(argv, environ, patience, meanwhile)
        return parse_requisites(stdout, root, store_dir, Origin.NIX, " ".join(argv))
    searched = nix_search_path(environ).split(os.pathsep)
    if flox_env := environ.get("FLOX_ENV"):
        requisites = os.path.join(flox_env, "requisites.txt")
        searched.append(requisites)
        if os.path.exists(requisites):
            return _read_requisites(requisites, root, store_dir)
    raise NixNotFound(searched)


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


def _read_requisites(file: str, root: StorePath, store_dir: str) -> Closure:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    return parse_requisites(text, root, store_dir, Origin.REQUISITES, file)
