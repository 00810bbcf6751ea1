import os
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure, build_sglang_closure
from fixtures.private_store import PrivateStore
from tests.flox.activation import Scene, link_flox_env

MODEL = "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"


@pytest.fixture(scope="session")
def closure(tmp_path_factory: pytest.TempPathFactory) -> SglangClosure:
    return build_sglang_closure(PrivateStore.create(tmp_path_factory.mktemp("nix")))


@pytest.fixture
def scene(closure: SglangClosure, tmp_path: Path) -> Scene:
    """The real manifest, in a checkout of its own; the environment is built, nothing is cached."""
    project = tmp_path / "project"
    cache = project / ".flox/cache"
    cache.mkdir(parents=True)
    flox_env = link_flox_env(Path(closure.flox_env), tmp_path / "flox-env")
    return Scene(flox_env=flox_env, cache=cache, project=project)


@pytest.fixture
def environ(closure: SglangClosure, tmp_path: Path) -> dict[str, str]:
    """What a user has before an activation."""
    home = tmp_path / "home"
    home.mkdir()
    return closure.store.environ | {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "TERM": os.environ.get("TERM", "dumb"),
    }
