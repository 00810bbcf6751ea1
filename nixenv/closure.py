"""The query station: ask Nix for the closure of a root. The only place that starts a process."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen

from nixenv.errors import NixFailed, NixNotFound, NixNotRunnable, Unreadable, UnusableClosure
from nixenv.root import find_executable
from nixenv.storepath import StorePath, parse_store_path

# Where Nix's own installers put its programs; a Flox hook has none of them on PATH.
_PROFILE_BIN_DIRS = ("/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin")


@frozen
class Closure:
    """The closure of a root.

    Attributes:
        root: The store path that was asked about.
        paths: Its members, each once, in the order of the source: Nix gives references first and
            the root last; requisites.txt is sorted by path.
        source: What was asked, for a person: a command line or a file.
        diagnostics: What Nix wrote to stderr although it succeeded, verbatim; may be empty.
    """

    root: StorePath
    paths: tuple[StorePath, ...]
    source: str
    diagnostics: str = ""


def query_closure(root: StorePath, store_dir: str, environ: Mapping[str, str]) -> Closure:
    """Ask Nix for the closure, or read the one that Flox recorded where there is no Nix.

    Args:
        root: The store path.
        store_dir: The store directory that every answer must lie in.
        environ: The environment: PATH, NIX_BIN and HOME to find nix-store, FLOX_ENV to find
            requisites.txt; nix-store is started with it.

    Raises:
        NixNotFound: no nix-store, and no requisites.txt.
        NixNotRunnable, NixFailed: nix-store cannot be started, or fails.
        UnusableClosure: the answer is no closure of ``root``.
        Unreadable: requisites.txt is there and cannot be read.
    """
    return start_query(root, store_dir, environ)()


def start_query(
    root: StorePath, store_dir: str, environ: Mapping[str, str]
) -> Callable[[], Closure]:
    """Do as `query_closure` does, but return while Nix is at work; call the result to wait.

    Raises:
        NixNotFound, NixNotRunnable: at once; the result raises the others.
    """
    search_path = os.pathsep.join([environ.get("PATH", ""), *_nix_bin_dirs(environ)])
    nix_store = find_executable("nix-store", search_path)
    if nix_store:
        return _start_nix_store(nix_store, root, store_dir, environ)
    searched = search_path.split(os.pathsep)
    if flox_env := environ.get("FLOX_ENV"):
        requisites = os.path.join(flox_env, "requisites.txt")
        searched.append(requisites)
        if os.path.exists(requisites):
            return lambda: _read_requisites(requisites, root, store_dir)
    raise NixNotFound(searched)


def parse_requisites(
    text: str, root: StorePath, store_dir: str, source: str, diagnostics: str = ""
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
    return Closure(root, tuple(paths), source, diagnostics)


def _nix_bin_dirs(environ: Mapping[str, str]) -> Iterator[str]:
    if nix_bin := environ.get("NIX_BIN"):
        # Flox sets it to its own `nix`; nix-store is its neighbour.
        yield os.path.dirname(nix_bin)
    yield from _PROFILE_BIN_DIRS
    if home := environ.get("HOME"):
        yield os.path.join(home, ".nix-profile/bin")


def _start_nix_store(
    nix_store: str, root: StorePath, store_dir: str, environ: Mapping[str, str]
) -> Callable[[], Closure]:
    argv = (nix_store, "-qR", root)
    try:
        process = subprocess.Popen(
            argv,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise NixNotRunnable(argv, error.strerror or str(error)) from error

    def finish() -> Closure:
        stdout, stderr = map(os.fsdecode, process.communicate())
        if process.returncode != 0:
            raise NixFailed(argv, process.returncode, stderr)
        return parse_requisites(stdout, root, store_dir, " ".join(argv), stderr)

    return finish


def _read_requisites(file: str, root: StorePath, store_dir: str) -> Closure:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    return parse_requisites(text, root, store_dir, file)
