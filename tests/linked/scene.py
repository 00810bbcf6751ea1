"""Activate the fixture closure in layout `linked`, and run programs in what comes of it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore
from nixenv.request import Selection, gather, plan
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms
from tests.real_shells import SEARCH_PATH


@frozen
class Activated:
    """An environment as `nixenv export` leaves it."""

    environ: Mapping[str, str]

    @property
    def virtualenv(self) -> Path:
        return Path(self.environ["VIRTUAL_ENV"])

    @property
    def cuda_home(self) -> Path:
        return Path(self.environ["CUDA_HOME"])

    def run(self, *argv: str, **changes: str) -> str:
        """Run a program in it and give its output; a failure shows what it said."""
        done = subprocess.run(
            argv,
            env={**self.environ, **changes},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def python(self, code: str) -> str:
        """Run code in the `python` of its PATH."""
        return self.run("python", "-c", code).strip()


def surroundings(store: PrivateStore, home: Path) -> dict[str, str]:
    """Give what a user has before an activation."""
    return store.environ | {
        "PATH": SEARCH_PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # Whoever runs this may be allowed to write into the private store, as nobody is elsewhere.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def export_argv(root: str, cache: Path, layout: str, *arguments: str) -> list[str]:
    """Give the command line of `nixenv export`."""
    return [
        *(sys.executable, "-m", "nixenv", "export", "--shell", "json", "--layout", layout),
        *("--root", root, "--cache-dir", str(cache), "--profile", "python-cuda", *arguments),
    ]


def activate(
    store: PrivateStore, root: str, cache: Path, *arguments: str, layout: str = "linked"
) -> Activated:
    """Do what `eval "$(nixenv export)"` does."""
    cache.mkdir(parents=True, exist_ok=True)
    before = surroundings(store, cache)
    done = subprocess.run(
        export_argv(root, cache, layout, *arguments),
        env=before,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    variables: dict[str, str | None] = json.loads(done.stdout)["variables"]
    after = {name: value for name, value in {**before, **variables}.items() if value is not None}
    return Activated(after)


def plan_farms(sglang: SglangClosure, root: str, cache: Path) -> tuple[Inventory, Farms]:
    """Go the road up to the plan, in this process."""
    selection = Selection(root=root, profile="python-cuda", cache_dir=str(cache), layout="linked")
    environ = os.environ | sglang.store.environ
    inventory, _, farms = plan(gather(selection, environ), selection, environ)
    assert farms is not None
    return inventory, farms
