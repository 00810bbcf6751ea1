"""What a server is told to serve, and what that will ask of the GPUs: a model's own files."""

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from nixenv.evidence.model_files import find_missing_weights, read_document, read_indices

# The best first.
_FORMATS = (".safetensors", ".bin", ".pt", ".pth")

_DTYPE = re.compile(r"(?:torch\.)?([a-z0-9_]{1,20})")


@frozen
class Model:
    """A model that lies on this machine, by its own files.

    Attributes:
        path: Its directory, or its ``.gguf`` file.
        size: The bytes of its weights; None where there are none.
        dtype: What it was saved in, ``bfloat16``; empty when it does not tell.
        quantisation: The method, with what decides more: ``fp8``, ``torchao float8``; empty for
            none.
        heads: The number of its attention heads; None when it does not tell.
        missing: The weights that it names and lacks.
    """

    path: str
    size: int | None = None
    dtype: str = ""
    quantisation: str = ""
    heads: int | None = None
    missing: tuple[str, ...] = ()


@frozen
class Server:
    """What the variables tell a server to do.

    Attributes:
        names: The variables that say so, by what they say: ``model``, ``parallel`` and ``dtype``.
        name: The model, as it was asked for.
        model: The model, where it is on this machine.
        problem: Why there can be no such model; empty where there can.
        remedy: What to do about that.
        parallel: Over how many GPUs it is spread, as it was asked for.
        nodes: On how many machines these are.
        dtype: What it is to be loaded as; empty for what the server thinks best.
        quantisation: What it is to be quantised to while it is loaded; empty for nothing.
        offline: The variable that forbids to download it; empty where none does, or none is needed.
        needs: The compute capabilities that are needed whatever the files of the model say, each
            with what needs it.
    """

    names: Mapping[str, str] = field(factory=dict)
    name: str = ""
    model: Model | None = None
    problem: str = ""
    remedy: str = ""
    parallel: str = "1"
    nodes: int = 1
    dtype: str = ""
    quantisation: str = ""
    offline: str = ""
    needs: tuple[tuple[str, str], ...] = ()


def probe_model(path: str) -> Model:
    """Read what a model says of itself, by its directory or its ``.gguf`` file."""
    if not os.path.isdir(path):
        return Model(path, _size_of(path), quantisation="gguf")
    indices = tuple(read_indices(path))
    config: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        config = read_document(os.path.join(path, "config.json"))
    # Models of text and images have the part for text below that.
    text = config.get("text_config")
    flat = {**config, **(text if isinstance(text, dict) else {})}
    dtype = _DTYPE.fullmatch(str(flat.get("dtype") or flat.get("torch_dtype") or ""))
    heads = flat.get("num_attention_heads")
    return Model(
        path,
        _weigh(path, indices),
        dtype[1] if dtype else "",
        parse_quantisation(flat.get("quantization_config")),
        heads if isinstance(heads, int) and heads > 0 else None,
        tuple(find_missing_weights(path, indices)),
    )


def parse_quantisation(config: object) -> str:
    """Name the method of a model's ``quantization_config``, with what decides more. Pure.

    >>> parse_quantisation({"quant_method": "torchao", "quant_type": {"default": {
    ...     "_type": "Float8DynamicActivationFloat8WeightConfig"}}})
    'torchao float8'
    >>> parse_quantisation({"quant_method": "modelopt", "quant_algo": "NVFP4"})
    'modelopt nvfp4'
    """
    if not isinstance(config, dict):
        return ""
    method = str(config.get("quant_method", ""))[:40].lower()
    details = {
        "torchao": "float8" if "float8" in json.dumps(config.get("quant_type")).lower() else "",
        "modelopt": str(config.get("quant_algo") or ""),
        "compressed-tensors": str(config.get("format") or ""),
    }
    return f"{method} {details.get(method, '')[:40].lower()}".strip()


def _weigh(directory: str, indices: Sequence[set[str]]) -> int | None:
    """Add up the weights that are loaded: those of the index, else those of the best format."""
    if indices:
        return _sum(directory, indices[0])
    try:
        held = sorted(os.listdir(directory))
    except OSError:
        return None
    for ending in _FORMATS:
        names_held = {name for name in held if name.endswith(ending)}
        # Mistral's own format lies beside the one that servers take.
        usual = {name for name in names_held if not name.startswith("consolidated")}
        if names_held:
            return _sum(directory, usual or names_held)
    return None


def _sum(directory: str, names: set[str]) -> int | None:
    # What is missing is told for itself; a sum without it would be wrong.
    sizes = [_size_of(os.path.join(directory, name)) for name in names]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _size_of(file: str) -> int | None:
    try:
        return os.stat(file).st_size
    except (OSError, ValueError):
        return None
