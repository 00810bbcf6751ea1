"""scripts/tools.sh, on machines that have next to nothing. Real ones are too slow to make here."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.real_shells import require_tool

SCRIPT = Path("scripts/tools.sh").resolve()

ROOT = {"id": "echo 0"}
USER = {"id": "echo 1000"}
NO_SUDO = {**USER, "sudo": "exit 1"}
SUDO = {**USER, "sudo": '[ "$1" = -n ] && shift && exec "$@"'}

# It installs as apt-get does: a package's program, here for the one package that is asked for.
APT = {"apt-get": 'echo "$@" >>"$LOG"\n[ "$1" = update ] || ln -s /bin/sh "$BIN/shellcheck"'}
BROKEN_APT = {"apt-get": "echo 'E: no network' >&2; exit 100"}
EMPTY_APT = {"apt-get": ":"}


class Bare:
    """A machine with a shell and what the test adds: programs by name, as lines of sh."""

    def __init__(self, base: Path, programs: Mapping[str, str]) -> None:
        self._bin = base / "bin"
        self._log = base / "log"
        self._bin.mkdir()
        for name in ("bash", "sh", "env", "grep", "ln", "true"):
            (self._bin / name).symlink_to(require_tool(name))
        for name, text in programs.items():
            (self._bin / name).write_text(f"#!/bin/sh\n{text}\n")
            (self._bin / name).chmod(0o755)

    def see_to(self, *targets: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": str(self._bin), "BIN": str(self._bin), "LOG": str(self._log)}
        return subprocess.run(
            [SCRIPT, *targets], env=environ, capture_output=True, text=True, check=False
        )

    @property
    def installed(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.mark.parametrize("rights", [ROOT, SUDO], ids=["root", "sudo"])
def test_what_is_missing_is_installed(tmp_path: Path, rights: Mapping[str, str]) -> None:
    """By root, or by a sudo that asks for nothing; which packages is told; once is enough."""
    bare = Bare(tmp_path, {**rights, **APT})
    done = bare.see_to("lint")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Missing: shellcheck. Installing shellcheck.\n"
    assert bare.installed == ["update", "install --yes --no-install-recommends shellcheck"]
    again = bare.see_to("lint")
    assert (again.returncode, again.stdout) == (0, "")
    assert len(bare.installed) == 2


@pytest.mark.parametrize(
    ("rights", "become"), [(USER, "su"), (NO_SUDO, "sudo sh")], ids=["no sudo", "sudo asks"]
)
def test_without_rights_the_command_is_named(
    tmp_path: Path, rights: Mapping[str, str], become: str
) -> None:
    """Every tool that is missing, one command, a failure, and nothing touched."""
    bare = Bare(tmp_path, {**rights, **APT})
    done = bare.see_to("venv", "test")
    assert (done.returncode, done.stdout) == (1, "")
    for tool in ("python3 with ensurepip", "nix-store", "fish", "chromium"):
        assert tool in done.stderr
    command = rf"  {become} -c 'apt-get update && apt-get install .* python3-venv .*nix-bin .*'"
    assert re.search(f"^{command}$", done.stderr, re.MULTILINE)
    assert bare.installed == []


def test_where_debian_s_packages_are_of_no_use(tmp_path: Path) -> None:
    """Another system: what is missing, and the way by a container."""
    done = Bare(tmp_path, ROOT).see_to("lint")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Missing: shellcheck." in done.stderr
    assert "docker run" in done.stderr


def test_a_failing_installation_fails(tmp_path: Path) -> None:
    """With apt-get's own reason."""
    done = Bare(tmp_path, ROOT | BROKEN_APT).see_to("lint")
    assert done.returncode == 1
    assert "E: no network" in done.stderr
    assert "apt-get failed" in done.stderr


def test_an_installation_that_brings_nothing_fails(tmp_path: Path) -> None:
    """A package that does not hold the tool is no success."""
    done = Bare(tmp_path, ROOT | EMPTY_APT).see_to("lint")
    assert done.returncode == 1
    assert "still missing: shellcheck" in done.stderr


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """No package brings a newer one, so none is installed."""
    old = '[ "$1" = --version ] && echo Python 3.10.12\nexit 1'
    bare = Bare(tmp_path, ROOT | APT | {"python3": old})
    done = bare.see_to("venv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Python 3.10.12 is too old" in done.stderr
    assert bare.installed == []
