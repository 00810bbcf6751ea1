"""The files of a model: what is JSON in them, and whether all weights are there that they name."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from nixenv.files import read_file

LONGEST_DOCUMENT = 16 << 20
"""Bytes: the largest config.json in use has 1 MB. To read JSON can take forty times its size."""

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

# An index names each tensor; the largest models have some hundred thousand.
_LONGEST_INDEX = 64 << 20


def read_document(file: str, limit: int = LONGEST_DOCUMENT) -> dict[str, Any]:
    """Read a JSON object of so many bytes at most.

    Raises:
        OSError: it cannot be read, or is longer.
        ValueError: it holds something else.
    """
    try:
        document = json.loads(read_file(file, limit))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("it holds something else")  # noqa: TRY004 -- what no JSON is raises that
    return document


def read_indices(model: str) -> Iterator[set[str]]:
    """Give the files that each index of a directory names, where it can be read."""
    for name in _INDICES:
        try:
            index = read_document(os.path.join(model, name), _LONGEST_INDEX)
            yield set(map(str, index["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError):
            continue


def find_missing_weights(model: str, indices: Iterable[set[str]]) -> list[str]:
    """List the weights that a directory names and lacks: links to nowhere, and entries of an index.

    Of two indices, one that is whole is enough.

    Args:
        model: The directory.
        indices: What `read_indices` gives of it.
    """
    dangling = {
        name
        for name in _names(model)
        if name.endswith(_WEIGHTS) and not os.path.exists(os.path.join(model, name))
    }
    missing = [
        {name for name in names if not os.path.exists(os.path.join(model, name))}
        for names in indices
    ]
    return sorted(dangling | min(missing, key=len, default=set()))


def has_weights(model: str) -> bool:
    """Whether there are any: a download that was cut short may have none yet."""
    return any(name.endswith(_WEIGHTS) for name in _names(model))


def _names(model: str) -> list[str]:
    try:
        return os.listdir(model)
    except OSError:
        return []
