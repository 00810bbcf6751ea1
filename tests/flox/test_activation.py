"""Activations of the real manifest on the fixture store."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from attrs import evolve

from fixtures.closure import SglangClosure
from nixenv.road.profile import load_profile
from tests.flox.activation import PROJECT, Activation, ActivationFailed, Mode, Scene

PATH_LISTS = ("PATH", "CPATH", "LIBRARY_PATH", "PYTHONPATH")

Attach = Callable[[Activation, Mapping[str, str]], dict[str, str]]
ATTACHES = pytest.mark.parametrize(
    "attach", [Activation.attach_final, Activation.attach_replayed], ids=["1.14", "1.15"]
)
MODES = pytest.mark.parametrize("mode", list(Mode), ids=[mode.value for mode in Mode])


def _empty_entries(environ: Mapping[str, str]) -> list[str]:
    return [name for name in PATH_LISTS if "" in environ.get(name, "-").split(os.pathsep)]


def _repeated_entries(environ: Mapping[str, str]) -> list[str]:
    lists = {name: environ.get(name, "").split(os.pathsep) for name in PATH_LISTS}
    return [name for name, entries in lists.items() if len(entries) != len(set(entries))]


@MODES
def test_activation_sets_the_environment_of_the_program(
    scene: Scene, environ: dict[str, str], sglang: SglangClosure, tmp_path: Path, mode: Mode
) -> None:
    """In either mode python, nvcc, modules, headers and libraries are those of the closure."""
    activation = evolve(scene, mode=mode).activate(environ, tmp_path)
    assert activation.stderr == ""
    after = activation.environ
    nvcc = sglang.objects["cuda12.8-cuda_nvcc-12.8.93"]
    assert after["CUDA_HOME"] == nvcc
    assert f"{nvcc}/include" in after["CPATH"].split(":")
    assert after["PYTHONPATH"].split(":")[0].startswith(sglang.root)
    assert after["PATH"].startswith(sglang.objects[f"python3-{sglang.python_version}"] + "/bin:")
    assert f"{scene.flox_env}/bin" in after["PATH"].split(":")


def test_dev_mode_keeps_what_flox_set(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """The include and lib directories that dev mode puts on the lists come after the closure's."""
    after = scene.activate(environ, tmp_path).environ
    assert after["CPATH"].endswith(f":{scene.flox_env}/include")
    assert after["LIBRARY_PATH"].endswith(f":{scene.flox_env}/lib")


def test_run_mode_adds_nothing_of_flox(
    scene: Scene, environ: dict[str, str], sglang: SglangClosure, tmp_path: Path
) -> None:
    """In run mode every entry of the lists is in the store."""
    after = evolve(scene, mode=Mode.RUN).activate(environ, tmp_path).environ
    entries = after["CPATH"].split(":") + after["LIBRARY_PATH"].split(":")
    assert [entry for entry in entries if not entry.startswith(sglang.store.store_dir)] == []


def test_defaults_come_from_the_profile(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """Where the user gave nothing, the server's settings are the profile's."""
    after = scene.activate(environ, tmp_path).environ
    assert after["SGLANG_MODEL"] == "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
    assert after["SGLANG_HOST"] == "0.0.0.0"
    assert after["SGLANG_PORT"] == "30000"


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_value_of_the_command_line_wins(
    scene: Scene, environ: dict[str, str], tmp_path: Path, *, warm: bool
) -> None:
    """`SGLANG_PORT=8080 flox activate` means 8080, also when the environment is cached."""
    if warm:
        scene.activate(environ, tmp_path)
    after = scene.activate(environ | {"SGLANG_PORT": "8080"}, tmp_path).environ
    assert after["SGLANG_PORT"] == "8080"
    assert after["SGLANG_HOST"] == "0.0.0.0"


@MODES
def test_second_activation_changes_nothing(
    scene: Scene, environ: dict[str, str], tmp_path: Path, mode: Mode
) -> None:
    """Activated again from within, as for a service, the environment stays what it is."""
    scene = evolve(scene, mode=mode)
    once = scene.activate(environ, tmp_path)
    hook_alone = evolve(scene, mode=Mode.RUN)  # dev mode's profile.d scripts would grow the lists
    twice = hook_alone.activate(once.environ, tmp_path)
    path = once.environ["PATH"]
    assert dict(twice.environ) == {**once.environ, "PATH": twice.environ["PATH"]}
    assert sorted(set(twice.environ["PATH"].split(":"))) == sorted(path.split(":"))
    assert _repeated_entries(once.environ) == []
    assert _empty_entries(once.environ) == []


def test_second_activation_is_warm(scene: Scene, environ: dict[str, str], tmp_path: Path) -> None:
    """What the first activation found out, the second takes from the cache: Nix is not asked."""
    first = scene.activate(environ, tmp_path)
    second = scene.activate({**environ, "NIX_STATE_DIR": "/proc/none"}, tmp_path)
    assert second.stderr == ""
    assert second.environ == {**first.environ, "NIX_STATE_DIR": "/proc/none"}


def test_flashinfers_directories_are_one(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """What docs/sglang.md says to remove holds all that flashinfer compiled, and nobody else's."""
    after = scene.activate(environ, tmp_path).environ
    base = Path(after["FLASHINFER_WORKSPACE_BASE"])
    assert Path(after["FLASHINFER_JIT_DIR"]).is_relative_to(base)
    others = set(load_profile("sglang").cache) - {"FLASHINFER_WORKSPACE_BASE", "FLASHINFER_JIT_DIR"}
    assert not [name for name in others if Path(after[name]).is_relative_to(base)]
    assert '`rm -r "$FLASHINFER_WORKSPACE_BASE"`' in (PROJECT / "docs/sglang.md").read_text()


@ATTACHES
@MODES
def test_who_attaches_has_the_environment(
    scene: Scene, environ: dict[str, str], tmp_path: Path, attach: Attach, mode: Mode
) -> None:
    """A second shell, which does not run the hook, gets what the first has."""
    scene = evolve(scene, mode=mode)
    activation = scene.activate(environ, tmp_path, traced=True)
    assert attach(activation, environ) == {
        **scene.starting_environment(environ),
        **activation.environ,
    }


@ATTACHES
@pytest.mark.parametrize(
    "others",
    [{}, {"CPATH": "/opt/include", "LIBRARY_PATH": "/opt/lib", "PYTHONPATH": "/opt/python"}],
    ids=["a shell without lists", "a shell with lists of its own"],
)
def test_attach_leaves_no_empty_entry(
    scene: Scene,
    environ: dict[str, str],
    tmp_path: Path,
    attach: Attach,
    others: dict[str, str],
) -> None:
    """Whatever started the activation and whoever attaches, no list gets an empty entry.

    An empty entry is the current directory. It comes about when growth of a list is replayed on a
    shell that has no such list.
    """
    lists = {"CPATH": "/usr/local/include", "LIBRARY_PATH": "/usr/local/lib", "PYTHONPATH": "/x"}
    run_mode = evolve(scene, mode=Mode.RUN)
    activation = run_mode.activate(environ | lists, tmp_path, traced=True)
    attached = attach(activation, environ | others)
    assert _empty_entries(attached) == []
    assert _repeated_entries(attached) == []
    assert attached["CUDA_HOME"] == activation.environ["CUDA_HOME"]


def test_a_second_shell_keeps_its_own_path(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """Behind what the activation put in front. Until 1.14 it gets the first one's, whole."""
    activation = scene.activate(environ, tmp_path, traced=True)
    second = environ | {"PATH": f"/home/me/bin:{environ['PATH']}"}
    path = activation.attach_replayed(second)["PATH"].split(":")
    first = activation.environ["PATH"].split(":")
    assert "/home/me/bin" in path
    assert [entry for entry in path if entry != "/home/me/bin"] == first
    assert "/home/me/bin" not in activation.attach_final(second)["PATH"].split(":")


SETTINGS = {
    # What the first shell had, what the second has; what it gets until 1.14, and since.
    "of neither": ({}, {}, "30000", "30000"),
    "of the first": ({"SGLANG_PORT": "8080"}, {}, None, "8080"),
    "of the second": ({}, {"SGLANG_PORT": "9"}, "30000", "30000"),
    "of both": ({"SGLANG_PORT": "8080"}, {"SGLANG_PORT": "9"}, "9", "9"),
}


@pytest.mark.parametrize(("first", "second", "final", "replayed"), SETTINGS.values(), ids=SETTINGS)
def test_a_second_shell_gets_the_settings_as_the_documentation_says(
    scene: Scene,
    environ: dict[str, str],
    tmp_path: Path,
    first: dict[str, str],
    second: dict[str, str],
    final: str | None,
    replayed: str,
) -> None:
    """The table of docs/flox.md: a value that the user gave the first is no change to Flox."""
    activation = scene.activate(environ | first, tmp_path, traced=True)
    assert activation.attach_final(environ | second).get("SGLANG_PORT") == final
    assert activation.attach_replayed(environ | second).get("SGLANG_PORT") == replayed


def _break_program(scene: Scene) -> None:
    (scene.flox_env / "bin/sglang").unlink()


def _break_package(scene: Scene) -> None:
    (scene.flox_env / "share/nixenv").unlink()


def _break_nixenv(scene: Scene) -> None:
    (scene.flox_env / "bin/nixenv").unlink()


@pytest.mark.parametrize("break_it", [_break_program, _break_package, _break_nixenv])
def test_failing_hook_fails_the_activation(
    scene: Scene, environ: dict[str, str], tmp_path: Path, break_it: Callable[[Scene], None]
) -> None:
    """No half-set environment: the activation ends, and the last line says what did not happen."""
    break_it(scene)
    with pytest.raises(ActivationFailed) as caught:
        scene.activate(environ, tmp_path)
    assert caught.value.status == 1
    reason, last = caught.value.stderr.rstrip("\n").rsplit("\n", 1)
    assert reason
    assert last == (
        "sglang: not activated: the Python and CUDA environment could not be set, see above."
    )


def test_imageless_pod(
    scene: Scene, environ: dict[str, str], sglang: SglangClosure, tmp_path: Path
) -> None:
    """In a pod there is no Nix, no project, no system: the environment's own programs must do."""
    cache = tmp_path / "pod-cache"
    cache.mkdir()
    pod = evolve(scene, mode=Mode.RUN, project=None, cache=cache)
    bare = {
        "HOME": environ["HOME"],
        "LANG": "C.UTF-8",
        "NIX_STORE_DIR": sglang.store.store_dir,
    }
    activation = pod.activate(bare, tmp_path)
    assert activation.stderr == ""
    after = activation.environ
    assert after["CUDA_HOME"] == sglang.objects["cuda12.8-cuda_nvcc-12.8.93"]
    directories = [after[name] for name in load_profile("sglang").cache]
    assert [found for found in directories if not Path(found).is_dir()] == []


def test_cache_belongs_to_its_user_alone(
    scene: Scene, environ: dict[str, str], tmp_path: Path
) -> None:
    """What an activation writes, no one else can change: Flox sets umask 077, and it is kept."""
    scene.activate(environ, tmp_path)
    files = [path for path in scene.cache.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []
