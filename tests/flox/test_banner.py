"""The line at the prompt: made once by the hook, shown by the profile in the user's shells."""

from pathlib import Path

import pytest
from attrs import evolve

from tests.flox.activation import SHELLS, Activation, Scene
from tests.flox.conftest import MODEL
from tests.flox.test_activation import ATTACHES, Attach
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
    "format": "%s%n%d/%q",
    "backslash": "\\n/\\c",
    "glob": "*/?[a-z]",
    "history": "!!/!x",
    "no UTF-8": "caf\udce9/x",
    "control": "\x1b[31mred/\x07",
}


def shown(scene: Scene, activation: Activation, shell: str, scratch: Path) -> str:
    """What the profile shows in the first shell, and that it is all there is."""
    require_tool(shell)
    done = scene.run_profile(activation.environ, shell, scratch)
    assert done.returncode == 0
    assert done.stdout == ""
    return done.stderr


@EACH_SHELL
def test_the_line_is_shown_in_every_shell(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """The default model is in the environment, and the line says so, on stderr."""
    activation = scene.activate(environ, tmp_path)
    assert shown(scene, activation, shell, tmp_path) == (
        f"sglang: {MODEL} (bundled) on 0.0.0.0:30000\n"
    )


@EACH_SHELL
def test_nothing_is_shown_where_there_is_no_line(
    scene: Scene, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """No empty line, and no complaint."""
    require_tool(shell)
    done = scene.run_profile(environ, shell, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_no_value_runs(scene: Scene, environ: dict[str, str], tmp_path: Path, value: str) -> None:
    """Whatever the settings hold, every shell shows one line of it and runs none of it."""
    settings = {"SGLANG_MODEL": "a/b", "SGLANG_HOST": value, "SGLANG_PORT": value}
    activation = scene.activate(environ | settings, tmp_path)
    for shell in SHELLS:
        line = shown(scene, activation, shell, tmp_path)
        assert line.startswith("sglang: a/b (will download from HF) on ")
        assert line.count("\n") == 1
        assert line[:-1].isprintable()
    assert not (tmp_path / "ran").exists()


def test_a_model_that_cannot_be_served_does_not_fail_the_activation(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """The shell is there to set things right; the line says what is wrong."""
    activation = scene.activate(environ | {"SGLANG_MODEL": "no model"}, tmp_path)
    assert activation.environ["SGLANG_BANNER"].startswith("sglang: cannot serve: SGLANG_MODEL: ")


@pytest.mark.parametrize("hidden", ["sglang-resolve-model"])
def test_without_the_program_there_is_no_line(
    scene: Scene, environ: dict[str, str], tmp_path: Path, hidden: str
) -> None:
    """An older nixenv in the environment: the rest is as it would be."""
    (scene.flox_env / "bin" / hidden).unlink()
    activation = scene.activate(environ | {"SGLANG_BANNER": "of another activation"}, tmp_path)
    assert "SGLANG_BANNER" not in activation.environ
    assert "CUDA_HOME" in activation.environ


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
    require_tool(shell)
    manifest = evolve(
        scene.manifest, profile={**scene.manifest.profile, shell: f"{listing[shell]}\n"}
    )
    done = evolve(scene, manifest=manifest).run_profile(environ, shell, tmp_path)
    assert "PATH" in done.stdout.upper()
    assert "banner" not in done.stdout.lower()


@ATTACHES
@EACH_SHELL
def test_a_second_shell_shows_the_address_of_the_server(
    scene: Scene, environ: dict[str, str], tmp_path: Path, attach: Attach, shell: str
) -> None:
    """Of the first one's settings, whatever the second has of its own."""
    require_tool(shell)
    first = environ | {"SGLANG_PORT": "8080", "SGLANG_MODEL": "Qwen/Qwen3-8B"}
    activation = scene.activate(first, tmp_path, traced=True)
    for second in (environ, environ | {"SGLANG_PORT": "9"}):
        done = scene.run_profile(attach(activation, second), shell, tmp_path)
        assert done.stderr == ("sglang: Qwen/Qwen3-8B (will download from HF) on 0.0.0.0:8080\n")
