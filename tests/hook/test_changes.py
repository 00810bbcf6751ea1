"""What changes while an activation runs, or after it: nothing outdated is kept or used."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nixenv
from fixtures.closure import SglangClosure
from nixenv.places import FARM_RECORD
from tests.hook.scene import PACKAGE, Environ, activate, activation_file, environment_after
from tests.real_shells import require_tool


@pytest.fixture
def other_env(sglang: SglangClosure, tmp_path: Path) -> Path:
    """An environment with another program of the same name."""
    directory = tmp_path / "other-env"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/sglang").symlink_to(f"{sglang.unwrapped}/bin/sglang")
    return directory


@pytest.fixture
def while_nix_works(environ: Environ, tmp_path: Path) -> Callable[[str], None]:
    """Have a shell script run once, when nix-store is asked for the first time."""
    directory = tmp_path / "nix-bin"
    directory.mkdir()
    real = require_tool("nix-store")

    def install(script: str) -> None:
        program = directory / "nix-store"
        done = shlex.quote(str(tmp_path / "done"))
        program.write_text(
            f'#!/bin/sh\n[ -e {done} ] || {{ : >{done}; {script}; }}\nexec {real} "$@"\n'
        )
        program.chmod(0o755)
        first, _, rest = environ["PATH"].partition(":")
        environ["PATH"] = f"{first}:{directory}:{rest}"

    return install


def test_an_environment_that_is_replaced_meanwhile(
    environ: Environ, other_env: Path, tmp_path: Path, while_nix_works: Callable[[str], None]
) -> None:
    """The old program's text is not filed under the new one's name."""
    link = tmp_path / "env"
    link.symlink_to(environ["FLOX_ENV"])
    environ["PATH"] = environ["PATH"].replace(environ["FLOX_ENV"], str(link))
    environ["FLOX_ENV"] = str(link)
    while_nix_works(f"ln -sfn {other_env} {link}")
    first = environment_after(activate(environ))
    expected = environment_after(
        activate({**environ, "FLOX_ENV_CACHE": str(tmp_path / "elsewhere")})
    )
    for _ in ("cold", "warm"):
        assert environment_after(activate(environ))["PYTHONPATH"] == expected["PYTHONPATH"]
    assert first["PYTHONPATH"] != expected["PYTHONPATH"]


def test_a_program_that_is_replaced_meanwhile(
    environ: Environ, other_env: Path, tmp_path: Path, while_nix_works: Callable[[str], None]
) -> None:
    """In the directory where it was found, without FLOX_ENV being another."""
    directory = tmp_path / "profile/bin"
    directory.mkdir(parents=True)
    (directory / "sglang").symlink_to(Path(environ["FLOX_ENV"], "bin/sglang").resolve())
    environ["PATH"] = f"{directory}:{environ['PATH']}"
    other = (other_env / "bin/sglang").resolve()
    while_nix_works(f"ln -sfn {other} {directory}/sglang")
    first = environment_after(activate(environ))
    second = environment_after(activate(environ))
    assert first["PYTHONPATH"] != second["PYTHONPATH"]
    assert environment_after(activate(environ)) == second


def test_a_profile_that_is_changed_meanwhile_and_changed_back(
    environ: Environ, tmp_path: Path, while_nix_works: Callable[[str], None]
) -> None:
    """Each content has its own text, whenever it was read."""
    texts = [f'binary = "sglang"\n[defaults]\nMINE = "{value}"\n' for value in "12"]
    profile, changed = tmp_path / "own.toml", tmp_path / "changed.toml"
    profile.write_text(texts[0])
    changed.write_text(texts[1])
    environ["NIXENV_PROFILE"] = str(profile)
    while_nix_works(f"cp {changed} {profile}")
    activate(environ)
    for value in "212":
        profile.write_text(texts[int(value) - 1])
        assert environment_after(activate(environ))["MINE"] == value


def test_a_nixenv_of_the_same_version_that_is_another_is_asked(
    environ: Environ, calls: Callable[[], int]
) -> None:
    """A build that mends a fault must not leave the faulty text in use."""
    activate(environ)
    activate(environ)
    assert calls() == 1
    program = Path(environ["PATH"].rpartition(":")[2], "nixenv")
    again = program.with_name("again")
    shutil.copy(program, again)
    again.rename(program)
    activate(environ)
    activate(environ)
    assert calls() == 2


def test_a_nixenv_of_another_version_is_asked(environ: Environ, tmp_path: Path) -> None:
    """An image that is newer has files of the same date, and the cache of the older one."""
    modules, programs = tmp_path / "modules", tmp_path / "programs"
    shutil.copytree(PACKAGE, modules / "nixenv")
    metadata = modules / f"nixenv-{nixenv.__version__}.dist-info"
    metadata.mkdir()
    programs.mkdir()
    program = programs / "nixenv"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(modules)!r})\n"
        "from nixenv.entry import nixenv\nnixenv()\n"
    )
    program.chmod(0o755)
    os.utime(program, (0, 0))
    environ["PATH"] = environ["PATH"].replace(str(tmp_path / "nixenv-bin"), str(programs))
    file = kept_anew(environ)
    assert kept_anew(environ) == file
    metadata.rename(modules / "nixenv-99.dist-info")
    assert kept_anew(environ) != file


def kept_anew(environ: Environ) -> int:
    """Give what tells one activation file from another that took its place."""
    assert activate(environ).returncode == 0
    return activation_file(environ).stat().st_ino


def forge(farm: Path) -> None:
    """Empty a farm's record in a way that leaves it well-formed."""
    record = json.loads((farm / FARM_RECORD).read_text())
    record.update(links={}, files={}, members=[])
    (farm / FARM_RECORD).write_text(json.dumps(record))


def site_packages(farm: Path) -> Path:
    return next(farm.glob("lib/python*/site-packages"))


def forge_virtualenv(farm: Path) -> None:
    forge(farm)
    shutil.rmtree(site_packages(farm))


def forge_toolkit(farm: Path) -> None:
    forge(farm)
    (farm / "bin/nvcc").unlink()


def remove_a_link(directory: Path) -> None:
    next(path for path in sorted(directory.iterdir()) if path.is_symlink()).unlink()


VIRTUALENV, TOOLKIT = "VIRTUAL_ENV", "CUDA_HOME"


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        pytest.param(VIRTUALENV, lambda farm: remove_a_link(site_packages(farm)), id="module"),
        pytest.param(VIRTUALENV, lambda farm: shutil.rmtree(site_packages(farm)), id="modules"),
        pytest.param(VIRTUALENV, lambda farm: (farm / "pyvenv.cfg").unlink(), id="pyvenv.cfg"),
        pytest.param(VIRTUALENV, lambda farm: remove_a_link(farm / "bin"), id="interpreter"),
        pytest.param(VIRTUALENV, lambda farm: (farm / FARM_RECORD).unlink(), id="record"),
        pytest.param(VIRTUALENV, lambda farm: (farm / FARM_RECORD).write_text(""), id="cut record"),
        pytest.param(VIRTUALENV, forge_virtualenv, id="forged record"),
        pytest.param(TOOLKIT, lambda farm: (farm / "bin/nvcc").unlink(), id="nvcc"),
        pytest.param(TOOLKIT, lambda farm: shutil.rmtree(farm / "include"), id="headers"),
        pytest.param(TOOLKIT, lambda farm: remove_a_link(farm / "lib"), id="library"),
        pytest.param(TOOLKIT, forge_toolkit, id="forged toolkit"),
    ],
)
def test_a_farm_that_was_gutted_is_built_again(
    name: str, harm: Callable[[Path], object], environ: Environ
) -> None:
    """By a cleaner of old files, or by an `rm` that was interrupted: not used as it is for ever."""
    environ["NIXENV_LAYOUT"] = "linked"
    farm = Path(environment_after(activate(environ))[name])
    before = listing(farm)
    harm(farm)
    done = activate(environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert listing(farm) == before


def listing(farm: Path) -> dict[str, str | None]:
    """Everything that is in a farm, links with where they lead."""
    return {
        str(path.relative_to(farm)): os.readlink(path) if path.is_symlink() else None
        for path in farm.rglob("*")
    }


def test_a_module_that_python_compiled_costs_one_activation(
    environ: Environ, calls: Callable[[], int]
) -> None:
    """Its __pycache__ changes the directory, not the farm: that stays, and is warm again."""
    environ["NIXENV_LAYOUT"] = "linked"
    found = environment_after(activate(environ))
    inode = os.stat(found["VIRTUAL_ENV"]).st_ino
    (site_packages(Path(found["VIRTUAL_ENV"])) / "__pycache__").mkdir()
    for _ in range(3):
        assert environment_after(activate(environ)) == found
    assert calls() == 2
    assert os.stat(found["VIRTUAL_ENV"]).st_ino == inode


def test_cache_directories_that_a_cleaner_removed_are_made_again(environ: Environ) -> None:
    """The variables name directories that are there, after every activation."""
    found = environment_after(activate(environ))
    Path(found["TRITON_CACHE_DIR"]).rmdir()
    assert environment_after(activate(environ)) == found
    assert Path(found["TRITON_CACHE_DIR"]).stat().st_mode & 0o777 == 0o700
