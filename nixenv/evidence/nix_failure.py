"""Why Nix gave no closure: found out by asking it and its daemon, never by its wording."""

import contextlib
import errno
import os
import shlex
import socket
import struct
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.findings import Code, Finding
from nixenv.kernel import describe_process, find_lock_holders, is_stopped
from nixenv.process import Patience, describe_command
from nixenv.road.nix import (
    NixFailed,
    NixNotFound,
    NixOutOfTime,
    ask_nix,
    find_nix_store,
    nix_search_path,
)
from nixenv.road.root import find_executable
from nixenv.storepath import StorePath

_STATE_DIR = "/nix/var/nix"

# What Nix and SQLite lock, in the state directory (``local-store.cc``, ``gc.cc``; sqlite.org/wal).
_LOCKED_FILES = ("db/big-lock", "db/db.sqlite", "db/db.sqlite-shm", "gc.lock")

# What a socket's address has room for; Nix reaches longer ones by another way.
_ADDRESS_LIMIT = 107

# In seconds. A daemon that does not even accept is not there.
_PATIENCE = 2


def explain_nix_failure(error: NixenvError, root: StorePath, environ: Mapping[str, str]) -> Finding:
    """Turn what `nixenv.road.query.query_closure` raised into a finding, and find out the cause.

    Args:
        error: The error.
        root: The root that was asked about.
        environ: The environment that Nix was started with.
    """
    if isinstance(error, NixNotFound):
        return Code.NIX_MISSING.found(
            "there is no nix-store to ask for the closure, and no record of it either",
            tuple(error.searched),
            error.remedy,
        )
    if isinstance(error, NixOutOfTime):
        return _find_daemon_failure(environ) or _explain_wait(error, environ)
    if not isinstance(error, NixFailed):
        return Code.NIX_FAILED.found(
            error.reason,
            _other_nix_stores(environ),
            _take_another(environ) or error.remedy,
        )
    return (
        _find_daemon_failure(environ)
        or _find_invalid_root(root, environ)
        or Code.NIX_FAILED.found(
            f"`{' '.join(error.argv)}` failed",
            (*_lines(error.stderr), *_other_nix_stores(environ)),
            _take_another(environ) or error.remedy,
        )
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.strip())


# The daemon --------------------------------------------------------------------------------------


def _find_daemon_failure(environ: Mapping[str, str]) -> Finding | None:
    address = _daemon_socket(environ)
    if address is None:
        return None
    try:
        _ask_for_daemon(address)
    except OSError as refusal:
        return Code.NIX_DAEMON_UNREACHABLE.found(
            "Nix's daemon cannot be reached, and without it Nix answers nothing",
            (
                f"{address}: {refusal.strerror or refusal}",
                f"NIX_REMOTE={environ.get('NIX_REMOTE', '')}",
            ),
            _reach_daemon(address, refusal, environ),
        )
    return None


def _daemon_socket(environ: Mapping[str, str]) -> str | None:
    """Give the socket of the daemon, if Nix goes through it.

    It does when NIX_REMOTE says so, and when that is left to Nix (``auto``) and this user may not
    write to Nix's state directory (``openStore`` in ``store-api.cc``).
    """
    state_dir = environ.get("NIX_STATE_DIR") or _STATE_DIR
    usual = environ.get("NIX_DAEMON_SOCKET_PATH") or f"{state_dir}/daemon-socket/socket"
    remote = environ.get("NIX_REMOTE", "")
    if remote.startswith("unix://"):
        return remote.removeprefix("unix://").partition("?")[0] or usual
    if remote == "daemon":
        return usual
    is_left_to_nix = remote in ("", "auto") and os.path.isdir(state_dir)
    return usual if is_left_to_nix and not _may_write(state_dir) else None


def _may_write(directory: str) -> bool:
    return os.access(directory, os.R_OK | os.W_OK)


def _ask_for_daemon(address: str) -> int | None:
    """Connect to a socket, and give the process that listens there; None where that is not told.

    Raises:
        OSError: nobody listens.
    """
    if len(os.fsencode(address)) > _ADDRESS_LIMIT:
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(address)
        except ValueError as error:  # a path that is none
            raise OSError(str(error)) from error
        # unix(7): a process, a user and a group.
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[0]) or None


def _reach_daemon(address: str, refusal: OSError, environ: Mapping[str, str]) -> str:
    if environ.get("NIX_REMOTE") and _may_write(environ.get("NIX_STATE_DIR") or _STATE_DIR):
        return "`unset NIX_REMOTE`: you may open the store without the daemon"
    if refusal.errno == errno.EACCES:
        directory = os.path.dirname(address)
        return f"join the group that may enter {directory} (`ls -ld {shlex.quote(directory)}`)"
    if os.path.isdir("/run/systemd/system"):
        return "start it: `sudo systemctl restart nix-daemon.socket nix-daemon.service`"
    nix_store = os.path.realpath(find_nix_store(environ) or "nix-store")
    daemon = os.path.join(os.path.dirname(nix_store), "nix-daemon")
    return f"start it as root: `{shlex.quote(daemon)} &`"


# What Nix waits for -------------------------------------------------------------------------------


def _explain_wait(error: NixOutOfTime, environ: Mapping[str, str]) -> Finding:
    """Name the process that Nix waits for: its daemon, or who holds a lock of its database."""
    awaited = _find_awaited(environ)
    stopped = [pid for pid in awaited if is_stopped(pid)]
    remedy = error.remedy
    if stopped:
        remedy = f"let it go on: as root, `kill -CONT {' '.join(map(str, stopped))}`"
    elif awaited:
        remedy = f"wait until it has done, or look at what it does: `ps -fp {awaited[0]}`"
    return Code.NIX_NO_ANSWER.found(
        f"`{describe_command(error.argv)}` gave no answer within {error.limit:g} s",
        (*(f"it waits for {describe_process(pid)}" for pid in awaited), *_lines(error.stderr)),
        remedy,
    )


def _find_awaited(environ: Mapping[str, str]) -> tuple[int, ...]:
    address = _daemon_socket(environ)
    if address is not None:
        with contextlib.suppress(OSError):
            daemon = _ask_for_daemon(address)
            return () if daemon is None else (daemon,)
    state_dir = environ.get("NIX_STATE_DIR") or _STATE_DIR
    return find_lock_holders(*(f"{state_dir}/{file}" for file in _LOCKED_FILES))


# The root ----------------------------------------------------------------------------------------


def _find_invalid_root(root: StorePath, environ: Mapping[str, str]) -> Finding | None:
    nix_store = find_nix_store(environ) or "nix-store"
    try:
        argv = (nix_store, "--check-validity", "--print-invalid", root)
        invalid = ask_nix(argv, environ, Patience(limit=_PATIENCE))
    except NixenvError:
        return None
    if invalid.strip() != root:
        return None
    return Code.STORE_ROOT_INVALID.found(
        f"Nix does not know {root}: it was garbage-collected, or never came through Nix",
        (root,),
        f"`{shlex.join((nix_store, '--realise', root))}` fetches it from a binary cache; where "
        "none has it, install the program again",
    )


# Another Nix -------------------------------------------------------------------------------------


def _other_nix_stores(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the nix-store programs besides the one that was asked."""
    asked = find_nix_store(environ)
    directories = nix_search_path(environ).split(os.pathsep)
    found = (find_executable("nix-store", directory) for directory in directories)
    return tuple(
        dict.fromkeys(
            other
            for other in found
            if other and asked and os.path.realpath(other) != os.path.realpath(asked)
        )
    )


def _take_another(environ: Mapping[str, str]) -> str:
    others = _other_nix_stores(environ)
    if not others:
        return ""
    directory = os.path.dirname(others[0])
    return (
        f"ask the other nix-store: `export PATH={shlex.quote(directory)}:$PATH`; the one that was "
        f"asked is {find_nix_store(environ)}"
    )
