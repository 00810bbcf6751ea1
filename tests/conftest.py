"""Fixtures that many tests share: the closure that real Nix built, and ways to use it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure, build_sglang_closure
from fixtures.environments import Environments, build_environments
from fixtures.jit import JitPrograms, build_jit_programs
from fixtures.private_store import PrivateStore
from tests.real_shells import SEARCH_PATH, require_tool

# Some tests read the project's own files, and some while they are collected.
os.chdir(Path(__file__).parents[1])

Nixenv = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Give signals their usual meaning, which nohup, or a shell's `&`, takes from what is started.

    The programs leave those alone that they find ignored, as they should.
    """
    for number, usual in (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@contextlib.contextmanager
def _private_store(factory: pytest.TempPathFactory, name: str) -> Iterator[PrivateStore]:
    require_tool("nix-store")
    store = PrivateStore.create(factory.mktemp(name))
    yield store
    store.delete()


@pytest.fixture(scope="session")
def sglang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SglangClosure]:
    """The fixture closure, built by real Nix into a private store of this test run."""
    with _private_store(tmp_path_factory, "nix") as store:
        yield build_sglang_closure(store)


@pytest.fixture(scope="session")
def jit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JitPrograms]:
    """Programs with the real compiler of CUDA 13.0, in a store of their own."""
    with _private_store(tmp_path_factory, "jit") as store:
        yield build_jit_programs(store)


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    """Environments of many shapes, with real compilers and a real Jupyter, in their own store."""
    with _private_store(tmp_path_factory, "environments") as store:
        yield build_environments(store)


@pytest.fixture
def environ(sglang: SglangClosure, tmp_path: Path) -> dict[str, str]:
    """The environment in which a Flox hook for the fixture's environment runs."""
    nix_bin = Path(require_tool("nix-store")).parent
    return {
        **sglang.store.environ,
        "PATH": f"{sglang.flox_env}/bin:{SEARCH_PATH}",
        "NIX_BIN": f"{nix_bin}/nix",
        "HOME": str(tmp_path / "home"),
        "FLOX_ENV": sglang.flox_env,
        "FLOX_ENV_CACHE": str(tmp_path / "cache"),
        "LANG": "C.UTF-8",
        # The store objects are the tests' to look at, not to fill with compiled modules.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def nixenv(environ: dict[str, str]) -> Nixenv:
    """Run the command line as its users do, in `environ`."""

    def run(
        *arguments: str, environ: Mapping[str, str] = environ
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-I", "-m", "nixenv", *arguments],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )

    return run


@pytest.fixture
def nixenv_on_path(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """`environ` with a program `nixenv` on PATH, wrapped as the Nix package wraps it."""
    directory = tmp_path / "nixenv-bin"
    directory.mkdir()
    script = directory / "nixenv"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m nixenv "$@"\n')
    script.chmod(0o755)
    return {**environ, "PATH": f"{environ['PATH']}{os.pathsep}{directory}"}
