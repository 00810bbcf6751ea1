"""Whether a model's weights are all there: what links and the index name is a promise."""

import json
import os
from collections.abc import Sequence

from nixenv.errors import NixenvError
from nixenv.files import read_file
from nixenv.text import shorten

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

# An index names each tensor; the largest models have some hundred thousand.
_LONGEST_INDEX = 64 << 20
_SHOWN = 5


class ModelIncomplete(NixenvError):
    """Files that a model's directory names are not there."""

    model: str
    missing: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        more = len(self.missing) - _SHOWN
        shown = [*map(shorten, self.missing[:_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        return (
            f"{self.model} is incomplete: weights that it names are not there:",
            "download or copy the model again; a link to weights must lead to a file "
            "that this machine can read",
            shown,
        )


def find_missing_weights(model: str) -> list[str]:
    """List the weights that a directory names and lacks: links to nowhere, and entries of an index.

    Of two indices, one that is whole is enough.
    """
    dangling = {
        name
        for name in _names(model)
        if name.endswith(_WEIGHTS) and not os.path.exists(os.path.join(model, name))
    }
    indices = [names for file in _INDICES if (names := _names_of_index(model, file)) is not None]
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


def _names_of_index(model: str, file: str) -> set[str] | None:
    """Give the files that an index names, None where there is no index that can be read."""
    try:
        index = json.loads(read_file(os.path.join(model, file), _LONGEST_INDEX))
        return set(map(str, index["weight_map"].values()))
    except (OSError, ValueError, RecursionError, KeyError, AttributeError, TypeError):
        return None
