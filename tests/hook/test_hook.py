"""hooks/on-activate.bash, sourced by real bash as Flox sources it."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from tests.conftest import Nixenv
from tests.hook.scene import (
    HOOK,
    PREAMBLE,
    Environ,
    activate,
    activation_file,
    environment_after,
)
from tests.machine import NEEDS_ROOT
from tests.real_shells import SEARCH_PATH, evaluate


def test_the_hook_does_what_export_says(nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """Cold and warm, the environment is that of evaluating `nixenv export`."""
    text = nixenv("export").stdout
    expected = evaluate(
        ("bash", "--norc", "--noprofile", "-c", ". $TEXT_FILE; exec env -0"),
        text,
        environ,
        tmp_path,
    )
    for _ in ("cold", "warm"):
        done = activate(environ)
        assert (done.returncode, done.stderr) == (0, "")
        found = environment_after(done)
        assert {name: found[name] for name in expected} == expected
        assert found.keys() - expected.keys() <= {"HOME", "LANG"}


def test_only_the_first_activation_runs_nixenv(environ: Environ, calls: Callable[[], int]) -> None:
    """The second one reads the activation file, which is the user's alone."""
    cold, warm = environment_after(activate(environ)), environment_after(activate(environ))
    assert calls() == 1
    assert warm == cold
    assert activation_file(environ).stat().st_mode & 0o777 == 0o600


def test_a_warm_activation_starts_no_process(environ: Environ) -> None:
    """All that it does, it does with builtins, in the shell itself."""
    activate(environ)
    trace = "exec 9>&2; BASH_XTRACEFD=9; PS4='+$BASHPID '; set -x"
    written = activate(environ, before=trace, after="set +x").stderr
    # The first character is repeated for each level of sourcing, eval and subshell.
    steps = re.findall(r"^\++(\d+) ", written, re.MULTILINE)
    assert len(steps) > 20
    assert len(set(steps)) == 1


def test_without_a_path_nothing_is_found_and_nothing_changed(environ: Environ) -> None:
    """PATH stays unset, in layout linked as well, where it is searched without the farm."""
    environ["NIXENV_LAYOUT"] = "linked"
    activate(environ)
    script = f"unset PATH; {PREAMBLE}; source {shlex.quote(str(HOOK))}; echo $? ${{PATH-unset}} >&3"
    argv = ["/usr/bin/bash", "--norc", "-c", script]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "1 unset\n"


def test_activating_twice_in_one_shell_changes_nothing(environ: Environ) -> None:
    """Services run the hook again, in the environment that it made."""
    once = environment_after(activate(environ))
    source = f"source {shlex.quote(str(HOOK))}"
    assert environment_after(activate(environ, before=f"{source}; {source}")) == once


def test_nothing_of_the_hook_stays_behind(environ: Environ) -> None:
    """No function and no variable, after success as after failure."""
    for name in ("sglang", "no-such-profile"):
        environ["NIXENV_PROFILE"] = name
        done = activate(environ, after="{ set; declare -F; } >&3")
        lines = [line for line in done.stdout.splitlines() if "BASH_EXECUTION_STRING" not in line]
        assert not [line for line in lines if "__nixenv" in line]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda e: e.update(NIXENV_PROFILE="sglnag"), "no profile 'sglnag'"),
        (lambda e: e.update(NIXENV_LAYOUT="flat"), "no layout 'flat'"),
        # Nor is there a record of the closure by Flox, which would stand in for Nix.
        (lambda e: e.update(NIX_STATE_DIR="/proc/none", FLOX_ENV="/proc/none"), "nix-store"),
        (
            lambda e: e.update(PATH=f"{e['FLOX_ENV']}/bin:{SEARCH_PATH}"),
            "no program nixenv on PATH",
        ),
    ],
    ids=["profile", "layout", "nix", "no nixenv"],
)
def test_a_failure_is_told_and_changes_nothing(
    break_it: Callable[[Environ], None], message: str, environ: Environ
) -> None:
    """The reason on stderr, a status other than 0, the variables as they were, nothing cached."""
    break_it(environ)
    done = activate(environ)
    assert done.returncode != 0
    assert message in done.stderr
    assert "the environment was not set" in done.stderr
    found = environment_after(done)
    assert {name: found[name] for name in environ} == environ
    assert not Path(environ["FLOX_ENV_CACHE"]).exists()


@pytest.mark.parametrize(
    "start",
    [
        ("dash", "-c", '. "$HOOK"; code=$?; env -0; exit $code'),
        ("zsh", "-fc", '. "$HOOK"; code=$?; env -0; exit $code'),
        ("dash", str(HOOK)),
        ("bash", str(HOOK)),
    ],
    ids=["dash", "zsh", "run by dash", "run by bash"],
)
def test_where_it_can_do_nothing_it_says_so(start: tuple[str, ...], environ: Environ) -> None:
    """Another shell than bash, or one that it is not sourced by."""
    done = subprocess.run(
        start, env={**environ, "HOOK": str(HOOK)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("nixenv: on-activate.bash has to be sourced, by bash")
    assert len(done.stderr.splitlines()) == 1
    assert "PYTHONPATH" not in done.stdout
    assert not Path(environ["FLOX_ENV_CACHE"]).exists()


def test_a_warning_of_the_first_activation_is_repeated_in_one_line(
    environ: Environ, calls: Callable[[], int]
) -> None:
    """Nix that cannot work is told of as long as the text rests on what Flox recorded."""
    environ["NIX_STATE_DIR"] = "/proc/none"
    cold, warm = activate(environ), activate(environ)
    assert (cold.returncode, warm.returncode, calls()) == (0, 0, 1)
    assert "warning: " in cold.stderr
    assert environment_after(warm) == environment_after(cold)
    (line,) = warm.stderr.splitlines()
    assert line.startswith("nixenv: warning: ")
    assert "requisites.txt" in line


def changes(
    environ: Environ, tmp_path: Path, sglang: SglangClosure
) -> Iterator[tuple[str, Environ]]:
    """Each thing that a warm activation must notice."""
    profile = tmp_path / "own.toml"
    profile.write_text('binary = "sglang"\n')
    project = tmp_path / "project"
    project.mkdir()
    other = tmp_path / "other-env"
    (other / "bin").mkdir(parents=True)
    (other / "bin/sglang").symlink_to(f"{sglang.unwrapped}/bin/sglang")
    yield "another profile", {**environ, "NIXENV_PROFILE": str(profile)}
    yield "another root", {**environ, "PATH": f"{other}/bin:{environ['PATH']}"}
    yield "another FLOX_ENV", {**environ, "FLOX_ENV": str(other)}
    yield "another cache directory", {**environ, "FLOX_ENV_CACHE": str(tmp_path / "cache2")}
    yield "another store", {**environ, "NIX_STORE": sglang.store.store_dir}
    yield (
        "a store with another spelling",
        {**environ, "NIX_STORE_DIR": f"{sglang.store.store_dir}/"},
    )
    run = project / ".flox/run"
    run.mkdir(parents=True)
    (run / "dev").symlink_to(sglang.flox_env)
    inside = {**environ, "FLOX_ENV": f"{run}/dev", "FLOX_ENV_PROJECT": str(project)}
    yield "another name of the environment", inside
    (project / "nixenv.toml").write_text('binary = "sglang"\n')
    yield "a project profile", inside


def test_what_the_text_depends_on_is_noticed(
    environ: Environ, calls: Callable[[], int], tmp_path: Path, sglang: SglangClosure
) -> None:
    """Each makes the activation cold once."""
    activate(environ)
    for number, (what, changed) in enumerate(changes(environ, tmp_path, sglang), start=2):
        done = activate(changed)
        assert done.returncode == 0, (what, done.stderr)
        assert calls() == number, what


def test_a_changed_profile_file_is_noticed(
    environ: Environ, calls: Callable[[], int], tmp_path: Path
) -> None:
    """By its content: a file that keeps its time stamp has changed all the same."""
    profile = tmp_path / "own.toml"
    environ["NIXENV_PROFILE"] = str(profile)
    for value in ("1", "2"):
        profile.write_text(f'binary = "sglang"\n[defaults]\nMINE = "{value}"\n')
        os.utime(profile, (1_700_000_000, 1_700_000_000))
        assert environment_after(activate(environ))["MINE"] == value
        assert environment_after(activate(environ))["MINE"] == value
    assert calls() == 2


def test_a_retargeted_program_is_noticed(
    environ: Environ, calls: Callable[[], int], tmp_path: Path, sglang: SglangClosure
) -> None:
    """The link in a writable directory now leads to another root."""
    link = tmp_path / "writable/sglang"
    link.parent.mkdir()
    environ["PATH"] = f"{link.parent}:{environ['PATH']}"
    for root in (sglang.root, sglang.unwrapped, sglang.root):
        link.unlink(missing_ok=True)
        link.symlink_to(f"{root}/bin/sglang")
        before = calls()
        assert environment_after(activate(environ))["CUDA_HOME"]
        assert calls() == before + 1
        activate(environ)
    activate(environ)
    assert calls() <= 6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text(file.read_text()[:-2]),
        lambda file: file.write_text(file.read_text()[:200]),
        lambda file: file.write_text(""),
        lambda file: file.write_text(file.read_text().replace("nixenv activation 3", "touch x")),
        lambda file: file.write_text(file.read_text().partition("\0")[0] + "\0end\0"),
        lambda file: (file.rename(file.with_suffix(".x")), file.symlink_to(file.with_suffix(".x"))),
    ],
    ids=["cut", "short", "empty", "format", "few", "link"],
)
def test_a_spoiled_file_counts_as_cold(
    spoil: Callable[[Path], object], environ: Environ, calls: Callable[[], int]
) -> None:
    """It is not evaluated, and replaced by a good one."""
    good = environment_after(activate(environ))
    spoil(activation_file(environ))
    assert environment_after(activate(environ)) == good
    assert calls() == 2
    assert environment_after(activate(environ)) == good
    assert calls() == 2


@NEEDS_ROOT
def test_a_foreign_file_counts_as_cold(environ: Environ, calls: Callable[[], int]) -> None:
    """Another user's file is not evaluated."""
    activate(environ)
    os.chown(activation_file(environ), 12345, -1)
    assert activate(environ).returncode == 0
    assert calls() == 2


def test_a_program_moved_within_its_directory_is_noticed(
    environ: Environ, calls: Callable[[], int], tmp_path: Path, sglang: SglangClosure
) -> None:
    """Another directory in place of the old one, with an old time stamp, leads elsewhere."""
    directory = tmp_path / "writable"
    environ["PATH"] = f"{directory}:{environ['PATH']}"
    for number, root in enumerate((sglang.root, sglang.unwrapped), start=1):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "sglang").symlink_to(f"{root}/bin/sglang")
        os.utime(directory, (1, 1))
        assert activate(environ).returncode == 0
        assert calls() == number


@pytest.mark.parametrize("kind", ["absolute", "relative", "directory"])
def test_a_second_link_outside_the_store_is_noticed(
    kind: str, environ: Environ, calls: Callable[[], int], tmp_path: Path, sglang: SglangClosure
) -> None:
    """Such as a virtual environment's interpreter: each on the way to the store is looked at."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    target = {"absolute": second, "relative": Path("../second"), "directory": second}[kind]
    (first / "sglang").symlink_to(target / "sglang")
    environ["PATH"] = f"{first}:{environ['PATH']}"
    for root in (sglang.root, sglang.unwrapped, sglang.root):
        if kind == "directory":
            second.unlink(missing_ok=True)
            second.symlink_to(f"{root}/bin")
        else:
            second.mkdir(exist_ok=True)
            (second / "sglang").unlink(missing_ok=True)
            (second / "sglang").symlink_to(f"{root}/bin/sglang")
        for _ in ("cold", "warm"):
            found = environment_after(activate(environ))
            assert f"root:{root} " in found["NIXENV_ACTIVATION"]
    before = calls()
    activate(environ)
    assert calls() == before


def test_what_follows_a_nul_in_a_profile_is_noticed(environ: Environ, tmp_path: Path) -> None:
    """bash reads as far as the NUL; it is no TOML, warm as cold."""
    profile = tmp_path / "own.toml"
    profile.write_bytes(b'binary = "sglang"\n')
    environ["NIXENV_PROFILE"] = str(profile)
    assert activate(environ).returncode == 0
    profile.write_bytes(b'binary = "sglang"\n\0[cuda]\n')
    done = activate(environ)
    assert done.returncode != 0
    assert "this is no TOML" in done.stderr


def test_a_relative_cache_directory_of_xdg_is_ignored(environ: Environ, tmp_path: Path) -> None:
    """As everywhere; the hook finds again what nixenv has kept."""
    del environ["FLOX_ENV_CACHE"]
    environ["XDG_CACHE_HOME"] = "relative"
    before = "cd " + shlex.quote(str(tmp_path))
    assert activate(environ, before=before).returncode == 0
    assert not (tmp_path / "relative").exists()
    assert list(Path(environ["HOME"], ".cache/nixenv/nixenv").glob("activation-*"))


def test_a_large_profile_is_served(environ: Environ, tmp_path: Path) -> None:
    """Its text goes nowhere near a command line, where it would be seen and be too long."""
    profile = tmp_path / "large.toml"
    profile.write_text('binary = "sglang"\n[defaults]\nMINE = "1"\n' + "# comment\n" * 20_000)
    environ["NIXENV_PROFILE"] = str(profile)
    for _ in ("cold", "warm"):
        done = activate(environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert environment_after(done)["MINE"] == "1"


def test_an_unwritable_cache_costs_only_the_caching(
    environ: Environ, calls: Callable[[], int], tmp_path: Path
) -> None:
    """The environment is set each time, with a warning that names the directory."""
    (tmp_path / "file").write_text("")
    environ["FLOX_ENV_CACHE"] = str(tmp_path / "file")
    environ["NIXENV_PROFILE"] = str(tmp_path / "plain.toml")
    (tmp_path / "plain.toml").write_text('binary = "sglang"\n')
    for number in (1, 2):
        done = activate(environ)
        assert done.returncode == 0
        assert environment_after(done)["CUDA_HOME"]
        assert f"this activation is not cached: {tmp_path}/file/nixenv" in done.stderr
        assert calls() == number


def test_files_of_programs_that_are_gone_are_swept(environ: Environ) -> None:
    """A cold run removes what collected roots and killed activations left behind."""
    directory = Path(environ["FLOX_ENV_CACHE"], "nixenv")
    directory.mkdir(parents=True)
    stale = directory / "activation-store-old"
    stale.write_text("\0".join(("nixenv activation 3\n", "", "", "", "", "/nix/gone", "", "end")))
    earlier = directory / "activation-store-old.bash"
    earlier.write_text("# nixenv activation 1\n# key\n# program x\n# parent /\n# target /\n")
    abandoned = directory / ".nixenv-abandoned"
    abandoned.write_text("half")
    os.utime(abandoned, (0, 0))
    recent = directory / ".nixenv-being-written"
    recent.write_text("half")
    foreign = directory / "notes.txt"
    foreign.write_text("mine")
    assert activate(environ).returncode == 0
    left = {path.name for path in directory.iterdir()}
    assert {stale.name, earlier.name, abandoned.name} & left == set()
    assert {recent.name, foreign.name} <= left


def test_layout_linked_is_warm_while_its_farms_are_there(
    environ: Environ, calls: Callable[[], int]
) -> None:
    """A farm that somebody removed is built again; the layout is part of the key."""
    environ["NIXENV_LAYOUT"] = "linked"
    cold = environment_after(activate(environ))
    assert environment_after(activate(environ)) == cold
    assert calls() == 1
    assert "PYTHONPATH" not in cold
    for number, name in enumerate(("VIRTUAL_ENV", "CUDA_HOME"), start=2):
        shutil.rmtree(cold[name])
        assert environment_after(activate(environ)) == cold
        assert calls() == number
        assert Path(cold[name]).is_dir()
    del environ["NIXENV_LAYOUT"]
    assert "VIRTUAL_ENV" not in environment_after(activate(environ))


def test_layout_linked_is_served_again_in_one_shell(
    environ: Environ, calls: Callable[[], int]
) -> None:
    """Its farm is on PATH then, with a file of the program's name: that one is not meant."""
    environ["NIXENV_LAYOUT"] = "linked"
    again = f"source {shlex.quote(str(HOOK))}; type -P sglang >&2"
    done = activate(environ, before=again)
    assert done.returncode == 0, done.stderr
    assert "/nixenv/linked/" in done.stderr
    assert calls() == 1
    assert environment_after(done) == environment_after(activate(environ))


def test_lists_that_changed_since_are_joined_anew(
    environ: Environ, calls: Callable[[], int], tmp_path: Path
) -> None:
    """What they became the last time is kept, and counts only where they are as they were."""
    activate(environ)
    changed = {"CPATH": "/a::/b:/a", "LIBRARY_PATH": "/c", "PATH": f"{environ['PATH']}:/d:/d"}
    warm = activate({**environ, **changed})
    assert calls() == 1, warm.stderr
    cold = activate({**environ, **changed, "FLOX_ENV_CACHE": str(tmp_path / "other")})
    for name in changed:
        assert environment_after(warm)[name] == environment_after(cold)[name]
    assert environment_after(warm)["CPATH"].endswith(":/a:/b")


def start(environ: Environ) -> "subprocess.Popen[str]":
    script = f"{PREAMBLE}; source {shlex.quote(str(HOOK))} && env -0 >&3"
    return subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-c", script],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_twenty_at_once_from_cold(environ: Environ) -> None:
    """Each gets the right environment, and one good file is left."""
    expected = environment_after(activate({**environ, "FLOX_ENV_CACHE": environ["HOME"]}))
    shells = [start(environ) for _ in range(20)]
    for shell in shells:
        stdout, stderr = shell.communicate()
        assert (shell.returncode, stderr) == (0, "")
        found = environment_after(subprocess.CompletedProcess([], 0, stdout))
        assert found["PYTHONPATH"] == expected["PYTHONPATH"]
        assert found.keys() == expected.keys()
    assert activation_file(environ).read_text().endswith("\0end\0")


def test_killed_activations_leave_nothing_that_counts(environ: Environ) -> None:
    """Killed at any moment, the next activation is right; at the end there is one good file."""
    expected = environment_after(activate({**environ, "FLOX_ENV_CACHE": environ["HOME"]}))
    directory = Path(environ["FLOX_ENV_CACHE"], "nixenv")
    moments = random.Random(1)
    for _ in range(15):
        shell = start(environ)
        time.sleep(moments.uniform(0, 0.3))
        os.killpg(shell.pid, signal.SIGKILL)
        shell.communicate()
        if moments.random() < 0.5:  # cold again, or warm if that one got so far
            shutil.rmtree(directory, ignore_errors=True)
    after = environment_after(activate(environ))
    assert after["PYTHONPATH"] == expected["PYTHONPATH"]
    files = [file for file in directory.iterdir() if file.name.startswith("activation-")]
    assert len(files) == 1
    assert files[0].read_text().endswith("\0end\0")


HOSTILE = "a 'b' \"c\" $(touch ran) `touch ran` ;touch ran\n*"


@pytest.mark.parametrize("name", ["NIXENV_PROFILE", "FLOX_ENV", "FLOX_ENV_PROJECT", "NIX_STORE"])
def test_hostile_values_run_nothing(name: str, environ: Environ, tmp_path: Path) -> None:
    """Whatever the environment holds, the hook sets the environment or fails with a message."""
    environ[name] = HOSTILE
    if name == "NIX_STORE":
        del environ["NIX_STORE_DIR"]  # which goes before it
    done = activate(environ, before=f"cd {shlex.quote(str(tmp_path))}")
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 0 or "nixenv: error: " in done.stderr


@pytest.mark.parametrize("above", ["", f"{'x' * 200}/"], ids=["short", "long"])
def test_a_hostile_cache_directory_is_used_as_it_is(
    above: str, environ: Environ, tmp_path: Path
) -> None:
    """Cold and warm: directories of that very name, and nothing run."""
    environ["FLOX_ENV_CACHE"] = f"{tmp_path}/{above}{HOSTILE}"
    before = set(tmp_path.iterdir())
    for _ in ("cold", "warm"):
        done = activate(environ, before=f"cd {shlex.quote(str(tmp_path))}")
        assert (done.returncode, done.stderr) == (0, "")
        found = environment_after(done)
        assert found["TRITON_CACHE_DIR"] == f"{environ['FLOX_ENV_CACHE']}/triton"
        assert Path(found["TRITON_CACHE_DIR"]).is_dir()
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {
        f"{above}{HOSTILE}".partition("/")[0]
    }


def test_a_failure_ends_with_a_command_that_can_be_run(environ: Environ, tmp_path: Path) -> None:
    """By its absolute path, in another shell, whatever PATH is: it judges this activation."""
    profile = tmp_path / "it's own.toml"
    profile.write_text('binary = "sglang"\n[python]\nversion = "2.7"\n')
    environ["NIXENV_PROFILE"] = str(profile)
    done = activate(environ)
    assert done.returncode != 0
    *_, last = done.stderr.splitlines()
    command = last.partition("to see more: ")[2]
    bare = {name: value for name, value in environ.items() if name.startswith("NIX_")}
    again = subprocess.run(
        ["/bin/sh", "-c", f"{command} --json"],
        env={**bare, "PATH": SEARCH_PATH, "HOME": environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(again.stdout)["profile"] == str(profile), again.stderr


def test_an_activation_can_be_skipped(environ: Environ, calls: Callable[[], int]) -> None:
    """NIXENV_SKIP=1 leaves everything alone, cold and warm, and says so; 0 and nothing skip not."""
    for _ in ("cold", "warm"):
        done = activate({**environ, "NIXENV_SKIP": "1"})
        assert done.returncode == 0
        assert environment_after(done) == {**environ, "NIXENV_SKIP": "1"}
        assert "skipped" in done.stderr
        activate(environ)
    assert calls() == 1
    for value in ("", "0"):
        assert environment_after(activate({**environ, "NIXENV_SKIP": value}))["CUDA_HOME"]


def test_settings_need_not_be_exported(environ: Environ, calls: Callable[[], int]) -> None:
    """`NIXENV_LAYOUT=linked; source …` in a hook says layout linked."""
    for _ in ("cold", "warm"):
        assert environment_after(activate(environ, before="NIXENV_LAYOUT=linked"))["VIRTUAL_ENV"]
    assert calls() == 1


def test_a_named_root_is_taken(
    environ: Environ, calls: Callable[[], int], sglang: SglangClosure, tmp_path: Path
) -> None:
    """NIXENV_ROOT, which may be a link: where it leads is noticed."""
    link = tmp_path / "root"
    environ |= {"NIXENV_ROOT": str(link), "NIXENV_PROFILE": "python-cuda"}
    for number, root in enumerate((sglang.root, sglang.cpu, sglang.root), start=1):
        link.unlink(missing_ok=True)
        link.symlink_to(root)
        for _ in ("cold", "warm"):
            found = environment_after(activate(environ))
            assert f"root:{root} " in found["NIXENV_ACTIVATION"]
        assert calls() == number


def test_strict_callers_are_served(environ: Environ) -> None:
    """Sourced under `set -euo pipefail`, cold and warm."""
    for _ in ("cold", "warm"):
        done = activate(environ, before="set -euo pipefail")
        assert (done.returncode, done.stderr) == (0, "")
