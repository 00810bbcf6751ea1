"""When, where and by what something was looked at: whoever reads of it elsewhere wants to know."""

import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import frozen

from nixenv import __version__
from nixenv.errors import NixError
from nixenv.process import Patience
from nixenv.road.nix import ask_nix, find_nix_store

# Seconds. It reads nothing to know its own version.
_PATIENCE = 2.0
# nix-store (Nix) 2.26.3
_VERSION = re.compile(r"[^\n]{0,80}\) (?P<version>[0-9][0-9A-Za-z.+_-]{0,60})\s*")


@frozen
class Occasion:
    """When, where and by what something was looked at.

    Attributes:
        command: The command, as it was typed; empty where it was none.
        time: ``2026-07-01T12:00:00+00:00``.
        host: The machine's name; empty where it was left out.
        nixenv: nixenv's version.
        nix: Nix's version; empty where it was not asked, or did not tell.
    """

    command: str = ""
    time: str = ""
    host: str = ""
    nixenv: str = ""
    nix: str = ""


def note_occasion(
    command: str, environ: Mapping[str, str], *, with_host: bool, with_nix: bool
) -> Occasion:
    """Note the present one.

    Args:
        command: The command, as it was typed.
        environ: The environment, to find Nix.
        with_host: Whether to name the machine.
        with_nix: Whether to ask Nix for its version.
    """
    return Occasion(
        command,
        datetime.now(UTC).isoformat(timespec="seconds"),
        socket.gethostname() if with_host else "",
        __version__,
        _ask_version(environ) if with_nix else "",
    )


def _ask_version(environ: Mapping[str, str]) -> str:
    nix_store = find_nix_store(environ)
    if nix_store is None:
        return ""
    try:
        told = _VERSION.fullmatch(ask_nix((nix_store, "--version"), environ, Patience(_PATIENCE)))
    except NixError:
        return ""  # which the first question has met as well, and told
    return told["version"] if told else ""
