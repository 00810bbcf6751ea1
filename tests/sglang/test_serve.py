"""sglang-serve as a process: what it prints, what it becomes, how it fails."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nixenv.sglang.serve import PortUnavailable, require_free_port
from tests.machine import NEEDS_IPV6, NEEDS_LOCALHOST
from tests.sglang.programs import (
    DEFAULT_ID,
    TOKENIZER,
    Environment,
    bundle_model,
    program,
)
from tests.sglang.servers import free_port, serving

REMOTE = {"SGLANG_MODEL": "Qwen/Qwen3-8B"}


def test_the_process_becomes_the_server(activated: Environment) -> None:
    """Same pid; it does not see the port variables, and HF_TOKEN passes through."""
    bundle_model(activated, tokenizer_config__json=TOKENIZER)
    with serving(activated, HF_TOKEN="hf_s3cret", SGL_PORT="1", SGLANG_TP_SIZE="2") as server:
        assert server.command[:3] == [sys.executable, "-m", "sglang.launch_server"]
        assert not {"SGLANG_PORT", "SGL_PORT"} & server.environ.keys()
        assert server.environ["HF_TOKEN"] == "hf_s3cret"
        assert server.environ["HF_HUB_OFFLINE"] == "1"
        assert server.environ["SGLANG_MODEL"] == str(activated.shadow)
        assert server.ask_json("/v1/models")["data"][0]["id"] == DEFAULT_ID
        assert server.stop() == 0


def test_the_port_variables_would_have_broken_the_server(activated: Environment) -> None:
    """The counter-proof: with tensor parallelism it then takes its own port away."""
    port = str(free_port())
    command = [sys.executable, "-m", "sglang.launch_server", "--model-path", "a/b"]
    done = subprocess.run(
        [*command, "--port", port, "--tp-size", "2"],
        env=activated.environ({"SGLANG_PORT": port}),
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr


def test_a_signal_ends_the_server(activated: Environment) -> None:
    """Nothing stands between: SIGTERM to the process that was started is enough."""
    with serving(activated, **REMOTE) as server:
        assert server.stop() == 0


def test_a_dry_run_writes_the_command_and_runs_nothing(activated: Environment) -> None:
    """Status 0, one line, nothing on stderr, nothing listening."""
    activated.resolve(**REMOTE)
    outcome = activated.serve("--dry-run", **REMOTE, SGLANG_PYTHON="/nonexistent/python")
    assert outcome.status == 0
    assert outcome.stdout.startswith(
        b"/nonexistent/python -m sglang.launch_server --model-path Qwen/Qwen3-8B --host 0.0.0.0 "
    )
    assert outcome.stdout.count(b"\n") == 1
    assert outcome.stderr == ""


def test_the_command_is_written_before_it_runs(activated: Environment) -> None:
    """--print-cmd: the line that --dry-run writes, then the server."""
    with serving(activated, "--print-cmd", **REMOTE) as server:
        first_line = (activated.home / "log").read_text().splitlines()[0]
        assert shlex.split(first_line) == server.command


def test_a_dry_run_needs_no_resolver_before_it(activated: Environment) -> None:
    """Right after an activation: the same command as with one, and nothing written."""
    bundle_model(activated, tokenizer_config__json=TOKENIZER)
    dry = activated.serve("--dry-run")
    assert dry.status == 0
    assert dry.stderr == ""
    assert not any(activated.cache.iterdir())
    activated.resolve()
    assert activated.serve("--dry-run") == dry


def test_a_dry_run_of_no_model_fails_as_the_resolver_does(activated: Environment) -> None:
    """The same words, and nothing on stdout."""
    wrong = {"SGLANG_MODEL": "no model"}
    dry, resolved = activated.serve("--dry-run", **wrong), activated.resolve(**wrong)
    assert (dry.status, dry.stdout) == (2, b"")
    assert dry.stderr.partition(": ")[2] == resolved.stderr.partition(": ")[2]


def test_both_options_together_run_nothing(activated: Environment) -> None:
    """And write the command once."""
    activated.resolve(**REMOTE)
    both = activated.serve("--dry-run", "--print-cmd", **REMOTE)
    assert both == activated.serve("--dry-run", **REMOTE)


def test_no_secret_is_ever_written(activated: Environment, tmp_path: Path) -> None:
    """Neither the key from its file nor HF_TOKEN; the server gets both."""
    (tmp_path / "key").write_text("s3cret-key\n")
    secrets = {"SGLANG_API_KEY_FILE": f"{tmp_path}/key", "HF_TOKEN": "hf_s3cret"}
    with serving(activated, "--print-cmd", **REMOTE, **secrets) as server:
        assert server.command[-2:] == ["--api-key", "s3cret-key"]
        assert server.ask("/v1/models")[0] == 401
        assert server.ask("/v1/models", Authorization="Bearer s3cret-key")[0] == 200
        assert server.ask("/health")[0] == 200
    log = (activated.home / "log").read_text()
    assert "--api-key '***'" in log
    assert "s3cret" not in log
    dry = activated.serve("--dry-run", **REMOTE, **secrets)
    assert b"--api-key '***'" in dry.stdout
    assert b"s3cret" not in dry.stdout


def test_wrong_values_end_with_2_and_all_names(activated: Environment) -> None:
    """Before anything is written or run."""
    activated.resolve(**REMOTE)
    outcome = activated.serve(
        "--print-cmd", **REMOTE, SGLANG_PORT="http", SGLANG_TP_SIZE="0", SGLANG_EXTRA_ARGS="'"
    )
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.stderr == (
        "sglang-serve: error: these settings cannot be used:\n"
        "    SGLANG_PORT: 'http' is no whole number from 1 to 65535\n"
        "    SGLANG_TP_SIZE: '0' is no whole number of at least 1\n"
        "    SGLANG_EXTRA_ARGS: it cannot be split into words: No closing quotation\n"
        "  next: correct each, or unset it to have its default\n"
    )


@pytest.mark.parametrize("python", ["/nonexistent/python", "no-such-python", "/etc/passwd", "/"])
def test_an_interpreter_that_cannot_be_started_is_an_error(
    python: str, activated: Environment
) -> None:
    """Status 1, and how to find the right one."""
    activated.resolve(**REMOTE)
    outcome = activated.serve(**REMOTE, SGLANG_PYTHON=python)
    assert outcome.status == 1
    assert outcome.stderr.startswith(f"sglang-serve: error: {python} could not be started: ")
    assert "or set SGLANG_PYTHON to that interpreter" in outcome.stderr


def test_the_status_of_the_server_is_the_status(activated: Environment) -> None:
    """Here of an unknown flag: the server's argparse ends with 2."""
    activated.resolve(**REMOTE)
    outcome = activated.serve(**REMOTE, SGLANG_EXTRA_ARGS="--nonsense")
    assert outcome.status == 2
    assert "unrecognized arguments: --nonsense" in outcome.stderr


@pytest.mark.parametrize("name", ["resolve", "serve"])
def test_an_unknown_option_is_a_usage_error(name: str, activated: Environment) -> None:
    """As for every program of nixenv."""
    done = subprocess.run(
        [*program(name), "--nonsense"], env=activated.environ({}), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b": error: no such option" in done.stderr


@pytest.mark.parametrize("name", ["resolve", "serve"])
def test_a_result_that_cannot_be_written_is_an_error(name: str, activated: Environment) -> None:
    """A full disk behind stdout."""
    activated.resolve(**REMOTE)
    options = ["--dry-run"] if name == "serve" else []
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*program(name), *options],
            env=activated.environ(REMOTE),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"error: standard output could not be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


# Preflight ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [
    "127.0.0.1",
    "0.0.0.0",
    pytest.param("::1", marks=NEEDS_IPV6),
    "::",
    pytest.param("localhost", marks=NEEDS_LOCALHOST),
])  # fmt: skip
def test_a_free_port_passes(host: str) -> None:
    """IPv4 and IPv6, one address or all of them; afterwards it is free again."""
    port = free_port()
    require_free_port(host, port)
    require_free_port(host, port)


@pytest.mark.parametrize(("taken", "wanted"), [
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "0.0.0.0"),
    ("0.0.0.0", "127.0.0.1"),
    pytest.param("::1", "::1", marks=NEEDS_IPV6),
    pytest.param("::1", "::", marks=NEEDS_IPV6),
])  # fmt: skip
def test_a_port_that_somebody_listens_on_fails(taken: str, wanted: str) -> None:
    """Also where only one of all addresses is taken."""
    with socket.socket(socket.AF_INET6 if ":" in taken else socket.AF_INET) as listener:
        listener.bind((taken, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortUnavailable, match="Address already in use"):
            require_free_port(wanted, port)


def test_the_other_protocol_is_not_in_the_way() -> None:
    """The server listens on IPv6 alone where it is told `::`, so an IPv4 listener may stay."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        require_free_port("::", listener.getsockname()[1])


def test_a_port_that_was_just_left_is_free() -> None:
    """TIME_WAIT does not stop the server, so it does not stop us."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first waits
            client.recv(1)
    require_free_port("127.0.0.1", port)


def test_a_taken_port_ends_with_1_and_the_next_step(activated: Environment) -> None:
    """Before the command is written; with --dry-run nothing is tried."""
    activated.resolve(**REMOTE)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        where = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(port), "SGLANG_PREFLIGHT": "1"}
        outcome = activated.serve("--print-cmd", **REMOTE, **where)
        dry = activated.serve("--dry-run", **REMOTE, **where)
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert outcome.stderr == (
        f"sglang-serve: error: port {port} of 127.0.0.1 cannot be listened on: "
        "Address already in use\n"
        f"  next: `ss -ltnp 'sport = :{port}'` shows who has it; "
        "stop that, or set SGLANG_PORT or SGLANG_HOST to another\n"
    )
    assert dry.status == 0


def test_a_host_that_is_not_ours_fails(activated: Environment) -> None:
    """An address of another machine (one for documentation, RFC 5737)."""
    activated.resolve(**REMOTE)
    outcome = activated.serve(**REMOTE, SGLANG_HOST="192.0.2.1", SGLANG_PREFLIGHT="1")
    assert outcome.status == 1
    assert "port 30000 of 192.0.2.1 cannot be listened on: Cannot assign" in outcome.stderr


def test_a_host_that_does_not_exist_fails() -> None:
    """A name that never resolves (RFC 6761)."""
    with pytest.raises(PortUnavailable, match=r"port 1 of nowhere\.invalid"):
        require_free_port("nowhere.invalid", 1)


@NEEDS_IPV6
def test_the_server_starts_after_the_preflight(activated: Environment) -> None:
    """The port is let go before the server takes it; over IPv6 here."""
    with serving(activated, host="::1", SGLANG_PREFLIGHT="1", **REMOTE) as server:
        assert server.ask("/health")[0] == 200


# The programs' own costs and borders --------------------------------------------------------------


def test_only_the_programs_know_the_process() -> None:
    """os.environ, click and exit codes stay in the modules of the command lines."""
    package = Path(__file__).parents[2] / "nixenv/sglang"
    users = {
        thing: {file.stem for file in package.glob("*.py") if thing in file.read_text()}
        for thing in ("os.environ", "import click", "sys.exit", "os.exec")
    }
    assert users == {
        "os.environ": {"resolve", "serve"},
        "import click": {"resolve", "serve"},
        "sys.exit": set(),
        "os.exec": {"serve"},
    }


@pytest.mark.parametrize("name", ["resolve", "serve"])
def test_what_is_not_needed_is_not_imported(name: str) -> None:
    """A service waits for these imports at each start."""
    code = f"import nixenv.sglang.{name}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    loaded = set(os.fsdecode(done.stdout).split())
    assert not loaded & {"rich", "cattrs", "asyncio", "urllib.request", "http.client"}
