"""Chroot stores: Nix keeps elsewhere what programs know as /nix/store."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import in_namespace
from tests.real_shells import SEARCH_PATH, require_tool

Environ = dict[str, str]

_FLAKES = ("--extra-experimental-features", "nix-command")


@pytest.fixture(params=["NIX_REMOTE=/path", "store =", "local?root="])
def chroot(request: pytest.FixtureRequest, tmp_path: Path) -> Environ:
    """The environment of somebody with such a store, in each of the ways to say so."""
    home = tmp_path.resolve() / "chroot"
    configuration = tmp_path / "nix.conf"
    lines = ["sandbox = false", "build-users-group =", "substitute = false"]
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NIX_")},
        "PATH": SEARCH_PATH,
        "HOME": str(tmp_path),
        "NIX_CONF_DIR": str(tmp_path),
        "NIX_USER_CONF_FILES": str(configuration),
    }
    if request.param == "store =":
        lines.append(f"store = {home}")
    else:
        environ["NIX_REMOTE"] = request.param.replace("/path", "").replace("NIX_REMOTE=", "") + str(
            home
        )
    configuration.write_text("".join(f"{line}\n" for line in lines))
    return environ


@pytest.fixture
def program(chroot: Environ, tmp_path: Path) -> str:
    """A program in it, by the path that Nix knows it by."""
    file = tmp_path / "prog-1/bin/prog"
    file.parent.mkdir(parents=True)
    file.write_text("#!/bin/sh\necho hello\n")
    file.chmod(0o755)
    argv = [require_tool("nix-store"), "--add", str(file.parents[1])]
    done = subprocess.run(argv, env=chroot, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def nixenv(
    environ: Environ, *arguments: str, within: str = ""
) -> "subprocess.CompletedProcess[str]":
    store = ("shell", "--store", f"{Path(environ['HOME']).resolve()}/chroot", within, "-c")
    enter = (require_tool("nix"), *_FLAKES, *store) if within else ()
    return subprocess.run(
        [*enter, sys.executable, "-I", "-m", "nixenv", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_outside_it_is_refused_with_the_way_in(chroot: Environ, program: str) -> None:
    """By its place, and by the path that Nix knows: neither can be run there."""
    home = Path(chroot["HOME"]).resolve() / "chroot"
    on_path = {**chroot, "PATH": f"{home}{program}/bin:{SEARCH_PATH}"}
    for done in (
        nixenv(on_path, "export", "prog"),
        nixenv(chroot, "export", "--root", f"{home}{program}"),
    ):
        assert (done.returncode, done.stdout) == (3, "")
        assert f"is in a chroot store, {home}: its programs name {program}" in done.stderr
        assert f"shell --store {home} {program}`" in done.stderr
    done = nixenv(chroot, "export", "--root", program)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{program} does not exist" in done.stderr
    assert "chroot store" in done.stderr


def test_within_it_is_served(chroot: Environ, program: str) -> None:
    """As the remedy has it: there, what programs name is in its place."""
    in_namespace()  # which is what Nix needs for it
    done = nixenv(chroot, "snapshot", "prog", "--no-machine", within=program)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["paths"] == [program]
