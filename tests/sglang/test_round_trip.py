"""Models that transformers 5 saved, read by the transformers of SGLang 0.5.9 through the resolver.

Small models of the families that people serve, without weights, go from 4.57.6 through 5.0.0 or the
newest 5 and back. The libraries are the real ones, each in a process that has no other.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixtures.wheels import fetch
from nixenv.sglang.resolving import resolve_model
from nixenv.sglang.shadow import make_shadow

HERE = Path(__file__).parent
READER = "4.57.6"
WRITERS = ("5.0.0", "5.24.0")
CONFIGS = (
    *("llama-2", "llama-3", "qwen2", "qwen3", "qwen3-moe", "phi-4-mini", "gemma", "gemma-2"),
    *("gemma-3", "mistral", "mistral-tekken", "t5", "gpt2"),
)
TOKENIZERS = (
    *("llama-2", "llama-2 without bos", "llama-2 with eos", "llama-3", "qwen2", "qwen3"),
    *("phi-4-mini", "gemma", "gemma-3", "mistral", "mistral-tekken", "t5", "gpt2"),
)

View = Mapping[str, Any]
Views = Mapping[str, View]


def unpack(wheels: Path, directory: Path) -> None:
    for wheel in wheels.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)


def environment(version: str) -> Path:
    """The directory with one transformers and all that it needs, for this interpreter."""
    return fetch(HERE / "wheels" / f"transformers-{version}.txt", unpack)


def with_transformers(version: str, *arguments: object) -> str:
    """Run the script with one transformers, out of reach of any other and of the network."""
    done = subprocess.run(
        [sys.executable, "-S", str(HERE / "with_transformers.py"), *map(str, arguments)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(environment(version)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": "/nonexistent",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(directory: Path) -> Views:
    """What 4.57.6 reads of each model in a directory."""
    models = sorted(directory.iterdir())
    answers = json.loads(with_transformers(READER, "read", *models))
    return dict(zip((model.name for model in models), answers, strict=True))


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("originals")
    with_transformers(READER, "make", directory)
    return directory


@pytest.fixture(scope="module")
def before(originals: Path) -> Views:
    return read(originals)


@pytest.fixture(scope="module", params=WRITERS)
def saved(
    request: pytest.FixtureRequest, originals: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The models as one transformers 5 saved them."""
    directory = tmp_path_factory.mktemp(f"saved-by-{request.param}")
    with_transformers(request.param, "save", originals, directory)
    return directory


@pytest.fixture(scope="module")
def raw(saved: Path) -> Views:
    return read(saved)


@pytest.fixture(scope="module")
def resolved(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to what the resolver makes of them."""
    directory = tmp_path_factory.mktemp("resolved")
    environ = {
        "PYTHONPATH": str(environment(READER)),
        "FLOX_ENV_CACHE": str(tmp_path_factory.mktemp("cache")),
    }
    for model in saved.iterdir():
        outcome = resolve_model({**environ, "SGLANG_MODEL": str(model)})
        assert outcome.notes == ()
        if outcome.shadow is not None:
            make_shadow(outcome.shadow)
        (directory / model.name).symlink_to(outcome.resolution.model)
    return directory


@pytest.fixture(scope="module")
def after(resolved: Path) -> Views:
    return read(resolved)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_configuration_is_read_as_before(family: str, before: Views, after: Views) -> None:
    """Every value that 4.57.6 read of the original; more may be there."""
    config = after[family]["config"]
    assert {name: config.get(name) for name in before[family]["config"]} == (
        before[family]["config"]
    )


@pytest.mark.parametrize("family", TOKENIZERS)
def test_a_tokenizer_does_as_before(family: str, before: Views, after: Views) -> None:
    """The same tokens for the same texts, the same special tokens, the same conversation.

    Of Gemma's, transformers 5 makes `<mask>` a special token, and says so in tokenizer.json.
    """
    expected, seen = dict(before[family]["tokenizer"]), dict(after[family]["tokenizer"])
    if family.startswith("gemma"):
        mask = seen["vocabulary"]["<mask>"]
        expected["special"] = {**expected["special"], "mask_token": "<mask>"}
        expected["special ids"] = sorted([*expected["special ids"], mask])
        del expected["plain"], seen["plain"]
    assert seen == expected


def differs(old: object, new: object) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return any(old[name] != new.get(name) for name in old)
    return old != new


def test_without_the_resolver_they_would_not(before: Views, raw: Views) -> None:
    """The counter-proof: what 4.57.6 dies of, and what it misreads without a word."""
    dead = {name for name in TOKENIZERS if isinstance(raw[name]["tokenizer"], str)}
    misread = {name for name in CONFIGS if differs(before[name]["config"], raw[name]["config"])} | {
        name
        for name in TOKENIZERS
        if name not in dead and differs(before[name]["tokenizer"], raw[name]["tokenizer"])
    }
    assert {"qwen2", "t5", "llama-3"} <= dead
    assert {"llama-3", "qwen3", "phi-4-mini", "gemma-3"} <= misread


def test_what_was_right_is_the_file_itself(saved: Path, resolved: Path) -> None:
    """GPT-2 and its tokenizer need nothing; of the others, only what was wrong is another file."""
    assert (resolved / "gpt2").resolve() == saved / "gpt2"
    for model in saved.iterdir():
        for file in model.iterdir():
            seen = resolved / model.name / file.name
            is_same = seen.resolve() == file
            assert is_same or json.loads(seen.read_text()) != json.loads(file.read_text())
            assert is_same or file.name in {"config.json", "tokenizer_config.json"}
