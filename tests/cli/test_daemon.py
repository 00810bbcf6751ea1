"""Nix as most machines have it: a daemon has the store, and a user without rights asks."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from tests.hook.scene import HOOK, PREAMBLE, activation_file
from tests.real_shells import SEARCH_PATH, require_tool

Environ = dict[str, str]
NOBODY = 65534


def unprivileged(*command: str) -> list[str]:
    """Start a command as a user that Nix does not trust.

    It may still read what root may: the Python that runs the tests can be in root's home.
    """
    if os.geteuid() != 0:
        return list(command)
    reading = "-all,+dac_read_search"
    return [
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *(f"--inh-caps={reading}", f"--ambient-caps={reading}", f"--bounding-set={reading}"),
        *command,
    ]


def run(environ: Environ, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        unprivileged(*command), env=environ, cwd="/", capture_output=True, text=True, check=False
    )


def nixenv(environ: Environ, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(environ, sys.executable, "-I", "-m", "nixenv", *arguments)


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[PrivateStore, str]]:
    """A store that a real daemon serves, and a program in it."""
    # pytest's own directories are closed to other users.
    base = Path(tempfile.mkdtemp(prefix="nixenv-daemon-"))
    base.chmod(0o755)
    store = PrivateStore.create(base)
    root = load_synthetic_closure(store, 60)
    socket = store.base / "state/daemon-socket/socket"
    daemon = require_tool("nix-daemon")
    with subprocess.Popen(
        [daemon], env=store.environ | {"PATH": SEARCH_PATH}, stderr=subprocess.DEVNULL
    ) as process:
        for _ in range(1000):
            if socket.exists():
                break
            time.sleep(0.01)
        yield store, root
        process.kill()
    store.delete()


@pytest.fixture(params=["daemon", "auto"])
def environ(store: tuple[PrivateStore, str], request: pytest.FixtureRequest) -> Environ:
    """A user's environment, in which Nix is told to ask the daemon, or finds out that it has to."""
    if request.param == "auto" and os.geteuid() != 0:
        pytest.skip("only where the store is another user's does Nix ask the daemon by itself")
    own, root = store
    home = Path(tempfile.mkdtemp(prefix="home-", dir=own.base))
    if os.geteuid() == 0:
        shutil.chown(home, NOBODY, NOBODY)
    return {
        **own.environ,
        # The daemon's settings are not the user's to make: newer Nix warns of each.
        "NIX_CONF_DIR": str(home / "etc"),
        "NIX_USER_CONF_FILES": "",
        "NIX_REMOTE": request.param,
        "PATH": f"{root}/bin:{SEARCH_PATH}",
        "HOME": str(home),
        "FLOX_ENV": root,
        "FLOX_ENV_CACHE": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test_export_gives_what_the_store_itself_gives(
    store: tuple[PrivateStore, str], environ: Environ
) -> None:
    """The closure comes through the daemon, in the same order."""
    asked = nixenv(environ, "export")
    assert (asked.returncode, asked.stderr) == (0, "")
    argv = (sys.executable, "-I", "-m", "nixenv", "export")
    local = {**environ, "NIX_REMOTE": "local"}
    direct = subprocess.run(argv, env=local, capture_output=True, text=True, check=True)
    assert asked.stdout == direct.stdout
    assert f"CUDA_HOME '{store[0].store_dir}" in asked.stdout


def test_inspect_asks_the_daemon_for_the_graph_too(environ: Environ) -> None:
    """References and sizes; nothing is wrong with Nix."""
    report = json.loads(nixenv(environ, "inspect", "--json").stdout)
    assert not [found for found in report["findings"] if found["code"].startswith("nix-")]
    why = nixenv(environ, "inspect", "--why", "cuda_nvcc")
    assert (why.returncode, why.stderr) == (0, "")
    assert "cuda_nvcc" in why.stdout


def test_the_hook_works_cold_and_warm(environ: Environ) -> None:
    """The kept activation is the user's own, although the store is not."""
    script = Path(environ["HOME"], "bin/nixenv")
    script.parent.mkdir()
    script.parent.chmod(0o755)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m nixenv "$@"\n')
    script.chmod(0o755)
    environ["PATH"] += f":{script.parent}"
    text = f"{PREAMBLE}; source {shlex.quote(str(HOOK))} && env -0 >&3"
    found = [run(environ, "bash", "--norc", "--noprofile", "-c", text) for _ in range(2)]
    for done in found:
        assert (done.returncode, done.stderr) == (0, "")
        assert "CUDA_HOME=" in done.stdout
    assert found[0].stdout == found[1].stdout
    kept = activation_file(environ).stat()
    assert (kept.st_uid, kept.st_mode & 0o777) == (Path(environ["HOME"]).stat().st_uid, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="the store must be another user's")
def test_the_store_itself_is_closed_to_the_user(environ: Environ) -> None:
    """Without the daemon nothing is listed, and Nix's own words, whatever they are, are told."""
    done = nixenv({**environ, "NIX_REMOTE": "local"}, "export")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nix-store -qR" in done.stderr
    assert "it said:\n    " in done.stderr
