"""When, where and by what: noted now, with Nix's own version."""

import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nixenv import __version__
from nixenv.evidence.occasion import note_occasion


def test_an_occasion(environ: dict[str, str]) -> None:
    """Of real Nix, here and now."""
    noted = note_occasion("nixenv inspect", environ, with_host=True, with_nix=True)
    age = datetime.now(UTC) - datetime.fromisoformat(noted.time)
    assert 0 <= age.total_seconds() < 600
    assert (noted.command, noted.host) == ("nixenv inspect", socket.gethostname())
    assert noted.nixenv == __version__
    assert re.fullmatch(r"2\.[0-9]+.*", noted.nix)


def test_what_is_not_asked(environ: dict[str, str]) -> None:
    """Neither the machine nor Nix; nor is there a version without Nix."""
    noted = note_occasion("", environ, with_host=False, with_nix=False)
    assert (noted.host, noted.nix) == ("", "")
    assert note_occasion("", {"PATH": "/none"}, with_host=False, with_nix=True).nix == ""


@pytest.mark.parametrize("script", ["exit 1", "echo hello", "yes", "echo 'nix-store (Nix) '"])
def test_a_nix_that_tells_no_version(tmp_path: Path, script: str) -> None:
    """Whatever it says, that is no reason to fail."""
    program = tmp_path / "nix-store"
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    program.chmod(0o755)
    noted = note_occasion("", {"PATH": str(tmp_path)}, with_host=False, with_nix=True)
    assert noted.nix == ""
