"""`nixenv run`: a command started as env(1) starts one, in the environment, with nothing added."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from tests.conftest import Nixenv

RUN = (sys.executable, "-I", "-m", "nixenv", "run")

# Tells what a program was started with, as bytes.
WITNESS = f"""\
#!{sys.executable} -ISE
import json, os, sys
arguments = [os.fsencode(a).hex() for a in sys.argv[1:]]
print(json.dumps({{
    "arguments": arguments,
    "environ": {{k.decode("latin-1"): v.decode("latin-1") for k, v in os.environb.items()}},
}}))
"""


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    file = tmp_path / "a b" / "witness"
    file.parent.mkdir()
    file.write_text(WITNESS)
    file.chmod(0o755)
    return file


def run(
    environ: Mapping[str, str], *command: str | bytes, options: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*RUN, *options, "--", *command],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("layout", ["store", "linked"])
def test_the_command_has_the_environment_that_export_sets(
    environ: dict[str, str], nixenv: Nixenv, witness: Path, layout: str
) -> None:
    """Value for value, in both layouts; what export unsets is not there, the rest is as it was."""
    environ |= {"PYTHONHOME": "/nonsense", "MINE": "kept", "NIXENV_LAYOUT": layout}
    told = json.loads(nixenv("export", "--shell", "json", environ=environ).stdout)["variables"]
    seen = json.loads(run(environ, str(witness)).stdout)["environ"]
    for name, value in told.items():
        assert seen.get(name) == value
    assert {name: seen[name] for name in environ if name not in told} == {
        name: value for name, value in environ.items() if name not in told
    }
    assert set(seen) <= {*environ, *told, "LC_CTYPE"}


def test_the_command_runs_on_the_programs_modules(
    environ: dict[str, str], sglang: SglangClosure
) -> None:
    """The closure's interpreter is found on the new PATH, and imports what the program does."""
    code = "import sglang, packaging; print(packaging.__version__)"
    done = run(environ, f"python{sglang.python_minor}", "-c", code)
    assert (done.returncode, done.stdout) == (0, b"25.0\n"), done.stderr


def test_the_cache_directories_are_there(environ: dict[str, str]) -> None:
    """As after the text of export."""
    done = run(environ, "/bin/sh", "-c", 'test -d "$TRITON_CACHE_DIR"')
    assert done.returncode == 0, done.stderr


ARGUMENT = st.binary(min_size=0, max_size=30).map(lambda raw: raw.replace(b"\0", b"-"))


@settings(max_examples=25, deadline=None)
@given(arguments=st.lists(ARGUMENT | st.sampled_from([b"--", b"-h", b"--help", b"$(id)", b"*"])))
def test_arguments_arrive_byte_for_byte(
    sglang: SglangClosure, tmp_path_factory: pytest.TempPathFactory, arguments: list[bytes]
) -> None:
    """Whatever they hold, dashes and bytes that are no text among it."""
    scratch = tmp_path_factory.mktemp("run")
    file = scratch / "witness"
    file.write_text(WITNESS)
    file.chmod(0o755)
    environ = {
        **sglang.store.environ,
        "PATH": f"{sglang.flox_env}/bin:{os.environ['PATH']}",
        "FLOX_ENV_CACHE": str(scratch / "cache"),
        "LANG": "C.UTF-8",
    }
    done = run(environ, str(file), *arguments)
    assert [bytes.fromhex(each) for each in json.loads(done.stdout)["arguments"]] == arguments


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 100, 125, 126, 127, 255])
def test_the_exit_status_is_the_commands(environ: dict[str, str], status: int) -> None:
    """Also where nixenv itself has a meaning for the number."""
    assert run(environ, "/bin/sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGPIPE, signal.SIGINT])
def test_a_signal_is_the_commands(environ: dict[str, str], number: signal.Signals) -> None:
    """The command is the process that was started: who kills the one kills the other."""
    process = subprocess.Popen(
        [*RUN, "--", "/bin/sh", "-c", "echo ready; exec sleep 60"],
        env=environ,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        assert output.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == -number


def test_no_signal_is_ignored(environ: dict[str, str]) -> None:
    """Python ignores SIGPIPE and SIGXFSZ for itself; the command has them as nixenv found them."""
    command = ("grep", "SigIgn", "/proc/self/status")
    found = subprocess.run(command, capture_output=True, check=True)
    assert run(environ, *command).stdout == found.stdout


def test_in_a_session_of_its_own_and_without_streams(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A process manager may close all three streams and start a new session."""
    proof = tmp_path / "proof"
    command = f"exec setsid -w {' '.join(RUN)} -- /bin/sh -c 'echo ran >{proof}' <&- >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, check=False)
    assert (done.returncode, proof.read_text()) == (0, "ran\n")


def test_an_empty_environment_is_enough(sglang: SglangClosure, tmp_path: Path) -> None:
    """With a root, a cache directory and where the store is, under `env -i`."""
    environ = {name: sglang.store.environ[name] for name in sglang.store.environ}
    nix_bin = os.path.dirname(str(subprocess.check_output(["which", "nix-store"], text=True)))
    done = run(
        {**environ, "NIX_BIN": f"{nix_bin}/nix"},
        f"python{sglang.python_minor}",
        "-c",
        "import sglang; print(sglang.__version__)",
        options=("sglang", "--root", sglang.root, "--cache-dir", str(tmp_path)),
    )
    assert (done.returncode, done.stdout) == (0, b"0.5.9\n"), done.stderr


def test_a_command_that_is_not_there(environ: dict[str, str]) -> None:
    """127, and its name."""
    for command in ("no-such-command", "/no/such/command", ""):
        done = run(environ, command)
        assert done.returncode == 127
        assert repr(command) in done.stderr.decode()


def test_a_command_that_cannot_be_executed(environ: dict[str, str], tmp_path: Path) -> None:
    """126: a directory, and a file without the bit."""
    plain = tmp_path / "plain"
    plain.write_text("echo hello\n")
    assert run(environ, str(plain)).returncode == 126
    assert run(environ, str(tmp_path)).returncode == 126


def test_a_script_without_a_first_line(environ: dict[str, str], tmp_path: Path) -> None:
    """Is run by sh, as execvp(3) does it, with its arguments."""
    script = tmp_path / "script"
    script.write_text('echo "$1"\n')
    script.chmod(0o755)
    done = run(environ, str(script), "a  b")
    assert (done.returncode, done.stdout) == (0, b"a  b\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--",), "no command"),
        ((), "no command"),
        (("--nonsense", "--", "true"), "--nonsense"),
        (("--profile", "nonsense", "--", "true"), "nonsense"),
        (("no-such-program", "--", "true"), "no-such-program"),
        (("--root", "/nowhere", "--", "true"), "/nowhere"),
        (("true", "true"), "true"),
    ],
)
def test_a_failure_of_its_own_is_125(nixenv: Nixenv, arguments: tuple[str, ...], told: str) -> None:
    """Nothing is started, stdout stays empty, and the reason is told."""
    done = nixenv("run", *arguments)
    assert (done.returncode, done.stdout) == (125, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_no_shell_reads_the_command(environ: dict[str, str], tmp_path: Path) -> None:
    """Its words are arguments."""
    done = run(environ, "/bin/echo", "$(touch " + str(tmp_path / "ran") + ")", ";", "id")
    assert done.stdout == f"$(touch {tmp_path / 'ran'}) ; id\n".encode()
    assert not (tmp_path / "ran").exists()
