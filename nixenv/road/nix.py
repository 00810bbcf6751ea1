"""Nix's own program: where it is, and how it is asked."""

import os
from collections.abc import Iterator, Mapping, Sequence

from nixenv.errors import NixError
from nixenv.process import (
    PATIENT,
    Cut,
    Meanwhile,
    Patience,
    describe_command,
    describe_status,
    run,
)
from nixenv.road.root import find_executable


class NixNotFound(NixError):
    """No nix-store, and no recorded closure either."""

    searched: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            "no nix-store to ask for the closure; looked in:",
            "put nix-store on PATH or set NIX_BIN to Nix's `nix`; without Nix, "
            "$FLOX_ENV/requisites.txt or a snapshot (--from FILE) will do",
            self.searched,
        )


class NixFailed(NixError):
    """A Nix command ended with another status than 0."""

    argv: Sequence[str]
    returncode: int
    stderr: str

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        said = "; it said:" if self.stderr.strip() else ", saying nothing"
        path = self.argv[-1]
        valid = f"; `nix-store --verify-path {path}` tells whether it is valid"
        return (
            f"`{describe_command(self.argv)}` failed ({describe_status(self.returncode)}){said}",
            f"run it by hand{valid if path.startswith('/') else ''}",
            self.stderr.rstrip("\n").splitlines(),
        )


class NixNotRunnable(NixError):
    """A Nix command could not be started at all."""

    argv: Sequence[str]
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{describe_command(self.argv)}` could not be started: {self.detail}",
            "check that this file is Nix's own program, and that the environment is not too large",
        )


class NixOutOfTime(NixError):
    """A Nix command did not end within the limit, and was ended."""

    argv: Sequence[str]
    limit: float
    stderr: str

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        said = "; it said:" if self.stderr.strip() else ""
        return (
            f"`{describe_command(self.argv)}` did not answer within {self.limit:g} s{said}",
            "run it by hand: it may be waiting for a lock, or for a daemon that is stopped; "
            "--timeout SECONDS (or NIXENV_TIMEOUT) allows more time",
            self.stderr.rstrip("\n").splitlines(),
        )


class NixSaidTooMuch(NixError):
    """A Nix command wrote more than any closure takes, and was ended."""

    argv: Sequence[str]
    limit: int

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{describe_command(self.argv)}` wrote more than {self.limit >> 20} MiB",
            "run it by hand; is another nix-store first on PATH?",
        )


# Where Nix's own installers put its programs; a Flox hook has none of them on PATH.
_PROFILE_BIN_DIRS = ("/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin")

# Up to so many store paths are repaired by name; for more, Nix looks through the whole store.
_NAMED_REPAIRS = 10

# Bytes. The registrations of a store of 100,000 paths have some 150 million.
_LONGEST_ANSWER = 1 << 29


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


def ask_nix(
    argv: Sequence[str],
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    meanwhile: Meanwhile = lambda _listen: None,
    limit: int = _LONGEST_ANSWER,
) -> str:
    """Run a Nix command, and give its stdout.

    Args:
        argv: The command; its program by its path.
        environ: Its environment.
        patience: How long to wait for it, and who is told meanwhile.
        meanwhile: What to do while it works.
        limit: How many bytes it may write.

    Raises:
        NixNotRunnable: it cannot be started.
        NixFailed: it ends with another status than 0.
        NixOutOfTime: it does not end within the limit.
        NixSaidTooMuch: it writes more than any closure takes.
    """
    try:
        outcome = run(argv, environ, limit, patience, meanwhile)
    except OSError as error:
        raise NixNotRunnable(argv, error.strerror or str(error)) from error
    if outcome.cut is Cut.OUT_OF_TIME:
        raise NixOutOfTime(argv, patience.limit or 0, outcome.stderr)
    if outcome.cut is Cut.TOO_MUCH:
        raise NixSaidTooMuch(argv, limit)
    if outcome.status != 0:
        raise NixFailed(argv, outcome.status, outcome.stderr)
    return outcome.stdout


def _nix_bin_dirs(environ: Mapping[str, str]) -> Iterator[str]:
    if nix_bin := environ.get("NIX_BIN"):
        # Flox sets it to its own `nix`; nix-store is its neighbour.
        yield os.path.dirname(nix_bin)
    yield from _PROFILE_BIN_DIRS
    if home := environ.get("HOME"):
        yield os.path.join(home, ".nix-profile/bin")
