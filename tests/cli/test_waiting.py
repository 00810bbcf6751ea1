"""Nix, its daemon or another nixenv does not answer: who waits is told, and may set a limit.

Real locks, a real daemon that is stopped and real signals; a script in nix-store's place where it
has to block at a certain moment.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from tests.conftest import Nixenv
from tests.real_shells import SEARCH_PATH
from tests.test_process import is_gone

Environ = dict[str, str]

NIXENV = (sys.executable, "-I", "-m", "nixenv")
HOOK = Path(__file__).parents[2] / "hooks/on-activate.bash"


def wait_for(file: Path) -> str:
    """Wait until a file says something."""
    for _ in range(3000):
        if file.exists() and (text := file.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(file)


@pytest.fixture
def blocked(environ: Environ, tmp_path: Path) -> Environ:
    """Put a nix-store first on PATH that says something, and answers when `go` is written to."""
    real = Path(environ["NIX_BIN"]).parent / "nix-store"
    directory = tmp_path / "blocked"
    directory.mkdir()
    os.mkfifo(tmp_path / "go")
    script = directory / "nix-store"
    script.write_text(
        "#!/bin/sh\necho waiting for the lock >&2\n"
        f'echo $$ >{tmp_path}/pid\nread line <{tmp_path}/go\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    return {**environ, "PATH": f"{directory}:{environ['PATH']}"}


def start(environ: Mapping[str, str], *argv: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        argv,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_waits_is_told(blocked: Environ, tmp_path: Path) -> None:
    """Nix's words at once, then for what and how long; and when the answer comes, all is well."""
    with start(blocked, *NIXENV, "export") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting for the lock\n"
        line = process.stderr.readline()
        assert line.startswith(f"nixenv: still waiting for {tmp_path}/blocked/nix-store -qR ")
        assert line.endswith(", 3 s so far; --timeout SECONDS or NIXENV_TIMEOUT sets a limit\n")
        (tmp_path / "go").write_text("\n")
        stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert "PYTHONPATH" in stdout


@pytest.mark.parametrize(
    ("arguments", "changed", "status"),
    [
        (("export", "--timeout", "0.6"), {}, 4),
        (("export",), {"NIXENV_TIMEOUT": "0.6"}, 4),
        (("snapshot", "--timeout", "0.6"), {"NIXENV_TIMEOUT": "600"}, 4),
        (("run", "--timeout", "0.6", "--", "echo", "started"), {}, 125),
    ],
)
def test_a_limit_ends_the_wait(
    arguments: tuple[str, ...], changed: Environ, status: int, blocked: Environ, tmp_path: Path
) -> None:
    """The documented status, what was asked, what it said and what to do; nothing is left."""
    done = subprocess.run(
        [*NIXENV, *arguments],
        env={**blocked, **changed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert "-qR" in done.stderr
    assert "did not answer within 0.6 s; it said:\n    waiting for the lock\n" in done.stderr
    assert "--timeout SECONDS (or NIXENV_TIMEOUT) allows more time" in done.stderr
    assert is_gone(int(wait_for(tmp_path / "pid")))


def test_a_limit_ends_the_hooks_wait(blocked: Environ, nixenv_on_path: Environ) -> None:
    """A status that the manifest can see, and the variables as they were."""
    path = f"{blocked['PATH']}:{nixenv_on_path['PATH']}"
    script = f'before=$(export -p); . {HOOK}; echo $?; [ "$(export -p)" = "$before" ]; echo $?'
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        env={**blocked, "PATH": path, "NIXENV_TIMEOUT": "0.6"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n0\n"
    assert "did not answer within 0.6 s" in done.stderr


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "1e3", "9" * 30])
def test_a_limit_that_is_none(limit: str, nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """It is refused before Nix is asked, on the command line as in the hook."""
    asked = nixenv("export", f"--timeout={limit}")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert f"{limit!r} is not a number of seconds" in asked.stderr
    environ["NIXENV_TIMEOUT"] = limit
    hooked = nixenv(*activate(tmp_path), environ=environ)
    assert (hooked.returncode, hooked.stdout) == (2, "")
    assert f"NIXENV_TIMEOUT: {limit!r} is not a number of seconds" in hooked.stderr


def activate(cache: Path) -> tuple[str, ...]:
    """What the hook starts, with nothing but the cache directory said."""
    return ("activate", "activation-x", str(cache), sys.executable, "", "", "")


@pytest.fixture
def own(tmp_path: Path) -> tuple[Environ, Path]:
    """A small store of one's own, and its state directory."""
    store = PrivateStore.create(tmp_path / "own")
    root = load_synthetic_closure(store, 60, python=Path(sys.executable).resolve())
    path = f"{root}/bin:{SEARCH_PATH}"
    environ = {**store.environ, "PATH": path, "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    return environ, Path(store.environ["NIX_STATE_DIR"])


def test_a_database_that_another_has_locked(nixenv: Nixenv, own: tuple[Environ, Path]) -> None:
    """Nix waits for the lock: export has its status, and inspect names who holds it."""
    environ, state = own
    with (state / "db/big-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = nixenv("export", "--timeout", "1", environ=environ)
        report = nixenv("inspect", "--json", "--timeout", "1", environ=environ)
    assert (refused.returncode, refused.stdout) == (4, "")
    (found,) = (f for f in json.loads(report.stdout)["findings"] if f["severity"] == "error")
    assert found["code"] == "nix-no-answer"
    assert any(f"(pid {os.getpid()})" in line for line in found["evidence"])
    assert nixenv("export", environ=environ).returncode == 0


@pytest.fixture
def daemon(own: tuple[Environ, Path]) -> Iterator["subprocess.Popen[bytes]"]:
    """The daemon of that store, which answers."""
    environ, state = own
    program = shutil.which("nix-daemon")
    assert program is not None
    with subprocess.Popen([program], env=environ, stderr=subprocess.DEVNULL) as process:
        for _ in range(1000):
            if (state / "daemon-socket/socket").exists():
                break
            time.sleep(0.01)
        yield process
        process.kill()


def test_a_daemon_that_is_stopped(
    nixenv: Nixenv, own: tuple[Environ, Path], daemon: "subprocess.Popen[bytes]"
) -> None:
    """It is named, and the remedy lets it go on."""
    environ = {**own[0], "NIX_REMOTE": "daemon"}
    daemon.send_signal(signal.SIGSTOP)
    assert nixenv("export", "--timeout", "1", environ=environ).returncode == 4
    report = nixenv("inspect", "--json", "--timeout", "1", environ=environ)
    (found,) = (f for f in json.loads(report.stdout)["findings"] if f["severity"] == "error")
    assert found["code"] == "nix-no-answer"
    assert found["evidence"] == [f"it waits for nix-daemon (pid {daemon.pid}, stopped)"]
    subprocess.run(["sh", "-c", found["remedy"].split("`")[1]], check=True)
    assert nixenv("export", environ=environ).returncode == 0


def test_another_that_builds_the_farms(nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """It is named when the limit is reached, and nothing is built."""
    parent = tmp_path / "cache/nixenv/linked"
    parent.mkdir(parents=True, mode=0o700)
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = nixenv("export", "--layout", "linked", "--timeout", "0.5")
        assert (done.returncode, done.stdout) == (4, "")
        assert f"(pid {os.getpid()}) has held {parent}/.lock for more than 0.5 s" in done.stderr
        assert os.listdir(parent) == [".lock"]
        with start(environ, *NIXENV, "export", "--layout", "linked") as waiting:
            assert waiting.stderr is not None
            said = waiting.stderr.readline()
            assert said.startswith(f"nixenv: still waiting for {parent}/.lock, which ")
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.communicate()[0]
    assert waiting.returncode == 0


# Signals ------------------------------------------------------------------------------------------

DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.mark.parametrize("number", DEADLY)
@pytest.mark.parametrize(
    "arguments", [("export",), ("inspect",), ("snapshot",), ("run", "--", "true"), ("activate",)]
)
def test_a_signal_while_nix_works(
    number: signal.Signals, arguments: tuple[str, ...], blocked: Environ, tmp_path: Path
) -> None:
    """It dies of it, silently, and takes Nix along."""
    if arguments == ("activate",):
        arguments = activate(tmp_path / "cache")
    with start(blocked, *NIXENV, *arguments) as process:
        nix = int(wait_for(tmp_path / "pid"))
        process.send_signal(number)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (-number, "")
    assert stderr in ("", "waiting for the lock\n")
    assert is_gone(nix)
    assert not list(tmp_path.glob("cache/**/activation-*"))


def test_a_signal_while_another_builds_the_farms(environ: Environ, tmp_path: Path) -> None:
    """Nothing is built, then or later."""
    parent = tmp_path / "cache/nixenv/linked"
    parent.mkdir(parents=True, mode=0o700)
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with start(environ, *NIXENV, "export", "--layout", "linked") as waiting:
            assert waiting.stderr is not None
            assert "still waiting" in waiting.stderr.readline()
            waiting.terminate()
            assert waiting.communicate() == ("", "")
        assert waiting.returncode == -signal.SIGTERM
    assert os.listdir(parent) == [".lock"]


def test_a_signal_at_any_moment(environ: Environ, tmp_path: Path) -> None:
    """No traceback, nothing half-written, and no Nix is left behind."""
    real = Path(environ["NIX_BIN"]).parent / "nix-store"
    noting = tmp_path / "noting/nix-store"
    noting.parent.mkdir()
    noting.write_text(f'#!/bin/sh\necho $$ >>{tmp_path}/pids\nexec {real} "$@"\n')
    noting.chmod(0o755)
    environ["PATH"] = f"{noting.parent}:{environ['PATH']}"
    parent = tmp_path / "cache/nixenv/linked"
    for step in range(20):
        with start(environ, *NIXENV, "export", "--layout", "linked") as process:
            time.sleep(0.03 * step)
            process.send_signal((signal.SIGTERM, signal.SIGHUP)[step % 2])
            stdout, stderr = process.communicate()
        assert process.returncode in (-signal.SIGTERM, -signal.SIGHUP, 0)
        assert stderr == ""
        assert process.returncode != 0 or "CUDA_HOME" in stdout
        assert (
            not [name for name in os.listdir(parent) if name.startswith(".nixenv-")]
            if parent.exists()
            else True
        )
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    pids = (tmp_path / "pids").read_text().split()
    assert all(is_gone(int(pid)) for pid in pids)


def test_a_signal_that_is_ignored_stays_so(blocked: Environ, tmp_path: Path) -> None:
    """`nohup nixenv …` goes on when its terminal closes."""
    with start(blocked, "nohup", *NIXENV, "export") as process:
        wait_for(tmp_path / "pid")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").write_text("\n")
        assert "PYTHONPATH" in process.communicate()[0]
    assert process.returncode == 0
