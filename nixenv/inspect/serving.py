"""Find out what the variables tell the program's server to do, where it is a known one."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from attrs import evolve

from nixenv.errors import NixenvError
from nixenv.evidence.model_files import has_weights
from nixenv.evidence.serving import Model, Server, probe_model
from nixenv.sglang.arguments import find_option
from nixenv.sglang.capability import NEEDED
from nixenv.sglang.defaults import read_defaults
from nixenv.sglang.hub import find_repository, find_revision, find_user_hub, is_model_directory
from nixenv.sglang.model import Origin, Resolution, find_model
from nixenv.text import mask_urls


class Words(NamedTuple):
    """How a server is told what to do.

    Attributes:
        model: The variable that names the model.
        parallel: The one that says over how many GPUs it is spread.
        dtype: The one that says what it is loaded as.
        arguments: The one with more arguments: a flag there wins.
        nodes: The one that says on how many machines the GPUs are.
        oldest: The oldest compute capability that the server runs on.
    """

    model: str
    parallel: str
    dtype: str
    arguments: str
    nodes: str
    oldest: str


# SGLang 0.5.9, model_executor/model_runner.py: "SGLang only supports sm75 and above". vLLM's
# documentation, "GPU": 7.0 or higher; it reads no such variables itself, its start scripts do.
_WORDS = {
    "sglang": Words(
        *("SGLANG_MODEL", "SGLANG_TP_SIZE", "SGLANG_DTYPE", "SGLANG_EXTRA_ARGS"),
        *("SGLANG_NNODES", "7.5"),
    ),
    "vllm": Words(
        *("VLLM_MODEL", "VLLM_TENSOR_PARALLEL_SIZE", "VLLM_DTYPE", "VLLM_EXTRA_ARGS"),
        *("VLLM_NNODES", "7.0"),
    ),
}

_PARALLEL = ("--tp-size", "--tensor-parallel-size")

# huggingface_hub/constants.py: the first that is set decides, and these are the words for yes.
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_YES = ("1", "ON", "YES", "TRUE")


def look_at_server(binary: str | None, environ: Mapping[str, str]) -> Server | None:
    """Find the model that a server is told to serve, and read what it says of itself.

    Args:
        binary: The program's name.
        environ: The variables, with those that the environment sets.
    """
    words = _WORDS.get(binary or "")
    if binary is None or words is None:
        return None
    name = mask_urls(environ.get(words.model, ""))
    arguments = environ.get(words.arguments, "")
    flags = [found for flag in _PARALLEL if (found := find_option(arguments, flag)) is not None]
    is_default = name.partition("@")[0] == read_defaults()["SGLANG_MODEL"]
    server = Server(
        names={
            "model": words.model,
            "parallel": words.arguments if flags else words.parallel,
            "dtype": words.dtype,
        },
        name=name,
        parallel=flags[0] if flags else environ.get(words.parallel) or "1",
        nodes=_count(environ.get(words.nodes, "")),
        dtype=find_option(arguments, "--dtype") or environ.get(words.dtype, ""),
        quantisation=find_option(arguments, "--quantization") or "",
        offline=_find_offline(environ),
        needs=((words.oldest, binary), *([(NEEDED, name)] if is_default else [])),
    )
    return _with_model(server, environ) if name else server


def _count(text: str) -> int:
    return int(text) if re.fullmatch("[1-9][0-9]{0,3}", text) else 1


def _find_offline(environ: Mapping[str, str]) -> str:
    decisive = next((name for name in _OFFLINE if environ.get(name)), "")
    return decisive if environ.get(decisive, "").upper() in _YES else ""


def _with_model(server: Server, environ: Mapping[str, str]) -> Server:
    try:
        found = find_model(server.name, environ)
        model = _find_files(found, environ)
    except NixenvError as error:
        return evolve(server, problem=error.reason, remedy=error.remedy)
    # What comes with the environment, and what is fetched from elsewhere, needs no hub.
    needs_hub = found.origin is Origin.HUB
    return evolve(server, model=model, offline=server.offline if needs_hub else "")


def _find_files(found: Resolution, environ: Mapping[str, str]) -> Model | None:
    if found.is_local:
        return probe_model(found.model)
    hub = find_user_hub(environ)
    repository = find_repository(found.model, hub) if hub and found.origin is Origin.HUB else None
    snapshot = find_revision(repository, found.revision or "main") if repository else None
    if snapshot is None or not is_model_directory(snapshot) or not has_weights(snapshot):
        return None
    return probe_model(snapshot)
