"""The manifest as data."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nixenv.road.profile import load_profile
from tests.flox.activation import MANIFEST

# Flox's own, as it came with Flox 1.15: `flox/manifest-v1.schema.json`.
SCHEMA = Path(__file__).with_name("data") / "manifest-v1.schema.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return tomllib.loads(MANIFEST.read_text())


def _errors(document: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    return [error.message for error in validator.iter_errors(document)]


def test_manifest_is_one_of_flox(document: dict[str, Any]) -> None:
    """Flox's schema takes the manifest."""
    assert _errors(document) == []


def test_bundled_model_is_the_default_one(document: dict[str, Any]) -> None:
    """The model in the environment is the one that SGLANG_MODEL names unless told otherwise."""
    default = load_profile("sglang").defaults["SGLANG_MODEL"]
    assert default == "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
    assert document["install"]["model"]["pkg-path"].startswith("flox/phi-4-mini-instruct-fp8")


def test_nothing_is_assigned_over_the_user(document: dict[str, Any]) -> None:
    """Flox's [vars] would overwrite what the command line gives: there are none."""
    assert "vars" not in document


def test_swap_to_one_gpu_is_one_line() -> None:
    """The manifest shows, as a line to take over, the build for one kind of GPU."""
    line = 'sglang.pkg-path = "flox/sglang-python312-cuda12_8-sm89-avx2"'
    text = MANIFEST.read_text()
    assert f"\n#   {line}\n" in text
    swapped = text.replace('sglang.pkg-path = "flox/sglang-python312-cuda12_8-all-avx2"', line)
    assert swapped != text
    assert _errors(tomllib.loads(swapped)) == []
