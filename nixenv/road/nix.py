"""Nix's own program: where it is, and how it is asked."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

from nixenv.errors import NixError, indented, listed
from nixenv.road.root import find_executable


class NixNotFound(NixError):
    """No nix-store, and no recorded closure either."""

    searched: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        return (
            f"no nix-store to ask for the closure; looked in{listed(self.searched)}",
            "put nix-store on PATH or set NIX_BIN to Nix's `nix`; without Nix, "
            "$FLOX_ENV/requisites.txt or a snapshot (--from FILE) will do",
        )


class NixFailed(NixError):
    """A Nix command ended with another status than 0."""

    argv: Sequence[str]
    returncode: int
    stderr: str

    def _texts(self) -> tuple[str, str]:
        ended = f"exit status {self.returncode}"
        if self.returncode < 0:
            ended = f"killed by {signal.Signals(-self.returncode).name}"
        said = f"; it said:\n{indented(self.stderr)}" if self.stderr.strip() else ", saying nothing"
        return (
            f"`{' '.join(self.argv)}` failed ({ended}){said}",
            f"run it by hand; `nix-store --verify-path {self.argv[-1]}` tells whether it is valid",
        )


class NixNotRunnable(NixError):
    """A Nix command could not be started at all."""

    argv: Sequence[str]
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{' '.join(self.argv)}` could not be started: {self.detail}",
            "check that this file is Nix's own program, and that the environment is not too large",
        )


# Where Nix's own installers put its programs; a Flox hook has none of them on PATH.
_PROFILE_BIN_DIRS = ("/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin")

# Up to so many store paths are repaired by name; for more, Nix looks through the whole store.
_NAMED_REPAIRS = 10


def nix_search_path(environ: Mapping[str, str]) -> str:
    """Give the search path for Nix's programs: PATH, beside ``$NIX_BIN``, Nix's profiles."""
    return os.pathsep.join([environ.get("PATH", ""), *_nix_bin_dirs(environ)])


def find_nix_store(environ: Mapping[str, str]) -> str | None:
    """Find nix-store; None where there is no Nix."""
    return find_executable("nix-store", nix_search_path(environ))


def repair_command(paths: Sequence[str], nix_store: str = "nix-store") -> str:
    """Write the command that brings lost store objects back, for root to paste.

    Nix takes a path that its database knows for present, so --realise and a new activation do
    nothing. Its daemon repairs nothing either: it has to be root, on the store itself.

    Args:
        paths: The store paths.
        nix_store: How a user starts nix-store, which is on nobody's PATH in a Flox hook.
    """
    import shlex  # noqa: PLC0415 -- every activation imports this module, and none needs that

    named = len(paths) <= _NAMED_REPAIRS
    arguments = ("--repair-path", *paths) if named else ("--verify", "--repair")
    return shlex.join(("env", "NIX_REMOTE=local", nix_store, *arguments))


def start_nix(argv: Sequence[str], environ: Mapping[str, str]) -> "Callable[[], tuple[str, str]]":
    """Start a Nix command, and return while it works; call the result for its stdout and stderr.

    Raises:
        NixNotRunnable: at once, when it cannot be started.
        NixFailed: from the result, when it ends with another status than 0.
    """
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

    def finish() -> tuple[str, str]:
        stdout, stderr = map(os.fsdecode, process.communicate())
        if process.returncode != 0:
            raise NixFailed(argv, process.returncode, stderr)
        return stdout, stderr

    return finish


def _nix_bin_dirs(environ: Mapping[str, str]) -> Iterator[str]:
    if nix_bin := environ.get("NIX_BIN"):
        # Flox sets it to its own `nix`; nix-store is its neighbour.
        yield os.path.dirname(nix_bin)
    yield from _PROFILE_BIN_DIRS
    if home := environ.get("HOME"):
        yield os.path.join(home, ".nix-profile/bin")
