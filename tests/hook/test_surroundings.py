"""The Python that surrounds an activation reaches nothing of nixenv's."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hook.scene import Environ, activate, environment_after

# Modules of the standard library and of others that nixenv, or an interpreter, imports.
IMPORTED = ("re", "typing", "json", "click", "attr", "sitecustomize", "usercustomize")


@pytest.fixture
def installed(environ: Environ) -> Environ:
    """With nixenv's console script as pip installs it: nothing keeps Python's variables off it."""
    directory = Path(environ["PATH"].rpartition(":")[2])
    (directory / "nixenv").unlink()
    (directory / "nixenv").symlink_to(Path(sys.executable).parent / "nixenv")
    return environ


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A directory of modules that leave a mark when they are imported."""
    directory = tmp_path / "trap"
    directory.mkdir()
    for name in IMPORTED:
        (directory / f"{name}.py").write_text(
            f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        )
    return directory


def test_pythonhome_does_not_kill_the_activation(installed: Environ) -> None:
    """It kills every interpreter that sees it, and to unset it is what the hook is there for."""
    found = environment_after(activate({**installed, "PYTHONHOME": "/nonsense"}))
    assert found["CUDA_HOME"]
    assert "PYTHONHOME" not in found


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONPATH": ":"},
        {"PYTHONPATH": "."},
        {"PYTHONPATH": "trap"},
        {"NIX_PYTHONPATH": "trap"},
        {"PYTHONUSERBASE": "user"},
        {"PYTHONSTARTUP": "trap/re.py", "PYTHONINSPECT": "1"},
        {},
    ],
    ids=lambda variables: "-".join(variables) or "directory",
)
def test_no_module_of_others_runs_in_the_hook(
    variables: Environ, installed: Environ, trap: Path, tmp_path: Path
) -> None:
    """Neither PYTHONPATH's, nor the current directory's, nor the user's own."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    site = tmp_path / f"user/lib/python{version}/site-packages"
    site.parent.mkdir(parents=True)
    site.symlink_to(trap)
    absolute = {
        name: str(tmp_path / value) if value in ("trap", "user") else value
        for name, value in variables.items()
    }
    done = activate({**installed, **absolute}, before=f"cd {shlex.quote(str(trap))}")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "ran").exists()


def test_a_user_site_of_a_python_without_virtual_environment_stays_out(
    environ: Environ, trap: Path, tmp_path: Path
) -> None:
    """It would be searched before the interpreter's own: ~/.local/lib/pythonX.Y/site-packages."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    site = Path(environ["HOME"], f".local/lib/python{version}/site-packages")
    site.parent.mkdir(parents=True)
    site.symlink_to(trap)
    python = getattr(sys, "_base_executable", sys.executable)
    paths = [path for path in sys.path if path.endswith("site-packages")]
    checkout = str(Path(__file__).parents[2])
    script = Path(environ["PATH"].rpartition(":")[2], "nixenv")
    script.write_text(
        f"#!{python}\nimport sys\nsys.path += {[checkout, *paths]!r}\n"
        "from nixenv.entry import nixenv\nnixenv()\n"
    )
    subprocess.run([script, "--version"], env={**environ, "PYTHONNOUSERSITE": ""}, check=False)
    assert (tmp_path / "ran").exists()  # it would have been seen
    (tmp_path / "ran").unlink()
    done = activate(environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "ran").exists()


def test_what_the_variables_were_still_counts(installed: Environ, tmp_path: Path) -> None:
    """A value that the user gave PYTHONHASHSEED goes before the profile's; the rest stays."""
    profile = tmp_path / "own.toml"
    profile.write_text('binary = "sglang"\n[defaults]\nPYTHONHASHSEED = "1"\nPYTHONUTF8 = "1"\n')
    installed["NIXENV_PROFILE"] = str(profile)
    given = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "x"}
    for _ in ("cold", "warm"):
        found = environment_after(activate({**installed, **given}))
        assert found["PYTHONHASHSEED"] == "0"
        assert found["PYTHONUNBUFFERED"] == "x"
        assert found["PYTHONUTF8"] == "1"
        assert "PYTHONSAFEPATH" not in found
        assert not [name for name in found if name.lower().startswith("__nixenv")]


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX"])
def test_the_command_starts_itself_again_out_of_reach(
    name: str, environ: Environ, tmp_path: Path
) -> None:
    """Of what an empty entry of PYTHONPATH leads to, it imports nothing; its child sees all."""
    trap = tmp_path / "trap"
    trap.mkdir()
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    for module in {*sys.stdlib_module_names, *IMPORTED} - {*loaded.stdout.split()}:
        if module not in ("sitecustomize", "usercustomize"):  # the interpreter's own doing
            (trap / f"{module}.py").write_text(
                f"open({str(tmp_path / 'ran')!r}, 'a').write({module!r})"
            )
    nixenv = tmp_path / "nixenv"
    nixenv.write_text(f"#!{sys.executable}\nfrom nixenv.entry import nixenv\nnixenv()\n")
    nixenv.chmod(0o755)
    value = ":" if name == "PYTHONPATH" else str(tmp_path)
    done = subprocess.run(
        [nixenv, "run", "--profile", "sglang", "--", "/usr/bin/env"],
        env={**environ, name: value},
        cwd=trap,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "ran").exists()
    if name != "PYTHONPATH":
        assert f"{name}={value}\n" in done.stdout
