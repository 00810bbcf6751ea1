"""The activations to compare, on a synthetic closure of a given size."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from benchmarks.measure import Command
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure

REPOSITORY = Path(__file__).parents[1]
HOOK = REPOSITORY / "hooks/on-activate.bash"
WALK = Path(__file__).with_name("walk.bash")
BASH = ("/usr/bin/bash", "--norc", "--noprofile")

EMPTY = "empty bash"
WALKED = "bash walk"
NIX = "nix-store -qR"


@frozen
class Scenario:
    """A closure of one size, and where its activations keep things."""

    size: int
    root: str
    environ: dict[str, str]
    cache: Path


def make_scenario(base: Path, size: int, distributions: int | None = None) -> Scenario:
    """Make a private store with a closure of `size` store paths, and an environment as Flox has it.

    That is a store object with links, which $FLOX_ENV is a link to, and the list of its closure.
    """
    store = PrivateStore.create(base / str(size))
    python = Path(sys.executable).resolve()
    root = load_synthetic_closure(store, size, distributions=distributions, python=python)
    environment = base / f"environment-{size}"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/sglang").symlink_to(f"{root}/bin/sglang")
    # As the Nix package has it: the interpreter, isolated, and the entry point.
    program = environment / "bin/nixenv"
    program.write_text(f"#!{sys.executable} -I\nfrom nixenv.entry import nixenv\n\nnixenv()\n")
    program.chmod(0o755)
    (environment / "requisites.txt").write_text(store.requisites(root))
    flox_env = base / f"env-{size}"
    flox_env.symlink_to(store.run("nix-store", "--add", str(environment)).strip())
    cache = base / f"cache-{size}"
    environ = {
        **store.environ,
        "PATH": f"{flox_env}/bin:{os.environ['PATH']}",
        "HOME": str(base),
        "FLOX_ENV": str(flox_env),
        "FLOX_ENV_CACHE": str(cache),
    }
    return Scenario(size, root, environ, cache)


def activations(scenario: Scenario) -> list[Command]:
    """List what is timed on one closure, whole processes all."""
    activate = (*BASH, "-c", f"source {HOOK}")
    store = scenario.environ
    linked = {**store, "NIXENV_LAYOUT": "linked", "FLOX_ENV_CACHE": f"{scenario.cache}-linked"}
    # PYTHONPATH is beyond what Linux passes on: nixenv refuses it, and the walk breaks.
    too_long = scenario.size > 2000
    return [
        Command(EMPTY, (*BASH, "-c", ":"), store),
        Command(WALKED, (*BASH, str(WALK)), store, may_fail=too_long),
        Command(NIX, ("nix-store", "-qR", scenario.root), store),
        Command("cold, store", activate, store, _forget_texts(store), may_fail=too_long),
        Command("warm, store", activate, store, may_fail=too_long),
        Command("first, linked", activate, linked, _forget_all(linked)),
        Command("cold, linked", activate, linked, _forget_texts(linked)),
        Command("warm, linked", activate, linked),
    ]


def _forget_texts(environ: Mapping[str, str]) -> Callable[[], None]:
    directory = Path(environ["FLOX_ENV_CACHE"], "nixenv")

    def forget() -> None:
        for file in directory.glob("activation-*"):
            file.unlink()

    return forget


def _forget_all(environ: Mapping[str, str]) -> Callable[[], None]:
    return lambda: shutil.rmtree(environ["FLOX_ENV_CACHE"], ignore_errors=True)
