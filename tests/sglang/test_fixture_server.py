"""The stand-in for SGLang's server: real HTTP, canned text, from resolver to client."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.sglang.programs import DEFAULT_ID, TOKENIZER, Environment, bundle_model, make_model
from tests.sglang.servers import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = Environment(tmp_path_factory.mktemp("home"))
    environment.make()
    bundle_model(environment, tokenizer_config__json=TOKENIZER)
    with serving(environment) as running:
        yield running


CHAT = {"model": "x", "messages": [{"role": "user", "content": "Hello"}]}


def events(server: Server, path: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents of a stream of server-sent events."""
    status, body, headers = server.ask(path, {**document, "stream": True})
    assert status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    *chunks, done, rest = body.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(chunk.startswith("data: ") for chunk in chunks)
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]


def test_health_is_a_status_without_a_body(server: Server) -> None:
    """As the probes of Kubernetes want it."""
    assert server.ask("/health")[:2] == (200, "")


def test_the_model_info_says_what_is_served(server: Server) -> None:
    """The shadow's path, the model's own config.json, the sampling defaults as JSON."""
    info = server.ask_json("/get_model_info")
    assert "/sglang-compat/" in info["model_path"]
    assert info["model_type"] == "phi3"
    assert info["preferred_sampling_params"]["max_new_tokens"] == 512
    assert server.ask_json("/model_info") == info


def test_the_models_are_one(server: Server) -> None:
    """Under the served name."""
    models = server.ask_json("/v1/models")
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == [DEFAULT_ID]


def test_a_chat_is_answered(server: Server, fixture_server: ModuleType) -> None:
    """In OpenAI's shape."""
    answer = server.ask_json("/v1/chat/completions", CHAT)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == DEFAULT_ID
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == fixture_server.TEXT
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_chat_is_streamed(server: Server, fixture_server: ModuleType) -> None:
    """The role first, then the text in pieces, the reason for its end, usage where asked for."""
    chunks = events(
        server, "/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}}
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta["content"] or "" for delta in deltas) == fixture_server.TEXT
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_usage_is_not_streamed_unasked(server: Server) -> None:
    """As OpenAI has it."""
    assert all(chunk["choices"] for chunk in events(server, "/v1/chat/completions", CHAT))


def test_a_completion_is_answered_and_streamed(server: Server, fixture_server: ModuleType) -> None:
    """The older request, both ways the same text."""
    answer = server.ask_json("/v1/completions", {"prompt": "Hello"})
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == fixture_server.TEXT
    chunks = events(server, "/v1/completions", {"prompt": "Hello"})
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == fixture_server.TEXT


def test_sglangs_own_request_is_answered_and_streamed(
    server: Server, fixture_server: ModuleType
) -> None:
    """/generate; each piece of the stream holds all of the text so far."""
    request = {"text": "Hello", "sampling_params": {"max_new_tokens": 8}}
    answer = server.ask_json("/generate", request)
    assert answer["text"] == fixture_server.TEXT
    assert answer["meta_info"]["finish_reason"]["type"] == "stop"
    texts = [chunk["text"] for chunk in events(server, "/generate", request)]
    assert texts[-1] == fixture_server.TEXT
    assert all(later.startswith(text) for text, later in itertools.pairwise(texts))


def test_what_the_real_server_refuses_is_refused(server: Server) -> None:
    """Unknown paths, other media types, and requests without their field."""
    assert server.ask("/nowhere")[0] == 404
    assert server.ask("/nowhere", {})[0] == 404
    wrong_type = server.ask("/v1/chat/completions", CHAT, **{"Content-Type": "text/plain"})
    assert wrong_type[0] == 400
    assert "Only 'application/json' is allowed" in wrong_type[1]
    assert server.ask("/v1/chat/completions", {"prompt": "x"})[0] == 400
    assert server.ask("/v1/chat/completions", ["messages"])[0] == 400


def started(activated: Environment, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sglang.launch_server", *arguments],
        env=activated.environ({}),
        capture_output=True,
        check=False,
        timeout=20,
    )


def test_an_unknown_flag_ends_it_with_2(activated: Environment) -> None:
    """Like the real one."""
    done = started(activated, "--model-path", "a/b", "--nonsense")
    assert done.returncode == 2
    assert b"unrecognized arguments: --nonsense" in done.stderr


def test_it_cannot_load_what_transformers_cannot(activated: Environment, tmp_path: Path) -> None:
    """So that a shadow that is not made is noticed."""
    model = make_model(tmp_path / "model", tokenizer_config__json=TOKENIZER)
    done = started(activated, "--model-path", str(model))
    assert done.returncode == 1
    assert b"Tokenizer class TokenizersBackend does not exist" in done.stderr
