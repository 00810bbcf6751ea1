"""What programs see by themselves is what nixenv gives, however they are launched.

Each kind of launcher is built by real Nix in several stores: where a rule were missing, the hashes
would decide which of two versions wins, and they are others in each store.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.launchers import Launchers, build_launchers
from fixtures.private_store import PrivateStore
from tests.real_shells import SEARCH_PATH, require_tool

STORES = ("one", "two", "three")
LAYOUTS = ("store", "linked")

# Kind, program, modules; an interpreter has to be asked with -c.
KINDS = (
    ("wrapped", "vllm", "urllib3 requests", False),
    ("twice", "gtool", "urllib3", False),
    ("twiceCompiled", "gtool", "urllib3", False),
    ("environment", "black", "urllib3", False),
    ("environment", "python3", "urllib3 datasets", True),
    ("newEnvironment", "black", "urllib3", False),
    ("newEnvironment", "python3", "urllib3 datasets", True),
    ("shebang", "report", "urllib3", False),
    ("onPath", "serve", "urllib3", True),
    ("plainScript", "webui", "urllib3 webui_core", False),
    ("plainCompiled", "webui", "urllib3 webui_core", False),
    ("compiledEnvironment", "webui", "urllib3 webui_core", False),
    ("linkedOut", "tool", "urllib3 webui_core", False),
    ("virtual", "quotes", "urllib3 webui_core", False),
    ("virtual", "python3", "urllib3 webui_core", True),
    ("flox", "hello", "urllib3", False),
    ("elsewhere", "run-report", "urllib3", False),
    ("polyglot", "poly", "urllib3", False),
    ("otherName", "runs", "webui_core", True),
)

PROBE = """
import importlib, json, os, sys
seen = {}
for name in os.environ["ASK"].split():
    try:
        seen[name] = importlib.import_module(name).__version__
    except Exception as error:
        seen[name] = type(error).__name__
told = {k: v for k, v in os.environ.items() if k.startswith("TOLD_")}
json.dump({"modules": seen, "told": told}, sys.stdout)
"""


@pytest.fixture(scope="session", params=STORES)
def launchers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launchers]:
    """The programs, in one of several stores."""
    require_tool("nix-store")
    store = PrivateStore.create(tmp_path_factory.mktemp(f"launchers-{request.param}"))
    yield build_launchers(store)
    store.delete()


def surroundings(launchers: Launchers, home: Path, *path: str) -> dict[str, str]:
    return launchers.store.environ | {
        "PATH": os.pathsep.join((*path, SEARCH_PATH)),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def ask(argv: list[str], environ: dict[str, str], modules: str) -> dict[str, dict[str, str]]:
    """Ask for modules and variables; a failure shows what was said."""
    done = subprocess.run(
        argv, env={**environ, "ASK": modules}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer


def export(
    program: str, environ: dict[str, str], *options: str
) -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-I", "-m", "nixenv", "export", program, "--shell", "json")
    return subprocess.run(
        [*command, "--profile", "python-cuda", *options],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def activated(program: str, environ: dict[str, str], *options: str) -> dict[str, str]:
    """Give the variables after an activation."""
    done = export(program, environ, *options)
    assert done.returncode == 0, done.stderr
    variables: dict[str, Any] = json.loads(done.stdout)["variables"]
    return {k: v for k, v in {**environ, **variables}.items() if v is not None}


@pytest.mark.parametrize(("kind", "program", "modules", "interactive"), KINDS)
def test_the_environment_is_what_the_program_sees(
    launchers: Launchers,
    kind: str,
    program: str,
    modules: str,
    interactive: bool,
    tmp_path: Path,
) -> None:
    """Its modules, and the variables that its launcher sets; in both layouts."""
    directory = f"{launchers.kinds[kind]}/bin"
    environ = surroundings(launchers, tmp_path, directory)
    arguments = ["-c", PROBE] if interactive else []
    own = ask([f"{directory}/{program}", *arguments], surroundings(launchers, tmp_path), modules)
    assert set(own["modules"]) == set(modules.split())
    assert not {"1.26.20", "ModuleNotFoundError"} & set(own["modules"].values()), own
    for layout in LAYOUTS:
        after = activated(program, environ, "--layout", layout)
        given = ask(["python3", "-c", PROBE], after, modules)
        assert given["modules"] == own["modules"], layout
        assert own["told"].items() <= {**given["told"], "TOLD_LIST": "b"}.items(), layout
        # Typed as a command it says the same, whatever is first on PATH now.
        assert ask([program, *arguments], after, modules) == own, layout
