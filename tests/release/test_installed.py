"""What a wheel brings: programs, hook, profiles, findings, man pages, completions."""

import json
import os
import pty
import re
import select
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from docs.manual import PROGRAMS, render_files
from fixtures.closure import SglangClosure
from nixenv import __version__
from nixenv.findings import Code
from nixenv.road.profile import BUILT_IN
from tests.documents import ROOT
from tests.real_shells import require_tool

SNAPSHOT = ROOT / "fixtures/sglang.snapshot.json"
MAN_PAGES = sorted(path for path in render_files() if path.endswith(".1"))


def run(
    argv: list[str | Path], environ: Mapping[str, str], cwd: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv, env=environ, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def bare(installed: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of a user who has only that."""
    return {
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{installed}/bin:/usr/bin:/bin",
        "TERM": "dumb",
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_tells_the_version(program: str, bare: dict[str, str], tmp_path: Path) -> None:
    """That of the package, which stands in one place."""
    done = run([program, "--version"], bare, tmp_path)
    assert (done.stdout, done.stderr) == (f"{program} {__version__}\n", "")


def test_the_wheel_is_of_that_version(wheel: Path) -> None:
    """And so is the source beside it, which has all that is needed to build and to test."""
    assert wheel.name == f"nixenv-{__version__}-py3-none-any.whl"
    with tarfile.open(wheel.with_name(f"nixenv-{__version__}.tar.gz")) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    wanted = ("Makefile", "scripts/tools.sh", "tests/conftest.py", "fixtures/closure.py", ".ci/run")
    assert {*wanted, "hatch_build.py", "docs/manual.py"} <= names


def test_the_files_below_share_are_in_place(installed: Path) -> None:
    """The hook, to the byte; a man page for each command; completions for each program."""
    shared = {
        str(path.relative_to(installed / "share")): path.read_text()
        for path in (installed / "share").rglob("*")
        if path.is_file()
    }
    hook = {"nixenv/on-activate.bash": (ROOT / "hooks/on-activate.bash").read_text()}
    assert shared == render_files() | hook


@pytest.mark.parametrize("profile", BUILT_IN)
def test_each_profile_is_there(profile: str, bare: dict[str, str], tmp_path: Path) -> None:
    """Inspect judges by it."""
    argv: list[str | Path] = ["nixenv", "inspect", "--from", SNAPSHOT, "--profile", profile]
    done = run([*argv, "--json"], bare, tmp_path)
    assert json.loads(done.stdout)["profile"] == profile, done.stderr


def test_each_finding_is_explained(bare: dict[str, str], tmp_path: Path) -> None:
    """By the table that comes with the package."""
    done = run(["nixenv", "explain"], bare, tmp_path)
    assert all(code in done.stdout for code in Code)


def test_the_page_of_inspect_is_written(bare: dict[str, str], tmp_path: Path) -> None:
    """Its templates and styles come with the package."""
    argv: list[str | Path] = ["nixenv", "inspect", "--from", SNAPSHOT, "--html", "-"]
    done = run(argv, bare, tmp_path)
    assert done.stdout.lower().startswith("<!doctype html>"), done.stderr


def test_the_hook_activates(
    installed: Path, environ: dict[str, str], sglang: SglangClosure, tmp_path: Path
) -> None:
    """Cold and warm, from where the wheel has put it."""
    environ["PATH"] = f"{environ['PATH']}:{installed}/bin"
    script = f'source "{installed}/share/nixenv/on-activate.bash" && echo "$CUDA_HOME"'
    for _ in ("cold", "warm"):
        done = run(["bash", "-c", script], environ, tmp_path)
        assert done.stdout.startswith(sglang.store.store_dir), done.stderr


@pytest.mark.parametrize("page", MAN_PAGES)
def test_a_man_page_is_shown(
    page: str, installed: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    """Without a warning of groff, with the options that --help lists."""
    require_tool("man")
    environ = {**bare, "MANWIDTH": "80"}
    done = run(["man", "--warnings", "-l", installed / "share" / page], environ, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    command = Path(page).stem
    argv = ["nixenv", *command.split("-")[1:]] if command.startswith("nixenv") else [command]
    offered = re.findall(
        r"(?m)^  (?:-\w, )?(--[a-z-]+)", run([*argv, "--help"], bare, tmp_path).stdout
    )
    assert "--help" in offered
    assert all(option in done.stdout for option in offered)


def test_man_finds_the_pages(installed: Path, bare: dict[str, str], tmp_path: Path) -> None:
    """Where the programs' directory is on PATH, by the name of the command."""
    done = run(["man", "--path", "nixenv-export"], bare, tmp_path)
    assert done.stdout.strip() == f"{installed}/share/man/man1/nixenv-export.1", done.stderr


INTERACTIVE = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "source {share}/bash-completion/completions/nixenv",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D",
    ),
}


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tab_completes(shell: str, installed: Path, bare: dict[str, str], tmp_path: Path) -> None:
    """In a shell on a terminal: a command, an option, its value; what then stands there runs."""
    argv, setup = INTERACTIVE[shell]
    require_tool(shell)
    with Terminal(argv, bare, tmp_path) as terminal:
        terminal.type(setup.format(share=installed / "share") + "; echo rea''dy\n")
        terminal.wait_for("ready")
        terminal.type("nixenv expo\t")
        terminal.wait_for("nixenv export ")
        terminal.type("--lay\t")
        terminal.wait_for("--layout ")
        terminal.type("li\t")
        terminal.wait_for("linked ")
        terminal.type("--help\n")
        terminal.wait_for("Usage: nixenv export")


def test_fish_completes(installed: Path, bare: dict[str, str], tmp_path: Path) -> None:
    """It finds the file by XDG_DATA_DIRS: commands, options and their values."""
    environ = {**bare, "XDG_DATA_DIRS": f"{installed}/share"}

    def complete(line: str) -> str:
        return run(["fish", "-c", f"complete -C '{line}'"], environ, tmp_path).stdout

    assert "export" in complete("nixenv expo")
    assert "--layout" in complete("nixenv export --lay")
    assert "linked" in complete("nixenv export --layout l")
    assert "vllm" in complete("nixenv export --profile v")
    assert set(Code) <= set(complete("nixenv explain ").split())
    assert "--dry-run" in complete("sglang-serve --dry")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv: list[str], environ: Mapping[str, str], cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            argv,
            env=environ,
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)

    def type(self, text: str) -> None:
        self._shown = ""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until it is on the screen."""
        end = time.monotonic() + 60
        while text not in self._shown:
            ready, _, _ = select.select([self._ours], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} does not come: {self._shown!r}"
            self._shown += os.read(self._ours, 65536).decode(errors="replace")
