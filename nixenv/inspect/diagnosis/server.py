"""Whether the machine's GPUs can do what the server is told to do, and its model is there. Pure."""

import re
from collections.abc import Iterator, Sequence

from nixenv.evidence.gpu import Gpu
from nixenv.evidence.machine import Machine
from nixenv.evidence.serving import Server
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.gpu import count_visible, visible_gpus
from nixenv.road.redistributables import numbers
from nixenv.sglang.capability import ALTERNATIVE, NEEDED
from nixenv.text import as_code

# What is left to weights: servers give 0.85 to 0.9 of a GPU to them and to their cache.
_SHARE = 0.9

_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}

# get_min_capability of SGLang 0.5.9 (srt/layers/quantization) and of vLLM's; torchao's float8 needs
# the tensor cores that came with Ada.
_NEEDED_BY_METHOD = {
    "torchao float8": NEEDED,
    "modelopt fp8": NEEDED,
    "w8a8_fp8": NEEDED,
    "modelopt nvfp4": "10.0",
    "modelopt_fp4": "10.0",
    "fp8": "8.0",
    "compressed-tensors pack-quantized": "8.0",
    "gptq_marlin": "8.0",
    "awq_marlin": "8.0",
    "awq": "7.5",
    "w8a8_int8": "7.5",
}

_SHOWN = 5


def check_server(machine: Machine) -> Iterator[Finding]:
    """Judge what a server is told to do against its model's files and the visible GPUs."""
    server = machine.server
    if server is None:
        return
    yield from _check_presence(server)
    gpus = [gpu for _, gpu in visible_gpus(machine)]
    visible = count_visible(machine)
    if visible:  # that all are hidden is told for itself
        yield from _check_parallel(server, visible, gpus)
        yield from _check_capability(server, gpus)


# The model ----------------------------------------------------------------------------------------


def _check_presence(server: Server) -> Iterator[Finding]:
    variable, model = server.names.get("model", ""), server.model
    told = f"{variable}={server.name}"
    if server.problem:
        summary, *more = map(str.strip, server.problem.splitlines())
        yield Code.MODEL_MISSING.found(summary, (told, *more), server.remedy)
    elif server.offline and (model is None or model.missing):
        yield Code.MODEL_MISSING.found(
            f"{server.name} is {'not whole' if model else 'not'} on this machine, and "
            f"{server.offline} forbids to download it",
            (told, *_few(model.missing if model else ())),
            as_code(f"unset {server.offline}")
            + ", or copy the model's directory here and set "
            + f"{variable} to it",
        )
    elif model is not None and model.missing and model.path == server.name:
        yield Code.MODEL_MISSING.found(
            f"{model.path} is not whole: it names weights that are not there",
            _few(model.missing),
            "copy or download the model again",
        )


def _few(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - _SHOWN
    return (*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else []))


# How many GPUs, and how large ---------------------------------------------------------------------


def _check_parallel(server: Server, visible: int, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    told = f"{server.names.get('parallel', '')}: {server.parallel}"
    heads = server.model.heads if server.model else None
    wanted = int(server.parallel) if re.fullmatch("[1-9][0-9]{0,4}", server.parallel) else 0
    fitting = [n for n in range(1, visible * server.nodes + 1) if not heads or heads % n == 0]
    each = -(-wanted // server.nodes)
    if not wanted:
        problem = f"the server is to use {server.parallel!r} GPUs, which is no number of them"
    elif each > visible:
        problem = f"the server is to use {each} GPUs of this machine, and programs see {visible}"
    elif heads and heads % wanted:
        problem = f"{heads} attention heads cannot be spread evenly over {wanted} GPUs"
    else:
        yield from _check_size(server, wanted, fitting, gpus)
        return
    seen = tuple(gpu.label for gpu in gpus)
    yield Code.SERVER_PARALLEL_UNFIT.found(
        problem, (told, *seen), _set_parallel(server, max(fitting, default=1))
    )


def _set_parallel(server: Server, count: int) -> str:
    variable = server.names.get("parallel", "")
    if variable.endswith("_ARGS"):
        return f"in {variable}, write `--tp-size {count}`"
    return as_code(f"export {variable}={count}")


def _check_size(
    server: Server, wanted: int, fitting: Sequence[int], gpus: Sequence[Gpu]
) -> Iterator[Finding]:
    size = _size_in_memory(server)
    memories = [gpu.memory for gpu in gpus if gpu.memory]
    # Of a GPU that is split, a process has a part that is not known.
    if size is None or not memories or any(gpu.is_split for gpu in gpus):
        return
    room = int(min(memories) * _SHARE) << 20
    if size <= room * wanted:
        return
    more = next((n for n in fitting if n > wanted and size <= room * n), None)
    yield Code.MODEL_TOO_LARGE.found(
        f"the model's weights take {_gib(size)}, and {wanted} GPU{'s' if wanted > 1 else ''} of "
        f"this machine hold {_gib(room * wanted)} of them",
        (
            f"{server.names.get('model', '')}={server.name}",
            *([server.model.path] if server.model else []),
            *(f"{gpu.label}: {gpu.memory} MiB" for gpu in gpus),
        ),
        _set_parallel(server, more)
        if more
        else "serve a smaller model, or one that is quantised (FP8, AWQ); or take more or larger "
        "GPUs",
    )


def _size_in_memory(server: Server) -> int | None:
    """Give the bytes of the weights as they are loaded; None where that cannot be told."""
    model = server.model
    if model is None or model.size is None or server.quantisation:
        return None
    saved = _BYTES.get(model.dtype)
    if model.quantisation or saved is None:
        return model.size
    # What was saved in 32 bits is loaded in 16, unless it is asked for (`--dtype`, auto).
    loaded = _BYTES.get(server.dtype, 2)
    return model.size * loaded // saved


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


# What the GPUs can compute ------------------------------------------------------------------------


_MODEL_IN = "a model in"


def _check_capability(server: Server, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    needed, whose = max(_list_needs(server), key=lambda need: numbers(need[0]), default=("0.0", ""))
    known = [gpu for gpu in gpus if gpu.compute_capability is not None]
    old = [gpu for gpu in known if numbers(gpu.compute_capability or "") < numbers(needed)]
    if old:
        yield Code.MODEL_NEEDS_NEWER_GPU.found(
            f"{whose} needs compute capability {needed}, and "
            f"{', '.join(dict.fromkeys(gpu.name for gpu in old))} has less",
            (
                f"{server.names.get('model', '')}={server.name}",
                *(f"{gpu.label}: compute capability {gpu.compute_capability}" for gpu in old),
            ),
            _suggest(server, whose),
            severity=Severity.WARNING if len(old) < len(known) else Severity.ERROR,
        )


def _list_needs(server: Server) -> Iterator[tuple[str, str]]:
    yield from server.needs
    method = server.quantisation or (server.model.quantisation if server.model else "")
    if needed := _NEEDED_BY_METHOD.get(method):
        yield needed, f"{_MODEL_IN} {method}"


def _suggest(server: Server, whose: str) -> str:
    if server.names.get("model") == "SGLANG_MODEL" and whose != "sglang":
        return f"serve a model without FP8, such as {as_code(f'export {ALTERNATIVE}')}"
    if whose.startswith(_MODEL_IN):
        return "take a newer GPU, or a model in another format (AWQ, or 16 bits)"
    return "take a newer GPU; the server itself needs one, whatever the model"
