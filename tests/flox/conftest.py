import os
import sys
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from tests.flox.activation import PROJECT, Scene, link_flox_env

MODEL = "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"

PACKAGE = PROJECT / ".flox/pkgs/nixenv.nix"
STUBS = Path(__file__).with_name("stub-nixpkgs.nix")


@pytest.fixture(scope="session")
def stub_nixpkgs() -> str:
    """A Nix expression that stands for nixpkgs."""
    return f'(import {STUBS} {{ pythonExecutable = "{sys.executable}"; }})'


@pytest.fixture(scope="session")
def package(
    sglang: SglangClosure, stub_nixpkgs: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """nixenv as .flox/pkgs packages it, built; the modules are those of the tests' interpreter."""
    expression = tmp_path_factory.mktemp("expression") / "default.nix"
    expression.write_text(f"{{ }}: {stub_nixpkgs}.callPackage {PACKAGE} {{ }}")
    return Path(sglang.store.build(expression, {}))


@pytest.fixture
def scene(sglang: SglangClosure, package: Path, tmp_path: Path) -> Scene:
    """The real manifest, in a checkout of its own; the environment is built, nothing is cached."""
    project = tmp_path / "project"
    cache = project / ".flox/cache"
    cache.mkdir(parents=True)
    flox_env = link_flox_env(tmp_path / "flox-env", Path(sglang.flox_env), package)
    return Scene(flox_env=flox_env, cache=cache, project=project)


@pytest.fixture
def environ(sglang: SglangClosure, tmp_path: Path) -> dict[str, str]:
    """What a user has before an activation."""
    home = tmp_path / "home"
    home.mkdir()
    return sglang.store.environ | {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "TERM": os.environ.get("TERM", "dumb"),
    }
