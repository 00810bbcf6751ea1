"""The server of the real manifest: resolve, serve, answer, stop."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from attrs import evolve

from tests.flox.activation import PROJECT, Activation, Mode, Scene
from tests.flox.conftest import MODEL
from tests.flox.test_activation import ATTACHES, Attach
from tests.real_shells import require_tool

SECONDS_TO_START = 30
SECONDS_TO_STOP = 10

Process = subprocess.Popen[str]


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def environ(environ: dict[str, str], port: int) -> dict[str, str]:
    """The user wants another address than the default."""
    return environ | {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(port)}


@pytest.fixture(params=[Activation.attach_final, Activation.attach_replayed], ids=["1.14", "1.15"])
def service(
    request: pytest.FixtureRequest, scene: Scene, environ: dict[str, str], tmp_path: Path
) -> Iterator[Process]:
    """The service, started as by Flox: in the environment that the first shell is given."""
    attach: Attach = request.param
    activation = scene.activate(environ, tmp_path, traced=True)
    process = scene.start_service("sglang", attach(activation, environ))
    yield process
    _end(process)


@pytest.fixture
def pod(scene: Scene, environ: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    """The command of the Kubernetes deployment, in a pod: no Nix, nothing on PATH but Flox's."""
    deployment = yaml.safe_load((PROJECT / "k8s/base/deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (scene.flox_env / "bin/dash").symlink_to(require_tool("dash"))
    cache = tmp_path / "pod-cache"
    cache.mkdir()
    kept = ("HOME", "LANG", "NIX_STORE_DIR", "SGLANG_HOST", "SGLANG_PORT")
    bare = {name: environ[name] for name in kept} | {
        variable["name"]: variable["value"] for variable in container["env"] if "value" in variable
    }
    activation = evolve(scene, mode=Mode.DEV, project=None, cache=cache).activate(bare, tmp_path)
    program, *arguments = container["command"]
    process = subprocess.Popen(
        [scene.flox_env / "bin" / program, *arguments],
        env=activation.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    _end(process)


def _end(process: Process) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _ask(port: int, path: str, question: object = None) -> bytes:
    data = None if question is None else json.dumps(question).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        answer: bytes = response.read()
        return answer


def _wait_until_healthy(process: Process, port: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"the server ended: {process.stdout.read()}")
        try:
            _ask(port, "/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"no answer within {SECONDS_TO_START} seconds")


def test_service_answers_and_stops(service: Process, port: int) -> None:
    """The bundled model is served at the user's port; SIGTERM ends the server and all it started.

    The signal goes to the process that Flox started, which by then is the server.
    """
    _see_it_answer_and_stop(service, port)


def test_pod_answers_and_stops(pod: Process, port: int) -> None:
    """In a pod too, where the signal goes to the process that the command started."""
    _see_it_answer_and_stop(pod, port)


def _see_it_answer_and_stop(process: Process, port: int) -> None:
    _wait_until_healthy(process, port)
    information = json.loads(_ask(port, "/get_model_info"))
    assert os.path.isfile(os.path.join(information["model_path"], "config.json"))
    question = {"model": MODEL, "messages": [{"role": "user", "content": "Who is there?"}]}
    answer = json.loads(_ask(port, "/v1/chat/completions", question))
    assert answer["model"] == MODEL
    assert answer["choices"][0]["message"]["content"]
    process.send_signal(signal.SIGTERM)
    process.wait(SECONDS_TO_STOP)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def _cache_model(home: Path, model_id: str) -> None:
    """Put a model that transformers 5 saved into the user's own Hugging Face cache."""
    repository = home / f".cache/huggingface/hub/models--{model_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0" * 40)
    rope = {"rope_type": "default", "rope_theta": 1000000.0}
    files = {
        "config.json": {"model_type": "qwen3", "rope_parameters": rope},
        "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": []},
        "model.safetensors": {},
    }
    for name, document in files.items():
        (snapshot / name).write_text(json.dumps(document))


@ATTACHES
def test_from_activation_to_restart(
    scene: Scene, environ: dict[str, str], port: int, tmp_path: Path, attach: Attach
) -> None:
    """The whole way: dry run, service, second shell, restart, with a model of the user's cache.

    The server would die of the model as it is. What the dry run showed is what runs, and the second
    shell, which has an address of its own, is told that of the server.
    """
    _cache_model(Path(environ["HOME"]), "Qwen/Qwen3-8B")
    asked = environ | {"SGLANG_MODEL": "Qwen/Qwen3-8B"}
    activation = scene.activate(asked, tmp_path, traced=True)
    first = attach(activation, asked)
    dry = subprocess.run(
        [scene.flox_env / "bin/sglang-serve", "--dry-run"],
        env=first,
        capture_output=True,
        text=True,
        check=True,
    )
    command = shlex.split(dry.stdout)
    model = command[command.index("--model-path") + 1]
    assert command[command.index("--port") + 1] == str(port)
    assert Path(model).name == "Qwen3-8B"
    assert not Path(model).exists()
    for _ in ("start", "restart"):
        process = scene.start_service("sglang", first)
        try:
            _wait_until_healthy(process, port)
            information = json.loads(_ask(port, "/get_model_info"))
            assert (information["model_path"], information["model_type"]) == (model, "qwen3")
            assert json.loads(Path(model, "config.json").read_text())["rope_theta"] == 1000000.0
            second = attach(activation, environ | {"SGLANG_PORT": "9", "SGLANG_HOST": "::1"})
            assert second["SGLANG_BANNER"] == (
                f"sglang: Qwen/Qwen3-8B (in your Hugging Face cache) on 127.0.0.1:{port}"
            )
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS_TO_STOP)
        finally:
            _end(process)


@ATTACHES
def test_nothing_is_served_without_a_model(
    scene: Scene, environ: dict[str, str], tmp_path: Path, attach: Attach
) -> None:
    """Where the model cannot be resolved, no server is started, and the variable is named."""
    environ = environ | {"SGLANG_MODEL": "no model"}
    activation = scene.activate(environ, tmp_path, traced=True)
    process = scene.start_service("sglang", attach(activation, environ))
    output, _ = process.communicate(timeout=SECONDS_TO_STOP)
    assert process.returncode == 2
    assert output.startswith("sglang-resolve-model: error: SGLANG_MODEL")
