"""Environments of several packages, bare interpreters, and what a user has put beside a program."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.launchers import Launchers, build_launchers
from fixtures.private_store import PrivateStore
from nixenv.road.root import BareInterpreter, find_program_root
from tests.real_shells import require_tool
from tests.road.test_launcher_kinds import (
    LAYOUTS,
    PROBE,
    activated,
    ask,
    export,
    surroundings,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launchers]:
    require_tool("nix-store")
    store = PrivateStore.create(tmp_path_factory.mktemp("environments"))
    yield build_launchers(store)
    store.delete()


@pytest.fixture
def minor(built: Launchers) -> str:
    names = os.listdir(f"{built.activated['interpreter']}/lib")
    return next(name for name in names if name.startswith("python"))


def flox(built: Launchers, name: str, tmp_path: Path, **more: str) -> dict[str, str]:
    """The environment of a Flox hook in dev mode."""
    home = built.activated[name]
    return {
        **surroundings(built, tmp_path, f"{home}/bin"),
        "FLOX_ENV": home,
        "FLOX_ENV_CACHE": str(tmp_path / "cache"),
        **more,
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_installed_beside_the_program_stays_visible(
    built: Launchers, minor: str, layout: str, tmp_path: Path
) -> None:
    """Behind the program's own; a foreign PYTHONPATH goes."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "urllib3.py").write_text("__version__ = 'foreign'\n")
    home = built.activated["floxBeside"]
    path = f"{home}/lib/{minor}/site-packages:{stranger}"
    environ = flox(built, "floxBeside", tmp_path, PYTHONPATH=path)
    after = activated("prog", environ, "--layout", layout)
    found = ask(["python3", "-c", PROBE], after, "pandas urllib3 prog_main")["modules"]
    assert found["pandas"] == "2.3.3"
    assert found["urllib3"] == "2.5.0"
    assert str(stranger) not in after.get("PYTHONPATH", "")


def test_a_farm_stays_while_the_modules_beside_the_program_do(
    built: Launchers, tmp_path: Path
) -> None:
    """Another program in the Flox environment is another path of it, and nothing else."""
    farms = {
        activated("prog", flox(built, name, tmp_path), "--layout", "linked")["VIRTUAL_ENV"]
        for name in ("floxBeside", "floxBesideMore")
    }
    assert len(farms) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_bare_interpreter_stands_for_its_flox_environment(
    built: Launchers, layout: str, tmp_path: Path
) -> None:
    """Its closure has no modules, that of the environment has all."""
    after = activated("python3", flox(built, "floxPackages", tmp_path), "--layout", layout)
    found = ask(["python3", "-c", PROBE], after, "pandas urllib3 requests")["modules"]
    assert found == {"pandas": "2.3.3", "urllib3": "2.5.0", "requests": "2.32.5"}


def test_a_bare_interpreter_elsewhere_is_refused(built: Launchers, tmp_path: Path) -> None:
    """With what to name; an explicit root is the user's own choice."""
    home = built.activated["interpreter"]
    environ = surroundings(built, tmp_path, f"{home}/bin")
    done = export("python3", environ)
    assert (done.returncode, done.stdout) == (3, "")
    assert "is a Python interpreter and no more" in done.stderr
    assert "--root" in done.stderr
    flox_env = built.activated["floxMismatch"]
    done = export("python3", {**environ, "FLOX_ENV": flox_env})
    assert done.returncode == 3
    assert f"--root {flox_env}" in done.stderr
    assert export("python3", environ, "--root", home).returncode == 0


def test_a_root_that_leads_to_a_bare_interpreter_is_refused(
    built: Launchers, minor: str, tmp_path: Path
) -> None:
    """Who names an environment's `python3` means the environment, and would get no module of it."""
    home = built.activated["interpreter"]
    link = tmp_path / "python3"
    link.symlink_to(f"{home}/bin/{minor}")
    done = export("python3", surroundings(built, tmp_path, f"{home}/bin"), "--root", str(link))
    assert (done.returncode, done.stdout) == (3, "")
    assert "is a Python interpreter and no more" in done.stderr


def test_an_environment_of_two_versions_is_refused(
    built: Launchers, minor: str, tmp_path: Path
) -> None:
    """Both are named; nothing is written."""
    done = export("python3", flox(built, "floxMismatch", tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert minor.removeprefix("python") in done.stderr
    assert "and no modules for it" in done.stderr


def test_pypy_is_refused(built: Launchers, tmp_path: Path) -> None:
    """By its name, with the reason."""
    home = built.activated["pypy"]
    done = export("runs-on-pypy", surroundings(built, tmp_path, f"{home}/bin"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "PyPy" in done.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_data_files_are_found_below_sys_prefix(
    built: Launchers, layout: str, tmp_path: Path
) -> None:
    """As the environment's own interpreter finds them."""
    home = built.activated["data"]
    after = activated("python3", surroundings(built, tmp_path, f"{home}/bin"), "--layout", layout)
    code = (
        "import json, os, sys; print(json.dumps([os.path.exists(os.path.join(sys.prefix, p)) for p "
        "in ('share/jupyter/kernels/python3/kernel.json', 'etc/jupyter/config.json')]))"
    )
    done = subprocess.run(
        ["python3", "-c", code], env=after, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [True, True]


def test_a_closure_without_python_is_fine_unless_it_is_required(
    built: Launchers, tmp_path: Path
) -> None:
    """The profile says which."""
    home = built.activated["jq"]
    environ = surroundings(built, tmp_path, f"{home}/bin")
    profile = tmp_path / "p.toml"
    for text, code in (("", 0), ("[python]\nrequired = true\n", 1)):
        profile.write_text(f"{text}[defaults]\nMINE = '1'\n")
        for layout in LAYOUTS:
            done = export("jq", environ, "--profile", str(profile), "--layout", layout)
            assert done.returncode == code, done.stderr
    profile.write_text("[defaults]\nMINE = '1'\n")
    found = json.loads(export("jq", environ, "--profile", str(profile)).stdout)["variables"]
    assert set(found) == {"MINE", "NIXENV_ACTIVATION"}
    assert found["MINE"] == "1"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_virtual_environment_on_top_is_kept_where_the_profile_says_so(
    built: Launchers, layout: str, tmp_path: Path
) -> None:
    """A real one, made with the Python of the Flox environment; a line tells which."""
    environ = flox(built, "floxPackages", tmp_path)
    venv = tmp_path / "venv"
    command = ["python3", "-m", "venv", "--without-pip", "--system-site-packages", str(venv)]
    subprocess.run(command, env=environ, check=True)
    environ |= {"VIRTUAL_ENV": str(venv), "PATH": f"{venv}/bin:{environ['PATH']}"}
    after = activated("python3", environ, "--layout", layout)
    assert after["VIRTUAL_ENV"] == str(venv)
    assert after["PATH"].split(":")[0] == f"{venv}/bin"
    assert "PYTHONPATH" not in after
    assert "is kept" in export("python3", environ, "--layout", layout).stderr
    profile = tmp_path / "other.toml"
    profile.write_text("[defaults]\n")
    done = export("python3", environ, "--layout", layout, "--profile", str(profile))
    assert "come before those of" in done.stderr
    variables = json.loads(done.stdout)["variables"]
    assert not variables["PATH"].startswith(f"{venv}/bin")


def test_an_environment_of_modules_without_metadata_is_no_bare_interpreter(
    built: Launchers, minor: str, tmp_path: Path
) -> None:
    """What is in its site-packages counts, not only what says of itself what it is."""
    home = tmp_path / "store" / f"{'a' * 32}-python3-env"
    (home / "bin").mkdir(parents=True)
    site = home / f"lib/{minor}/site-packages"
    site.mkdir(parents=True)
    shutil.copy(f"{built.activated['interpreter']}/bin/{minor}", home / f"bin/{minor}")
    for name in ("README.txt", "pip", "pip-25.0.dist-info"):
        (site / name).touch()
    store_dir = str(tmp_path / "store")
    with pytest.raises(BareInterpreter):
        find_program_root(minor, f"{home}/bin", store_dir)
    (site / "module.py").touch()
    assert find_program_root(minor, f"{home}/bin", store_dir).path == str(home)
