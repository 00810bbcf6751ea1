"""The manifest as data."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nixenv.road.profile import load_profile
from tests.flox.activation import MANIFEST, PROJECT, Manifest

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


@pytest.mark.parametrize(
    "broken",
    [
        {"schema-version": "1.10.0", "hooks": {}},
        {"schema-version": "1.10.0", "install": {"sglang": {"pkg": "sglang"}}},
        {"schema-version": "1.10.0", "services": {"sglang": {}}},
        {"install": {}},
    ],
    ids=["unknown section", "unknown descriptor", "service without command", "no version"],
)
def test_schema_refuses(broken: dict[str, Any]) -> None:
    """The schema is strict enough to find a slip."""
    assert _errors(broken)


def test_environment_has_a_name() -> None:
    """`.flox/env.json` names the environment, in the one version of that file."""
    assert json.loads((PROJECT / ".flox/env.json").read_text()) == {"name": "sglang", "version": 1}


def test_environment_installs_the_server_its_model_and_nixenv(document: dict[str, Any]) -> None:
    """SGLang and the model come from Flox's catalog, nixenv from this checkout's flake."""
    install = document["install"]
    assert install["sglang"]["pkg-path"] == "flox/sglang-python312-cuda12_8-all-avx2"
    assert install["model"]["pkg-path"] == "flox/phi-4-mini-instruct-fp8-sglang"
    assert install["nixenv"] == {"flake": "."}
    assert (PROJECT / "flake.nix").is_file()


def test_headers_are_installed(document: dict[str, Any]) -> None:
    """A manifest with a schema version installs default outputs alone, so all are asked for."""
    assert document["schema-version"] == "1.10.0"
    assert document["install"]["sglang"]["outputs"] == "all"


def test_bundled_model_is_the_default_one(document: dict[str, Any]) -> None:
    """The model in the environment is the one that SGLANG_MODEL names unless told otherwise."""
    default = load_profile("sglang").defaults["SGLANG_MODEL"]
    assert default == "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
    assert document["install"]["model"]["pkg-path"].startswith("flox/phi-4-mini-instruct-fp8")


def test_nothing_is_assigned_over_the_user(document: dict[str, Any]) -> None:
    """Flox's [vars] would overwrite what the command line gives: there are none."""
    assert "vars" not in document


def test_packages_are_for_one_system(document: dict[str, Any]) -> None:
    """SGLang's package exists for x86_64-linux alone."""
    assert document["options"]["systems"] == ["x86_64-linux"]


def test_service_resolves_then_serves() -> None:
    """The server starts only when the model is known."""
    assert Manifest.read().services == {"sglang": "sglang-resolve-model && sglang-serve"}


def test_swap_to_one_gpu_is_one_line() -> None:
    """The manifest shows, as a line to take over, the build for one kind of GPU."""
    line = 'sglang.pkg-path = "flox/sglang-python312-cuda12_8-sm89-avx2"'
    text = MANIFEST.read_text()
    assert f"\n#   {line}\n" in text
    swapped = text.replace('sglang.pkg-path = "flox/sglang-python312-cuda12_8-all-avx2"', line)
    assert swapped != text
    assert _errors(tomllib.loads(swapped)) == []
