"""The Nix files, under the real nix-instantiate and nix-build, on stubs in place of nixpkgs."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from fixtures.closure import SglangClosure
from nixenv import __version__
from tests.flox.activation import PROJECT, link_flox_env
from tests.flox.conftest import PACKAGE

FLAKE = PROJECT / "flake.nix"

Evaluate = Callable[[str], object]

PYPROJECT: Mapping[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def evaluate(sglang: SglangClosure, stub_nixpkgs: str) -> Evaluate:
    """Evaluate an expression in which `pkgs` stands for nixpkgs."""

    def evaluate(expression: str) -> object:
        text = f"let pkgs = {stub_nixpkgs}; in {expression}"
        arguments = ("--eval", "--strict", "--json", "--expr", text)
        return json.loads(sglang.store.run("nix-instantiate", *arguments))

    return evaluate


@pytest.mark.parametrize("file", [PACKAGE, FLAKE], ids=lambda file: file.name)
def test_file_parses(sglang: SglangClosure, file: Path) -> None:
    """Nix, as old as 2.8, can read the file."""
    assert sglang.store.run("nix-instantiate", "--parse", str(file))


def test_package_holds_programs_and_hook_alone(package: Path) -> None:
    """What goes into a Flox environment is bin and share/nixenv: no interpreter, no module.

    Neither does the package propagate any: that is what would bring them in.
    """
    files = {str(path.relative_to(package)) for path in package.rglob("*") if not path.is_dir()}
    programs = {f"bin/{name}" for name in PYPROJECT["scripts"]}
    assert "bin/nixenv" in programs
    assert files == programs | {"share/nixenv/on-activate.bash"}


def test_package_propagates_nothing(evaluate: Evaluate) -> None:
    """The derivation has no inputs of stdenv's, of which the propagated ones are the trap."""
    names = evaluate(f"(pkgs.callPackage {PACKAGE} {{ }}).attributeNames")
    assert names == ["meta", "passthru", "pname", "version"]


@pytest.mark.parametrize("name", PYPROJECT["scripts"])
def test_program_is_isolated(package: Path, name: str) -> None:
    """Each program is run by the package's own interpreter, which ignores PYTHONPATH: -I."""
    text = (package / "bin" / name).read_text()
    assert re.match(r"#!/\S+-python3-env/bin/python3 -I\n", text)
    module, _, main = PYPROJECT["scripts"][name].partition(":")
    assert f"\nfrom {module} import {main}\n" in text
    assert text.endswith(f"\nsys.exit({main}())\n")


def test_program_runs_beside_any_python(package: Path, tmp_path: Path) -> None:
    """nixenv runs in the environment that it sets up, whatever modules are on PYTHONPATH there."""
    for module in ("click", "attr", "nixenv"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong module')\n")
    done = subprocess.run(
        [package / "bin/nixenv", "--version"],
        env={"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nonexistent", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == f"nixenv {__version__}\n"


def test_hook_is_the_projects(package: Path) -> None:
    """The hook in the package is hooks/on-activate.bash, to the byte."""
    installed = package / "share/nixenv/on-activate.bash"
    assert installed.read_bytes() == (PROJECT / "hooks/on-activate.bash").read_bytes()


def test_module_is_what_pyproject_says(package: Path) -> None:
    """Name and requirements are pyproject.toml's; the source is what the build needs."""
    shebang = (package / "bin/nixenv").read_text().partition(" ")[0]
    modules = json.loads((Path(shebang.removeprefix("#!")).parents[1] / "modules.json").read_text())
    (module,) = modules
    assert (module["pname"], module["version"]) == ("nixenv", __version__)
    requirements = [Requirement(text).name for text in PYPROJECT["dependencies"]]
    assert module["dependencies"] == requirements
    assert module["src"] == {
        "root": str(PROJECT),
        "files": [
            str(PROJECT / name)
            for name in ("LICENSE", "README.md", "hooks", "nixenv", "pyproject.toml")
        ],
    }


def test_flake_offers_the_package(evaluate: Evaluate) -> None:
    """For each system the flake's default package is that of .flox/pkgs, from its one input."""
    name = f"nixenv-{__version__}"
    offered = evaluate(
        f"""
        let
          flake = import {FLAKE};
          outputs = flake.outputs {{
            self = throw "not needed";
            nixpkgs = {{
              inherit (pkgs) lib;
              legacyPackages = {{ x86_64-linux = pkgs; aarch64-linux = pkgs; }};
            }};
          }};
        in {{
          inputs = builtins.attrNames flake.inputs;
          packages = builtins.mapAttrs (_: found: found.default.name) outputs.packages;
          same = outputs.packages.x86_64-linux.default.drvPath
            == (pkgs.callPackage {PACKAGE} {{ }}).drvPath;
        }}
        """
    )
    assert offered == {
        "inputs": ["nixpkgs"],
        "packages": {"x86_64-linux": name, "aarch64-linux": name},
        "same": True,
    }


def test_a_snapshot_of_a_program_comes_with_its_environment(
    sglang: SglangClosure, stub_nixpkgs: str, package: Path, tmp_path: Path
) -> None:
    """It holds the closure in Nix's order, and is what nixenv takes where there is no Nix."""
    expression = tmp_path / "default.nix"
    program = f'{{ name = "sglang-0.5.9"; outPath = builtins.storePath {sglang.root}; }}'
    expression.write_text(
        f"{{ }}: ({stub_nixpkgs}.callPackage {PACKAGE} {{ }}).snapshotOf {program}"
    )
    shipped = Path(sglang.store.build(expression, {}))
    closure = sglang.store.closure(sglang.root)
    (file,) = (shipped / "share/nixenv").iterdir()
    assert json.loads(file.read_text())["paths"] == [*closure]
    assert {*sglang.store.closure(str(shipped))} == {*closure, str(shipped)}

    flox_env = link_flox_env(tmp_path / "flox-env", Path(sglang.flox_env), package)
    (flox_env / "share/nixenv").unlink()
    (flox_env / "share/nixenv").mkdir()
    (flox_env / "share/nixenv" / file.name).symlink_to(file)
    told = []
    for path in (f"{flox_env}/bin:{os.environ['PATH']}", f"{flox_env}/bin"):
        done = subprocess.run(
            [flox_env / "bin/nixenv", "export", "--shell", "json"],
            env={**sglang.store.environ, "PATH": path, "FLOX_ENV": str(flox_env)}
            | {"HOME": str(tmp_path), "FLOX_ENV_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        told.append({**json.loads(done.stdout)["variables"], "PATH": None})
    assert told[0] == told[1]
