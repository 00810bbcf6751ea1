"""Our flags against the real sglang, 0.5.9 and the newest: their own parsers, out of their wheels.

``srt/server_args.py`` is executed as it is; only what it imports from the rest of sglang, and so
torch and a GPU, is replaced (real_sglang.py says how). The argument vectors are what
``sglang-serve --dry-run`` prints, split as a shell would.
"""

import argparse
import ast
import json
import os
import re
import shlex
import socket
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nixenv.sglang.arguments import JSON_FLAGS, SECRET_FLAGS, format_command
from nixenv.sglang.launch import plan_launch
from nixenv.sglang.model import Origin, Resolution
from nixenv.sglang.values import DTYPES
from tests.sglang.programs import Environment, bundle_model
from tests.sglang.real_sglang import (
    load_function,
    load_module,
    make_parser,
    newest_modules,
    parse_with_newest,
    read_module,
)


@pytest.fixture(scope="module")
def server_args() -> ModuleType:
    return load_module("sglang.srt.server_args")


@pytest.fixture(scope="module")
def parser(server_args: ModuleType) -> argparse.ArgumentParser:
    return make_parser(server_args)


@pytest.fixture(scope="module")
def real_auth() -> ModuleType:
    return load_module("sglang.srt.utils.auth")


# All variables but the key, and what becomes of them.
ALL = {
    "SGLANG_MODEL": "Qwen/Qwen3-8B@v1",
    "SGLANG_HOST": "::1",
    "SGLANG_PORT": "8080",
    "SGLANG_SERVED_NAME": "-a 'name'",
    "SGLANG_ATTENTION_BACKEND": "flashinfer",
    "SGLANG_DTYPE": "bfloat16",
    "SGLANG_TP_SIZE": "2",
    "SGLANG_DISABLE_CUDA_GRAPH": "yes",
    "SGLANG_PREFERRED_SAMPLING_PARAMS": '{"temperature": 0.7}',
    "SGLANG_NNODES": "2",
    "SGLANG_NODE_RANK": "1",
    "SGLANG_DIST_INIT_ADDR": "[fd00::1]:5000",
    "SGLANG_EXTRA_ARGS": "--mem-fraction-static 0.8 --tool-call-parser qwen25",
}
ALL_PARSED = {
    "model_path": "Qwen/Qwen3-8B",
    "revision": "v1",
    "host": "::1",
    "port": 8080,
    "served_model_name": "-a 'name'",
    "attention_backend": "flashinfer",
    "dtype": "bfloat16",
    "preferred_sampling_params": {"temperature": 0.7},
    "nnodes": 2,
    "node_rank": 1,
    "dist_init_addr": "[fd00::1]:5000",
    "api_key": "***",
    "mem_fraction_static": 0.8,
    "tool_call_parser": "qwen25",
}


# What only our programs, the hook and the manifest read.
OURS = {
    f"SGLANG_{name}"
    for name in (
        *("MODEL", "HOST", "SERVED_NAME", "ATTENTION_BACKEND", "DTYPE", "TP_SIZE"),
        *("DISABLE_CUDA_GRAPH", "EXTRA_ARGS", "PREFERRED_SAMPLING_PARAMS", "PREFLIGHT", "NNODES"),
        *("NODE_RANK", "DIST_INIT_ADDR", "API_KEY_FILE", "PYTHON", "BUNDLED_FROM"),
        *("MODEL_ENV_FILE", "BANNER"),
    )
}


def dry_run(activated: Environment, **changes: str) -> list[str]:
    activated.resolve(**changes)
    outcome = activated.serve("--dry-run", **changes)
    assert outcome.status == 0, outcome.stderr
    words = shlex.split(os.fsdecode(outcome.stdout))
    assert words[1:3] == ["-m", "sglang.launch_server"]
    return words[3:]


def test_the_default_command_is_accepted(
    activated: Environment, server_args: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``prepare_server_args``, up to where it would ask the machine for its GPUs."""
    monkeypatch.setattr(server_args.ServerArgs, "from_cli_args", lambda parsed: parsed)
    snapshot = bundle_model(activated)
    parsed = server_args.prepare_server_args(dry_run(activated))
    assert parsed.model_path == str(snapshot)
    assert parsed.served_model_name == "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
    assert (parsed.host, parsed.port) == ("0.0.0.0", 30000)


def test_every_variable_reaches_its_argument(
    activated: Environment, parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    """All of the table at once, an odd key included."""
    (tmp_path / "key").write_text("-s3cret\n")
    parsed = parser.parse_args(
        dry_run(
            activated,
            **ALL,
            SGLANG_API_KEY_FILE=str(tmp_path / "key"),
        )
    )
    assert vars(parsed) == {
        **vars(parser.parse_args(["--model-path", "Qwen/Qwen3-8B"])),
        **ALL_PARSED,
        "tensor_parallel_size": 2,
        "disable_cuda_graph": True,
    }


def test_a_key_with_a_dash_reaches_the_server(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    """The masked command above is not the one that runs."""
    (tmp_path / "key").write_text("-s3cret")
    launch = plan_launch(
        Resolution("a/b", "a/b", Origin.HUB),
        {"SGLANG_PYTHON": "python", "SGLANG_API_KEY_FILE": f"{tmp_path}/key"},
    )
    assert parser.parse_args(launch.command[3:]).api_key == "-s3cret"


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        ("--port 8081", "port", 8081),
        ("--served-model-name other", "served_model_name", "other"),
        ("--tp 4", "tensor_parallel_size", 4),
        ("--host=::", "host", "::"),
    ],
)
def test_extra_arguments_win(
    extra: str,
    name: str,
    value: object,
    activated: Environment,
    parser: argparse.ArgumentParser,
) -> None:
    """The parser takes the last of several equal flags, also under an alias or cut short."""
    argv = dry_run(activated, SGLANG_MODEL="a/b", SGLANG_TP_SIZE="2", SGLANG_EXTRA_ARGS=extra)
    assert getattr(parser.parse_args(argv), name) == value


def test_an_unknown_flag_ends_the_real_server_with_2(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    """So the stand-in for it does the same."""
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--model-path", "x", "--nonsense"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err


def test_the_data_types_are_those_of_the_real_parser(parser: argparse.ArgumentParser) -> None:
    """Not one more, not one less."""
    assert tuple(find_action(parser, "--dtype").choices or ()) == DTYPES


Flags = dict[str, str | None]


@pytest.fixture(scope="module")
def oldest(parser: argparse.ArgumentParser) -> Flags:
    """The flags of 0.5.9, with the names of the functions that read their values."""
    return {
        flag: getattr(action.type, "__name__", None)
        for action in parser._actions
        for flag in action.option_strings
    }


@pytest.fixture(scope="module")
def newest() -> Flags:
    """Those of the newest."""
    return parse_with_newest()[0]


@pytest.fixture(scope="module")
def flags(oldest: Flags, newest: Flags) -> Flags:
    """Those of both."""
    return {**newest, **oldest}


# Flags of our own programs, and of SGLang those that one of the two does not have.
OUR_FLAGS = {"--dry-run", "--print-cmd", "--banner"}
RENAMED = {"--cuda-graph-max-bs": "--cuda-graph-max-bs-decode"}
NEW = {"--ssl-keyfile-password", "--watermark-config", *RENAMED.values()}


@pytest.mark.parametrize("document", ["operating-sglang.md", "sglang.md"])
def test_the_flags_of_the_documentation_are_there(
    document: str, oldest: Flags, newest: Flags
) -> None:
    """In both, or under the name that the documentation gives, too."""
    text = (Path(__file__).parents[2] / "docs" / document).read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - OUR_FLAGS
    assert len(named) > 10
    assert named - oldest.keys() <= NEW
    gone = named - newest.keys()
    assert gone <= RENAMED.keys()
    assert {RENAMED[flag] for flag in gone} <= named


def test_every_flag_that_takes_a_secret_is_masked(flags: Flags) -> None:
    """A new one would be seen here; no other flag's value is hidden."""
    words = {"key", "secret", "password", "passwd", "passphrase", "credential", "credentials"}
    secrets = {flag for flag in flags if words & set(flag.strip("-").split("-"))}
    assert secrets <= set(SECRET_FLAGS) <= flags.keys()
    masked = {flag for flag in flags if "s3cret" not in format_command(["x", flag, "s3cret"])}
    assert masked == set(SECRET_FLAGS)


def test_every_flag_that_takes_json_is_known(flags: Flags) -> None:
    """By the function that reads it; two more are read as JSON later."""
    readers = {"loads", "json_list_type"}
    later = {"--json-model-override-args", "--model-loader-extra-config"}
    assert {flag for flag, reader in flags.items() if reader in readers} | later == set(JSON_FLAGS)


def test_json_arrives_as_json(parser: argparse.ArgumentParser, activated: Environment) -> None:
    """Quoted as the message says; without quotes it is refused, and not passed on broken."""
    right = "--json-model-override-args '{\"rope_scaling\":null}'"
    argv = dry_run(activated, SGLANG_MODEL="a/b", SGLANG_EXTRA_ARGS=right)
    assert json.loads(parser.parse_args(argv).json_model_override_args) == {"rope_scaling": None}
    wrong = right.replace("'", "")
    outcome = activated.serve("--dry-run", SGLANG_MODEL="a/b", SGLANG_EXTRA_ARGS=wrong)
    assert outcome.status == 2
    assert "SGLANG_EXTRA_ARGS: what follows --json-model-override-args is not JSON" in (
        outcome.stderr
    )
    assert """--json-model-override-args '{"name": "value"}'""" in outcome.stderr


# The newest ---------------------------------------------------------------------------------------


def test_the_newest_takes_every_variable_as_well(activated: Environment, tmp_path: Path) -> None:
    """All of the table at once, and the command without any variable."""
    (tmp_path / "key").write_text("s3cret\n")
    bundle_model(activated)
    _, (default, full, unknown) = parse_with_newest(
        dry_run(activated),
        dry_run(activated, **ALL, SGLANG_API_KEY_FILE=str(tmp_path / "key")),
        ["--model-path", "x", "--nonsense"],
    )
    assert isinstance(default, dict)
    assert isinstance(full, dict)
    assert (default["host"], default["port"]) == ("0.0.0.0", 30000)
    assert {name: full[name] for name in ALL_PARSED} == ALL_PARSED
    assert full["disable_cuda_graph"] is True
    assert unknown == 2


def test_the_newest_takes_sglang_port_for_itself_too() -> None:
    """So the server still may not see it."""
    source = (newest_modules() / "sglang/srt/utils/network.py").read_text()
    assert "port = envs.SGLANG_PORT.get()" in source


def test_a_served_name_may_not_hold_a_colon_because_sglang_asserts_it() -> None:
    """The rule that values.parse_served_name repeats."""
    assert '":" not in self.served_model_name' in read_module("sglang.srt.server_args")


def test_sglang_takes_sglang_port_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason why the server may not see it: the real function, run."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("SGLANG_PORT", str(port))
    get_open_port: Any = load_function(
        "sglang.srt.utils.common", "get_open_port", os=os, socket=socket
    )
    assert get_open_port() == port


def test_sglang_reads_none_of_our_variables() -> None:
    """What only sglang-serve reads, sglang 0.5.9 has no own meaning for (SGLANG_PORT aside)."""
    known = {
        node.value
        for module in ("sglang.srt.environ", "sglang.srt.utils.common", "sglang.srt.server_args")
        for node in ast.walk(ast.parse(read_module(module)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | set(envs())
    assert not OURS & known
    assert "SGLANG_PORT" in known


def test_nor_does_the_newest() -> None:
    """In none of its modules; of the profile's caches it knows its own, and keeps what is set."""
    words: set[str] = set()
    for module in (newest_modules() / "sglang").rglob("*.py"):
        words.update(re.findall(r"\bSGLANG_[A-Z_]+", module.read_text(encoding="utf-8")))
    assert not OURS & words
    assert {"SGLANG_PORT", "SGLANG_CACHE_DIR", "SGLANG_DG_CACHE_DIR"} <= words


def envs() -> list[str]:
    """Names of the variables that sglang's registry declares."""
    (registry,) = (
        node
        for node in ast.parse(read_module("sglang.srt.environ")).body
        if isinstance(node, ast.ClassDef) and node.name == "Envs"
    )
    return [ast.unparse(node.targets[0]) for node in registry.body if isinstance(node, ast.Assign)]


# The stand-in -------------------------------------------------------------------------------------


def find_action(parser: argparse.ArgumentParser, flag: str) -> argparse.Action:
    (action,) = (action for action in parser._actions if flag in action.option_strings)
    return action


def test_the_stand_in_has_flags_of_the_real_server_alone(
    parser: argparse.ArgumentParser, fixture_server: ModuleType
) -> None:
    """Same names, same kinds of values; choices may be fewer."""
    stand_in: argparse.ArgumentParser = fixture_server.make_parser()
    for action in stand_in._actions:
        real = find_action(parser, action.option_strings[0])
        assert list(action.option_strings) == list(real.option_strings)
        assert (type(action), action.dest, action.type, action.nargs, action.required) == (
            (type(real), real.dest, real.type, real.nargs, real.required)
        )
        assert set(action.choices or ()) <= set(real.choices or ())


def test_the_stand_in_has_every_flag_that_we_set(
    fixture_server: ModuleType, tmp_path: Path
) -> None:
    """With the same meaning."""
    (tmp_path / "key").write_text("k")
    launch = plan_launch(
        Resolution("a/b", "a/b", Origin.HUB),
        {
            "SGLANG_PYTHON": "python",
            "SGLANG_ATTENTION_BACKEND": "flashinfer",
            "SGLANG_DTYPE": "auto",
            "SGLANG_TP_SIZE": "2",
            "SGLANG_DISABLE_CUDA_GRAPH": "1",
            "SGLANG_NNODES": "2",
            "SGLANG_NODE_RANK": "1",
            "SGLANG_DIST_INIT_ADDR": "h:1",
            "SGLANG_API_KEY_FILE": f"{tmp_path}/key",
        },
    )
    parsed = fixture_server.make_parser().parse_args(launch.command[3:])
    assert (parsed.tensor_parallel_size, parsed.node_rank, parsed.api_key) == (2, 1, "k")


AUTHORIZATIONS = [
    None,
    "",
    "Bearer k",
    "bearer k",
    "Bearer x",
    "Basic k",
    "Bearer  k",
    "k",
    "Bearer",
]


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
@pytest.mark.parametrize("path", ["/health", "/health_generate", "/metrics", "/v1/models", "/"])
@pytest.mark.parametrize("api_key", [None, "k"])
def test_the_stand_in_wants_the_key_where_the_real_server_does(
    path: str,
    authorization: str | None,
    api_key: str | None,
    fixture_server: ModuleType,
    real_auth: ModuleType,
) -> None:
    """Against the real function that decides it (srt/utils/auth.py, which imports little)."""
    decision = real_auth.decide_request_auth(
        method="GET",
        path=path,
        authorization_header=authorization,
        api_key=api_key,
        admin_api_key=None,
        auth_level=real_auth.AuthLevel.NORMAL,
    )
    allowed = fixture_server.is_allowed(path, authorization or "", api_key)
    assert allowed == decision.allowed
