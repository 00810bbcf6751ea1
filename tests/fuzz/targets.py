"""What is fuzzed: each reader of text that somebody else wrote, as a function of its bytes.

A target returns, or raises what its reader documents: `NixenvError`, and ValueError where a
docstring names it. Anything else is a fault. What reads a file is given one in a directory that
stays, so that a target costs no more than its reader.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from nixenv import Default, Environment, render
from nixenv.errors import NixenvError
from nixenv.evidence.caches import parse_cuda_home
from nixenv.evidence.distributions import probe_distributions
from nixenv.evidence.gpu import parse_answer
from nixenv.evidence.graph import closure_sizes, parse_dump
from nixenv.evidence.machine import parse_avx2, parse_listeners
from nixenv.evidence.nvcc_flags import split_flags, take_ccbin
from nixenv.evidence.serving import probe_model
from nixenv.linked.farm_record import find_problems
from nixenv.linked.inspection import read_conflicts
from nixenv.linked.record import read_record
from nixenv.linked.scripts import plan_scripts
from nixenv.process import parse_limit
from nixenv.road.launcher import Look, parse_path_lines, read_launcher
from nixenv.road.launcher.script import parse_home, parse_module_list
from nixenv.road.modules import probe_modules
from nixenv.road.names import find_names, find_variables, is_made_of_names, substitute
from nixenv.road.nvcc import (
    parse_codes,
    parse_host_compiler,
    parse_newest_gcc,
    parse_torch_cuda,
)
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.profile import load_profile
from nixenv.road.query import Origin, parse_requisites
from nixenv.road.record import format_record, parse_record, plan_undo
from nixenv.road.redistributables import parse_cuda_name, parse_named_cuda
from nixenv.sglang import values
from nixenv.sglang.arguments import find_option, format_command, split_words
from nixenv.sglang.envfile import format_resolution, parse_resolution
from nixenv.sglang.resolving import resolve_model
from nixenv.snapshot import load_snapshot
from nixenv.storepath import (
    StorePath,
    enclosing_store_path,
    find_store_paths,
    parse_store_name,
    parse_store_path,
)
from nixenv.text import decode_word, mask_urls, printable, shorten, split_code

Target = Callable[[bytes], None]

STORE = "/nix/store"
ROOT = StorePath(f"{STORE}/{'a' * 32}-root")
PROGRAM = f"{ROOT}/bin/prog"
SMI_FIELDS = ("name", "driver_version", "compute_cap", "memory.total", "uuid", "compute_mode")

_PLACE = Path(tempfile.mkdtemp(prefix="nixenv-fuzz-"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _written(name: str, data: bytes) -> str:
    file = _PLACE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)
    return str(file)


def _launcher(data: bytes) -> None:
    """Follow a program to its end, on a disk that has an interpreter and this program."""
    python = f"{STORE}/{'b' * 32}-python3-3.12.12"
    disk = {
        PROGRAM: data,
        f"{ROOT}/bin/.prog-wrapped": data[::-1],
        f"{python}/bin/python3.12": b"\x7fELF",
        f"{python}/lib/python3.12/os.py": b"",
    }

    def names(directory: str) -> list[str]:
        return [path[len(directory) + 1 :].split("/")[0] for path in disk if directory in path]

    look = Look(disk.get, lambda path: path if path in disk else None, lambda _: True, names)
    for name, value in read_launcher(PROGRAM, STORE, look).carried:
        render(Environment((Default(name, value),)), "bash", {})
        os.fsencode(value)


def _shell(data: bytes) -> None:
    _launcher(b"#!/bin/sh\n" + data)


def _recipe(data: bytes) -> None:
    _launcher(b"\x7fELF\0makeCWrapper " + data)


def _script(data: bytes) -> None:
    _launcher(data)
    parse_module_list(_text(data))


def _store_path(data: bytes) -> None:
    text = _text(data)
    find_store_paths(text, STORE)
    enclosing_store_path(text, STORE)
    parse_store_name(text)
    with contextlib.suppress(ValueError):
        assert enclosing_store_path(parse_store_path(text, STORE), STORE) == text


def _cuda_name(data: bytes) -> None:
    # A store name has no more characters.
    name = _text(data)[:211]
    parse_cuda_name(name).is_of("12.8")
    parse_named_cuda(name)


def _profile(data: bytes) -> None:
    load_profile(_written("nixenv.toml", data))


def _names(data: bytes) -> None:
    text = _text(data)
    find_variables(text)
    is_made_of_names(text)
    substitute(text, {**dict.fromkeys(find_names(text)), "root": "/r"})


def _snapshot(data: bytes) -> None:
    load_snapshot(_written("snapshot.json", data))


def _record(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        record = parse_record(_text(data))
        assert format_record(record) == _text(data)
        plan_undo(record, {"PATH": "/a:/b"})


def _path_file(data: bytes) -> None:
    list(parse_path_lines("/nix/store/x", _text(data)))
    file = _written("path/lib/x.pth", data)
    probe_modules(os.path.dirname(file), STORE)


def _distribution(name: str) -> Target:
    """One file of a distribution's metadata, and all that reads it."""
    place = f"{name}/{'a' * 32}-x/lib/python3.12/site-packages"

    def target(data: bytes) -> None:
        for other in ("METADATA", "WHEEL", "RECORD"):
            _written(f"{place}/x-1.dist-info/{other}", b"Name: x\nVersion: 1\n")
        file = _written(f"{place}/x-1.dist-info/{name}", data)
        path = StorePath(str(_PLACE / name / f"{'a' * 32}-x"))
        probe_distributions(Probe((StoreObject(path, site_packages=("3.12",)),), None))
        metadata = os.path.dirname(file)
        read_record(metadata)
        plan_scripts([metadata], "/python", {})

    return target


def _pyvenv(data: bytes) -> None:
    parse_home(_text(data))


def _nvcc_profile(data: bytes) -> None:
    parse_host_compiler(_text(data), "")
    parse_host_compiler("", _text(data))


def _host_config(data: bytes) -> None:
    parse_newest_gcc(_text(data))


def _torch_version(data: bytes) -> None:
    parse_torch_cuda(_text(data))


def _gpu_codes(data: bytes) -> None:
    parse_codes(_text(data))


def _nvcc_flags(data: bytes) -> None:
    take_ccbin(split_flags(_text(data)))


def _build_file(data: bytes) -> None:
    parse_cuda_home(_text(data))


def _requisites(data: bytes) -> None:
    parse_requisites(_text(data), ROOT, STORE, Origin.NIX, "nix-store")


def _dump(data: bytes) -> None:
    closure_sizes(parse_dump(_text(data), STORE))


def _smi(data: bytes) -> None:
    parse_answer(_text(data), SMI_FIELDS)


def _proc(data: bytes) -> None:
    parse_avx2(_text(data))
    parse_listeners(_text(data), 30000)


def _farm_record(data: bytes) -> None:
    directory = os.path.dirname(_written("farm/nixenv-farm.json", data))
    read_conflicts(directory)
    find_problems(directory)


def _model(name: str) -> Target:
    """One file of a model, and all that reads it before the server does."""
    others = {
        "config.json": b'{"model_type": "phi3"}',
        "tokenizer_config.json": b'{"tokenizer_class": "TokenizersBackend"}',
        "tokenizer.json": b'{"added_tokens": []}',
    }

    def target(data: bytes) -> None:
        for other, content in others.items():
            _written(f"{name}-model/{other}", content)
        model = os.path.dirname(_written(f"{name}-model/{name}", data))
        with contextlib.suppress(NixenvError):
            probe_model(model)
        resolve_model({"SGLANG_MODEL": model, "FLOX_ENV_CACHE": str(_PLACE / "cache")})

    return target


def _env_file(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert format_resolution(parse_resolution(data)).encode() == data


def _arguments(data: bytes) -> None:
    text = _text(data)
    with contextlib.suppress(ValueError):
        find_option(text, "--served-model-name")
        format_command(split_words(text))


def _settings(data: bytes) -> None:
    text = _text(data)
    for parse in (
        *(values.parse_host, values.parse_port, values.parse_count, values.parse_rank),
        *(values.parse_address, values.parse_served_name, values.parse_backend),
        *(values.parse_dtype, values.parse_sampling_params, values.parse_switch, parse_limit),
    ):
        with contextlib.suppress(ValueError, NixenvError):
            parse(text)


def _shown(data: bytes) -> None:
    text = _text(data)
    assert printable(text).isprintable()
    mask_urls(text)
    shorten(text)
    split_code(text)
    with contextlib.suppress(ValueError):
        decode_word(text)


TARGETS: Mapping[str, Target] = {
    "launcher-shell": _shell,
    "launcher-recipe": _recipe,
    "launcher-script": _script,
    "store-path": _store_path,
    "cuda-name": _cuda_name,
    "profile": _profile,
    "names": _names,
    "snapshot": _snapshot,
    "activation-record": _record,
    "path-file": _path_file,
    "metadata": _distribution("METADATA"),
    "record": _distribution("RECORD"),
    "top-level": _distribution("top_level.txt"),
    "entry-points": _distribution("entry_points.txt"),
    "wheel": _distribution("WHEEL"),
    "pyvenv": _pyvenv,
    "nvcc-profile": _nvcc_profile,
    "host-config": _host_config,
    "torch-version": _torch_version,
    "gpu-codes": _gpu_codes,
    "nvcc-flags": _nvcc_flags,
    "build-file": _build_file,
    "requisites": _requisites,
    "dump": _dump,
    "nvidia-smi": _smi,
    "proc": _proc,
    "farm-record": _farm_record,
    "model-config": _model("config.json"),
    "tokenizer-config": _model("tokenizer_config.json"),
    "tokenizer": _model("tokenizer.json"),
    "weights-index": _model("model.safetensors.index.json"),
    "env-file": _env_file,
    "server-arguments": _arguments,
    "settings": _settings,
    "shown": _shown,
}
"""The targets by their names; each has a directory of inputs in ``corpus``."""


def run(name: str, data: bytes) -> None:
    """Give a target its input; what its reader documents is no fault."""
    with contextlib.suppress(NixenvError):
        TARGETS[name](data)
