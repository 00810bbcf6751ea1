"""From variables to the server's command and environment."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.record import ActivationRecord, format_record
from nixenv.road.variables import RECORD_VARIABLE
from nixenv.sglang.arguments import format_command
from nixenv.sglang.launch import (
    Launch,
    SettingsInvalid,
    plan_launch,
    server_environment,
)
from nixenv.sglang.model import Origin, Resolution
from tests.sglang.programs import DEFAULT_ID

REMOTE = Resolution("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", Origin.HUB)
BUNDLED = Resolution(DEFAULT_ID, "/models/phi", Origin.BUNDLED)
NODES = {
    "SGLANG_NNODES": "2",
    "SGLANG_NODE_RANK": "1",
    "SGLANG_DIST_INIT_ADDR": "sglang-0.sglang:5000",
}


def launch(resolution: Resolution = REMOTE, /, **environ: str) -> Launch:
    return plan_launch(resolution, {"SGLANG_PYTHON": "python3.12", **environ})


def arguments(resolution: Resolution = REMOTE, /, **environ: str) -> dict[str, str]:
    """What follows the module's name, as pairs of flag and value."""
    words = launch(resolution, **environ).command[3:]
    assert len(words) % 2 == 0
    return dict(zip(words[::2], words[1::2], strict=True))


def problems(**environ: str) -> dict[str, str]:
    with pytest.raises(SettingsInvalid) as caught:
        launch(**environ)
    return {problem.variable: problem.detail for problem in caught.value.problems}


def test_the_command_without_any_variable() -> None:
    """The defaults, in the order of the reference."""
    assert launch().command == (
        *("python3.12", "-m", "sglang.launch_server"),
        *("--model-path", "Qwen/Qwen3-8B"),
        *("--host", "0.0.0.0"),
        *("--port", "30000"),
        *("--served-model-name", "default"),
        "--preferred-sampling-params",
        '{"max_new_tokens": 512, "frequency_penalty": 0.5, "presence_penalty": 0.3}',
    )


def test_each_variable_becomes_its_flag() -> None:
    """The table of the reference."""
    assert arguments(
        SGLANG_HOST="::1",
        SGLANG_PORT="8080",
        SGLANG_SERVED_NAME="phi",
        SGLANG_PREFERRED_SAMPLING_PARAMS='{"temperature": 0}',
        SGLANG_ATTENTION_BACKEND="flashinfer",
        SGLANG_DTYPE="bfloat16",
        SGLANG_TP_SIZE="2",
        **NODES,
    ) == {
        "--model-path": "Qwen/Qwen3-8B",
        "--host": "::1",
        "--port": "8080",
        "--served-model-name": "phi",
        "--preferred-sampling-params": '{"temperature": 0}',
        "--attention-backend": "flashinfer",
        "--dtype": "bfloat16",
        "--tp-size": "2",
        "--nnodes": "2",
        "--node-rank": "1",
        "--dist-init-addr": "sglang-0.sglang:5000",
    }


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("true", "false"), ("Yes", "No"), ("ON", "OFF"), (" y ", "n")]
)
@pytest.mark.parametrize("name", ["SGLANG_DISABLE_CUDA_GRAPH", "SGLANG_PREFLIGHT"])
def test_a_switch_takes_what_people_write(name: str, yes: str, no: str) -> None:
    """Off is as unset is."""
    on, off, unset = launch(**{name: yes}), launch(**{name: no}), launch()
    assert on != unset
    assert off == unset
    assert ("--disable-cuda-graph" in on.command) == (name == "SGLANG_DISABLE_CUDA_GRAPH")


def test_a_bundled_model_is_served_under_its_id() -> None:
    """Unless the user names it; a left-over SGLANG_BUNDLED_FROM says nothing."""
    assert arguments(BUNDLED)["--served-model-name"] == DEFAULT_ID
    assert arguments(BUNDLED, SGLANG_SERVED_NAME="x")["--served-model-name"] == "x"
    assert arguments(SGLANG_BUNDLED_FROM="old/model")["--served-model-name"] == "default"


def test_empty_variables_count_as_unset() -> None:
    """All of them."""
    names = (
        "HOST PORT SERVED_NAME ATTENTION_BACKEND DTYPE TP_SIZE DISABLE_CUDA_GRAPH PREFLIGHT "
        "PREFERRED_SAMPLING_PARAMS EXTRA_ARGS NNODES NODE_RANK DIST_INIT_ADDR API_KEY_FILE"
    )
    assert launch(**{f"SGLANG_{name}": "" for name in names.split()}) == launch()


def test_extra_arguments_are_split_as_a_shell_does_and_come_last() -> None:
    """Quotes are honoured; what comes last wins in argparse."""
    command = launch(
        SGLANG_EXTRA_ARGS="--port 1 --chat-template '/a b/c' --x=\"it's\" \\$HOME\n--last"
    ).command
    assert command[-7:] == (
        *("--port", "1", "--chat-template", "/a b/c"),
        *("--x=it's", "$HOME", "--last"),
    )


GOOD = [
    ("SGLANG_HOST", "localhost"),
    ("SGLANG_HOST", "sglang.default.svc.cluster.local."),
    ("SGLANG_HOST", "127.0.0.1"),
    ("SGLANG_HOST", "::"),
    ("SGLANG_HOST", "fe80::1%eth0"),
    ("SGLANG_PORT", "1"),
    ("SGLANG_PORT", "65535"),
    ("SGLANG_SERVED_NAME", "my model/é"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "{}"),
    ("SGLANG_DTYPE", "auto"),
    ("SGLANG_TP_SIZE", "8"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_is_allowed_is_passed_on_unchanged(name: str, value: str) -> None:
    """The ends of each range, and the less usual forms."""
    assert value in launch(**{name: value}).command


BAD = [
    ("SGLANG_HOST", "a b"),
    ("SGLANG_HOST", "[::1]"),
    ("SGLANG_HOST", "-h"),
    ("SGLANG_HOST", "http://localhost"),
    ("SGLANG_HOST", "localhost:80"),
    ("SGLANG_HOST", "a..b"),
    ("SGLANG_HOST", "x" * 64),
    ("SGLANG_HOST", "localhost\n"),
    ("SGLANG_PORT", "0"),
    ("SGLANG_PORT", "65536"),
    ("SGLANG_PORT", "-1"),
    ("SGLANG_PORT", "http"),
    ("SGLANG_PORT", "80.0"),
    ("SGLANG_PORT", " 80"),
    ("SGLANG_PORT", "8_0"),
    ("SGLANG_PORT", "٨٠"),
    ("SGLANG_PORT", "9" * 5000),
    ("SGLANG_SERVED_NAME", "model:adapter"),
    ("SGLANG_SERVED_NAME", "a\nb"),
    ("SGLANG_SERVED_NAME", "\udcff"),
    ("SGLANG_ATTENTION_BACKEND", "--flag"),
    ("SGLANG_ATTENTION_BACKEND", "a b"),
    ("SGLANG_DTYPE", "fp8"),
    ("SGLANG_DTYPE", "Auto"),
    ("SGLANG_TP_SIZE", "0"),
    ("SGLANG_TP_SIZE", "two"),
    ("SGLANG_DISABLE_CUDA_GRAPH", "2"),
    ("SGLANG_PREFLIGHT", "maybe"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "{"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "[1]"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "null"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "temperature=0"),
    ("SGLANG_PREFERRED_SAMPLING_PARAMS", "[" * 100_000),
    ("SGLANG_EXTRA_ARGS", "--a 'b"),
    ("SGLANG_EXTRA_ARGS", '--a "b'),
    ("SGLANG_EXTRA_ARGS", "--a b\\"),
    ("SGLANG_API_KEY_FILE", "/nonexistent"),
    ("SGLANG_API_KEY_FILE", "/"),
    ("SGLANG_API_KEY_FILE", "/dev/null"),
    ("SGLANG_API_KEY_FILE", "/dev/zero"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_is_not_allowed_is_refused_by_name(name: str, value: str) -> None:
    """And nothing but that variable is blamed."""
    assert problems(**{name: value}).keys() == {name}


def test_all_wrong_variables_are_reported_together() -> None:
    """Not one at each attempt."""
    assert problems(
        SGLANG_PORT="http",
        SGLANG_TP_SIZE="0",
        SGLANG_PREFERRED_SAMPLING_PARAMS="[]",
        SGLANG_EXTRA_ARGS="'",
        SGLANG_NNODES="2",
    ) == {
        "SGLANG_PORT": "'http' is no whole number from 1 to 65535",
        "SGLANG_TP_SIZE": "'0' is no whole number of at least 1",
        "SGLANG_PREFERRED_SAMPLING_PARAMS": (
            'it is JSON, but no object such as {"temperature": 0.7}'
        ),
        "SGLANG_EXTRA_ARGS": "it cannot be split into words: No closing quotation",
        "SGLANG_NODE_RANK": "it is unset, but SGLANG_NNODES is set: all three or none",
        "SGLANG_DIST_INIT_ADDR": "it is unset, but SGLANG_NNODES is set: all three or none",
    }


@pytest.mark.parametrize("name", NODES)
def test_the_variables_of_several_machines_belong_together(name: str) -> None:
    """One missing would have each machine wait, or serve alone."""
    some = {other: value for other, value in NODES.items() if other != name}
    assert "all three or none" in problems(**some)[name]


def test_a_rank_is_below_the_number_of_machines() -> None:
    """Ranks count from 0."""
    assert problems(**{**NODES, "SGLANG_NODE_RANK": "2"}) == {
        "SGLANG_NODE_RANK": "2 is not below SGLANG_NNODES, which is 2"
    }


@pytest.mark.parametrize("address", ["h:1", "10.0.0.1:5000", "[fd00::1]:5000", "a.b.c:65535"])
def test_an_address_is_host_and_port(address: str) -> None:
    """An IPv6 host stands in brackets."""
    changed = {**NODES, "SGLANG_DIST_INIT_ADDR": address}
    assert arguments(**changed)["--dist-init-addr"] == address


@pytest.mark.parametrize(
    "address",
    ["host", "host:", ":5000", "host:0", "host:70000", "fd00::1:5000", "[fd00::1]", "[x]:1",
     "tcp://host:1", "-h:1", "a b:1"],
)  # fmt: skip
def test_an_address_of_another_form_is_refused(address: str) -> None:
    """torch.distributed would time out on it."""
    assert problems(**{**NODES, "SGLANG_DIST_INIT_ADDR": address}).keys() == {
        "SGLANG_DIST_INIT_ADDR"
    }


# The API key --------------------------------------------------------------------------------------


def key_file(directory: Path, content: bytes) -> dict[str, str]:
    (directory / "key").write_bytes(content)
    return {"SGLANG_API_KEY_FILE": str(directory / "key")}


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b" s3cret\r\n"])
def test_the_key_is_the_content_of_the_file(content: bytes, tmp_path: Path) -> None:
    """Without what an editor leaves around it."""
    assert arguments(**key_file(tmp_path, content))["--api-key"] == "s3cret"


def test_a_long_key_is_passed_on_whole(tmp_path: Path) -> None:
    """A token of 4096 characters is not cut; what is longer is no key."""
    assert arguments(**key_file(tmp_path, b"k" * 4096))["--api-key"] == "k" * 4096
    assert problems(**key_file(tmp_path, b"k" * 4097)).keys() == {"SGLANG_API_KEY_FILE"}


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a directory", "a huge file"])
def test_a_key_file_that_is_none_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    """A FIFO that nobody writes to would be waited for without end."""
    file = tmp_path / "key"
    match kind:
        case "a FIFO":
            os.mkfifo(file)
        case "a device":
            file.symlink_to("/dev/zero")
        case "a directory":
            file.mkdir()
        case "a huge file":
            file.touch()
            os.truncate(file, 1 << 40)
    detail = problems(SGLANG_API_KEY_FILE=str(file))["SGLANG_API_KEY_FILE"]
    assert detail.startswith(f"'{file}' cannot be read: ")


def test_a_key_may_begin_with_a_dash(tmp_path: Path) -> None:
    """Random ones do; as a word of its own argparse would take it for a flag."""
    assert launch(**key_file(tmp_path, b"-s3cret")).command[-1] == "--api-key=-s3cret"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", "schlüssel".encode()])
def test_a_key_that_no_header_can_carry_is_refused(content: bytes, tmp_path: Path) -> None:
    """Without showing it."""
    detail = problems(**key_file(tmp_path, content))["SGLANG_API_KEY_FILE"]
    assert detail == f"'{tmp_path}/key' holds no key of 1 to 4096 ASCII characters without blanks"


@pytest.mark.parametrize("key", [b"s3cret", b"-s3cret"])
def test_the_written_command_masks_the_key(key: bytes, tmp_path: Path) -> None:
    """So does the representation that a traceback would show."""
    planned = launch(**key_file(tmp_path, key), SGLANG_EXTRA_ARGS="--log-level info")
    written = format_command(planned.command)
    assert "s3cret" not in written + repr(planned)
    assert shlex.split(written)[-3:] in (
        ["***", "--log-level", "info"],
        ["--api-key=***", "--log-level", "info"],
    )


@pytest.mark.parametrize(
    "extra", ["--api-key s3cret", "--api-key=s3cret", "--admin-api-key s3cret", "--api s3cret"]
)
def test_a_key_among_the_extra_arguments_is_masked_too(extra: str) -> None:
    """Under an abbreviated name as well, which argparse takes."""
    planned = launch(SGLANG_EXTRA_ARGS=f"{extra} --log-level info")
    assert "s3cret" in " ".join(planned.command)
    assert "s3cret" not in format_command(planned.command)
    assert format_command(planned.command).endswith(" --log-level info")


WORD = st.binary().filter(lambda raw: b"\0" not in raw).map(os.fsdecode)


@given(st.lists(WORD.filter(lambda word: not word.startswith("--a")), max_size=5))
def test_a_written_command_can_be_pasted(words: list[str]) -> None:
    """Into a real bash, which then sees the same words, byte by byte."""
    pasted = os.fsencode(f"printf '%s\\0' {format_command(['x', *words])}")
    seen = subprocess.run(["bash", "--norc", "-c", pasted], capture_output=True, check=True)
    assert seen.stderr == b""
    assert seen.stdout.split(b"\0")[1:-1] == [os.fsencode(word) for word in words]


# The interpreter and the environment --------------------------------------------------------------


RECORD = format_record(
    ActivationRecord("/s/r", "sglang", "/s/py/bin/python3.12", "", "", "", {}, {}, {})
)


def test_the_interpreter_is_that_of_the_activation() -> None:
    """As the record names it, whatever PYTHONPATH and VIRTUAL_ENV say; the user's choice wins."""
    misleading = {"PYTHONPATH": "/s/lib/python3.11/site-packages", "VIRTUAL_ENV": "/v"}
    activated = {RECORD_VARIABLE: RECORD, **misleading}
    assert plan_launch(REMOTE, activated).command[0] == "/s/py/bin/python3.12"
    chosen = {**activated, "SGLANG_PYTHON": "/opt/py"}
    assert plan_launch(REMOTE, chosen).command[0] == "/opt/py"


@pytest.mark.parametrize(
    "record",
    ["", "damaged", RECORD + " ", RECORD.replace("python:/s/py/bin/python3.12", "python:")],
)
def test_no_interpreter_is_guessed(record: str) -> None:
    """Without an activation, or one that has a Python, it is asked for."""
    with pytest.raises(SettingsInvalid, match="SGLANG_PYTHON: it is unset, and no activation says"):
        plan_launch(REMOTE, {RECORD_VARIABLE: record})


def test_the_server_does_not_see_the_port_variables() -> None:
    """SGLang would bind that port itself; all else passes through, HF_TOKEN untouched."""
    environ = {
        "SGLANG_PORT": "1",
        "SGL_PORT": "1",
        "SGLANG_HOST": "h",
        "HF_TOKEN": "hf_x",
        "HF_HUB_OFFLINE": "0",
        "SGLANG_BUNDLED_FROM": "left/over",
    }
    assert server_environment(REMOTE, environ) == {
        "SGLANG_HOST": "h",
        "HF_TOKEN": "hf_x",
        "HF_HUB_OFFLINE": "0",
        "SGLANG_MODEL": "Qwen/Qwen3-8B",
    }


@pytest.mark.parametrize(
    ("given", "served"), [({}, "1"), ({"HF_HUB_OFFLINE": ""}, "1"), ({"HF_HUB_OFFLINE": "0"}, "0")]
)
def test_a_bundled_model_is_served_offline(given: dict[str, str], served: str) -> None:
    """Nothing is to be downloaded, so nothing is to be asked, unless the user wants it."""
    assert server_environment(BUNDLED, {**given, "X": "y"}) == {
        "X": "y",
        "SGLANG_MODEL": "/models/phi",
        "SGLANG_BUNDLED_FROM": DEFAULT_ID,
        "HF_HUB_OFFLINE": served,
    }


def test_a_revision_is_passed_on() -> None:
    """Where SGLang looks for the model itself."""
    revised = REMOTE._replace(revision="v1")
    assert arguments(revised)["--revision"] == "v1"
    assert "--revision" not in arguments(REMOTE)
