"""What a model's own files say of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nixenv.evidence.serving import Model, parse_quantisation, probe_model


def write_model(directory: Path, config: object, **sizes: int) -> str:
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    for name, size in sizes.items():
        with open(directory / name.replace("__", "."), "wb") as file:
            os.truncate(file.fileno(), size)
    return str(directory)


def test_a_model(tmp_path: Path) -> None:
    """Weights, data type and attention heads; those of a model of images are below the text's."""
    config: dict[str, Any] = {"torch_dtype": "bfloat16", "num_attention_heads": 32}
    path = write_model(tmp_path / "m", config, model__safetensors=7, other__bin=5)
    expected = Model(path, 7, "bfloat16", "", 32)
    assert probe_model(path) == expected
    write_model(tmp_path / "m", {"text_config": {**config, "dtype": "torch.bfloat16"}})
    assert probe_model(path) == expected


def test_the_weights_that_are_loaded(tmp_path: Path) -> None:
    """Those of the index count, each once; Mistral's own format lies beside them."""
    path = write_model(tmp_path / "m", {}, a__safetensors=3, consolidated__safetensors=9)
    assert probe_model(path).size == 3
    index = {"weight_map": {"x": "a.safetensors", "y": "a.safetensors"}}
    (tmp_path / "m/model.safetensors.index.json").write_text(json.dumps(index))
    assert probe_model(path).size == 3
    index["weight_map"]["z"] = "b.safetensors"
    (tmp_path / "m/model.safetensors.index.json").write_text(json.dumps(index))
    assert probe_model(path).size is None


def test_a_gguf_file(tmp_path: Path) -> None:
    """It has no config.json beside it."""
    file = tmp_path / "m.gguf"
    file.write_bytes(b"1234")
    assert probe_model(str(file)) == Model(str(file), 4, quantisation="gguf")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"num_attention_heads": -1, "dtype": 7}', "[" * 100_000]
)
def test_a_config_that_says_nothing(tmp_path: Path, text: str) -> None:
    """Whatever it holds, nothing is known, and nothing fails."""
    (tmp_path / "config.json").write_text(text)
    found = probe_model(str(tmp_path))
    assert (found.size, found.heads, found.quantisation) == (None, None, "")


@pytest.mark.parametrize(
    ("config", "method"),
    [
        (None, ""),
        ({"quant_method": "fp8"}, "fp8"),
        (
            {"quant_method": "compressed-tensors", "format": "pack-quantized"},
            "compressed-tensors pack-quantized",
        ),
        ({"quant_method": "torchao", "quant_type": "int8wo"}, "torchao"),
    ],
)
def test_methods_of_quantisation(config: object, method: str) -> None:
    """With what decides more, where a method has several."""
    assert parse_quantisation(config) == method
