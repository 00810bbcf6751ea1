"""The profile's one line, in the user's shells."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve

from tests.flox.activation import SHELLS, Scene
from tests.flox.conftest import MODEL
from tests.real_shells import require_tool

EACH_SHELL = pytest.mark.parametrize("shell", list(SHELLS))

HOSTILE = {
    "backquotes": "`touch ran`",
    "substitution": "$(touch ran)",
    "fish substitution": "(touch ran)",
    "ends a double quote": '"; touch ran; "',
    "ends a single quote": "'; touch ran; '",
    "separator": "; touch ran;",
    "variable": "$HOME/${HOME}",
    "newline": "a\ntouch ran\n/b",
    "option": "-n",
    "file test": "-d / -o",
    "expression": "x ) || ( 1",
    "format": "%s%n%d/%q",
    "backslash": "\\n/\\",
    "glob": "*/?[a-z]",
    "braces": "{a,b}/{c}",
    "tilde": "~/~root",
    "history": "!!/!x",
    "nothing": "",
    "spaces": " a  b/ c ",
    "quotes": "'\"/\"'",
    "parent": "../..",
    "only slashes": "///",
    "no UTF-8": "caf\udce9/x",
    "control": "\x1b[31mred/\x07",
}


def _banner(
    scene: Scene, shell: str, directory: Path, environ: Mapping[str, str], **settings: str
) -> str:
    """Give the banner of a shell that has these settings, and see that it is all there is."""
    require_tool(shell)
    defaults = {"SGLANG_MODEL": MODEL, "SGLANG_HOST": "0.0.0.0", "SGLANG_PORT": "30000"}
    environment = scene.starting_environment(environ) | defaults | settings
    done = scene.run_profile(environment, shell, directory)
    assert done.returncode == 0
    assert done.stdout == ""
    return done.stderr


def _with_profile(scene: Scene, profile: Mapping[str, str]) -> Scene:
    return evolve(scene, manifest=evolve(scene.manifest, profile=profile))


@EACH_SHELL
def test_model_of_the_environment_is_bundled(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """The default model is in the environment, and the banner says so: one line, on stderr."""
    activation = scene.activate(environ, tmp_path)
    done = scene.run_profile(activation.environ, shell, tmp_path)
    assert done.stderr == f"sglang: {MODEL} (bundled) on 0.0.0.0:30000\n"
    assert done.stdout == ""


@EACH_SHELL
def test_other_model_is_downloaded(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """A model that the environment does not hold comes from Hugging Face."""
    banner = _banner(scene, shell, tmp_path, environ, SGLANG_MODEL="Qwen/Qwen3-8B")
    assert banner == "sglang: Qwen/Qwen3-8B (will download from HF) on 0.0.0.0:30000\n"


@EACH_SHELL
def test_flat_model_is_bundled(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """A model that its package lays out by name alone is found as well."""
    (scene.flox_env / "share/models").unlink()
    flat = scene.flox_env / "share/models/Tiny"
    flat.mkdir(parents=True)
    (flat / "config.json").write_text("{}")
    banner = _banner(scene, shell, tmp_path, environ, SGLANG_MODEL="acme/Tiny")
    assert banner == "sglang: acme/Tiny (bundled) on 0.0.0.0:30000\n"


@EACH_SHELL
def test_directory_is_named_as_such(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """A model that is a directory is neither bundled nor downloaded."""
    (tmp_path / "config.json").write_text("{}")
    banner = _banner(scene, shell, tmp_path, environ, SGLANG_MODEL=str(tmp_path))
    assert banner == f"sglang: {tmp_path} (local directory) on 0.0.0.0:30000\n"


@EACH_SHELL
def test_address_is_the_users(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """Host and port are those that the server will use."""
    settings = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": "8080"}
    banner = _banner(scene, shell, tmp_path, environ, **settings)
    assert banner == f"sglang: {MODEL} (bundled) on 127.0.0.1:8080\n"


@EACH_SHELL
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_no_value_runs(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str, value: str
) -> None:
    """Whatever the settings hold, the banner shows it and runs none of it."""
    settings = {"SGLANG_MODEL": value, "SGLANG_HOST": value, "SGLANG_PORT": value}
    banner = _banner(scene, shell, tmp_path, environ, **settings)
    assert banner.startswith("sglang: ")
    assert " (will download from HF) on " in banner
    assert not (tmp_path / "ran").exists()


@EACH_SHELL
def test_profile_leaves_nothing_behind(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """The shell has no function and no variable of ours afterwards."""
    listing = {
        "bash": "declare -f; declare -p",
        "zsh": "functions; typeset",
        "fish": "functions --all; set",
        "tcsh": "set",
    }
    profile = {shell: f"{scene.manifest.profile[shell]}\n{listing[shell]}\n"}
    done = _with_profile(scene, profile).run_profile(
        scene.starting_environment(environ), shell, tmp_path
    )
    assert "PATH" in done.stdout.upper()
    for name in ("origin", "bundle", "banner", "slug"):
        assert name not in done.stdout


@pytest.mark.parametrize(
    ("shell", "empty_path"), [("bash", "PATH="), ("zsh", "PATH="), ("fish", "set PATH")]
)
def test_banner_starts_no_process(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str, empty_path: str
) -> None:
    """The banner is made of builtins: it needs nothing on PATH."""
    profile = {shell: f"{empty_path}\n{scene.manifest.profile[shell]}"}
    settings = {"SGLANG_MODEL": MODEL, "SGLANG_HOST": "h", "SGLANG_PORT": "1"}
    environment = scene.starting_environment(environ) | settings
    done = _with_profile(scene, profile).run_profile(environment, shell, tmp_path)
    assert done.stderr == f"sglang: {MODEL} (bundled) on h:1\n"
