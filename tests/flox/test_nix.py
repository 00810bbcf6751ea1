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

from docs.manual import render_files
from fixtures.closure import SglangClosure
from nixenv import __version__
from tests.flox.activation import PROJECT, link_flox_env
from tests.flox.conftest import PACKAGE

FLAKE = PROJECT / "flake.nix"

Evaluate = Callable[[str], Any]

PYPROJECT: Mapping[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def evaluate(sglang: SglangClosure, stub_nixpkgs: str) -> Evaluate:
    """Evaluate an expression in which `pkgs` stands for nixpkgs."""

    def evaluate(expression: str) -> Any:
        text = f"let pkgs = {stub_nixpkgs}; in {expression}"
        arguments = ("--eval", "--strict", "--json", "--expr", text)
        return json.loads(sglang.store.run("nix-instantiate", *arguments))

    return evaluate


@pytest.mark.parametrize("file", [PACKAGE, FLAKE], ids=lambda file: file.name)
def test_file_parses(sglang: SglangClosure, file: Path) -> None:
    """Nix, as old as 2.8, can read the file."""
    assert sglang.store.run("nix-instantiate", "--parse", str(file))


def test_package_holds_programs_and_their_files_alone(package: Path) -> None:
    """What goes into a Flox environment is bin and share: no interpreter, no module.

    Neither does the package propagate any: that is what would bring them in.
    """
    files = {str(path.relative_to(package)) for path in package.rglob("*") if not path.is_dir()}
    programs = {f"bin/{name}" for name in PYPROJECT["scripts"]}
    assert "bin/nixenv" in programs
    shared = {f"share/{path}" for path in render_files()}
    assert files == programs | shared | {"share/nixenv/on-activate.bash"}


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
            for name in (
                *("LICENSE", "README.md", "docs/manual.py", "hatch_build.py", "hooks", "nixenv"),
                "pyproject.toml",
            )
        ],
    }


@pytest.fixture
def outputs(stub_nixpkgs: str) -> str:
    """An expression for the flake's outputs, as Nix makes them of its one input."""
    return f"""
        (let
          pkgs = {stub_nixpkgs};
          flake = import {FLAKE};
          self = flake.outputs {{
            inherit self;
            nixpkgs = {{
              inherit (pkgs) lib;
              legacyPackages = {{ x86_64-linux = pkgs; aarch64-linux = pkgs; }};
            }};
          }};
        in assert builtins.attrNames flake.inputs == [ "nixpkgs" ]; self)
    """


def test_flake_offers_the_package(evaluate: Evaluate, outputs: str) -> None:
    """For each system, under both names, and in the overlay, it is that of .flox/pkgs."""
    offered = evaluate(
        f"""
        let outputs = {outputs}; in {{
          names = builtins.attrNames outputs;
          packages = builtins.mapAttrs (_: found: found.default.name) outputs.packages;
          same = map (package: package.drvPath == (pkgs.callPackage {PACKAGE} {{ }}).drvPath) [
            outputs.packages.x86_64-linux.default
            outputs.packages.x86_64-linux.nixenv
            (outputs.overlays.default pkgs {{ }}).nixenv
          ];
        }}
        """
    )
    name = f"nixenv-{__version__}"
    assert offered == {
        "names": ["apps", "checks", "devShells", "overlays", "packages"],
        "packages": {"x86_64-linux": name, "aarch64-linux": name},
        "same": [True, True, True],
    }


def test_app_of_the_flake_is_the_program(
    evaluate: Evaluate, outputs: str, sglang: SglangClosure, package: Path
) -> None:
    """`nix run` starts the package's bin/nixenv."""
    app = evaluate(f"({outputs}).apps.x86_64-linux.default")
    assert app == {"type": "app", "program": f"{package}/bin/nixenv"}
    assert Path(app["program"]).is_relative_to(sglang.store.store_dir)


def test_check_of_the_flake_succeeds(sglang: SglangClosure, outputs: str, tmp_path: Path) -> None:
    """It builds: the package gives the environment of the recorded closure."""
    expression = tmp_path / "default.nix"
    expression.write_text(f"{{ }}: ({outputs}).checks.x86_64-linux.default")
    built = json.loads(Path(sglang.store.build(expression, {})).read_text())
    assert built["variables"]["CUDA_HOME"].endswith("cuda12.8-cuda_nvcc-12.8.93")


def test_shell_of_the_flake_has_the_tools_of_make(evaluate: Evaluate, outputs: str) -> None:
    """Each that scripts/tools.sh looks for, under the name that nixpkgs has for it."""
    shell = evaluate(
        f"""
        map (package: package.pname or (if package ? withPackages then "python3" else "nix"))
          ({outputs}).devShells.x86_64-linux.default.packages
        """
    )
    table = (PROJECT / "scripts/tools.sh").read_text().partition("needs='\n")[2].partition("'\n")[0]
    tools = {line.split()[1] for line in table.splitlines()}
    tools = {tool for tool in tools if not tool.startswith("/")}  # a file of Debian's alone
    renamed = {
        "nix-store": "nix",
        "g++": "gcc",
        "make": "gnumake",
        "systemd-analyze": "systemd",
    }
    assert shell == sorted({renamed.get(tool, tool) for tool in tools} | {"git", "python3"})


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
