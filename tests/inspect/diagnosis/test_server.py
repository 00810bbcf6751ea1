"""What a server is told to do against its GPUs: as plain data, and as faults in an environment."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.machine import Machine
from nixenv.evidence.serving import Model, Server
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.server import check_server
from nixenv.inspect.serving import look_at_server
from tests.inspect.diagnosis.faults import assert_found_and_cured, codes, inspect
from tests.inspect.diagnosis.remedies import command_in

H100 = Gpu("H100", "9.0", 80_000)
L4 = Gpu("L4", "8.9", 24_000)
T4 = Gpu("T4", "7.5", 16_000)
NAMES = {"model": "SGLANG_MODEL", "parallel": "SGLANG_TP_SIZE", "dtype": "SGLANG_DTYPE"}
LLAMA = Model("/m", 16 << 30, "bfloat16", heads=32)
SERVER = Server(NAMES, "org/llama", LLAMA)


def check(server: Server, *gpus: Gpu, **variables: str) -> list[Finding]:
    machine = Machine("x86_64", driver=GpuDriver(gpus=gpus), server=server, variables=variables)
    return list(check_server(machine))


def check_model(*gpus: Gpu, **seen: Any) -> list[Finding]:
    return check(evolve(SERVER, model=evolve(LLAMA, **seen)), *gpus)


# Judged as plain data ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "parallel"), [([], "1"), ([], "8"), ([L4], "1"), ([L4] * 3, "2"), ([H100] * 8, "8")]
)
def test_a_server_that_fits(gpus: list[Gpu], parallel: str) -> None:
    """Nothing to know is nothing said; without a GPU nothing can be."""
    assert check(evolve(SERVER, parallel=parallel), *gpus) == []


@pytest.mark.parametrize(
    ("parallel", "gpus", "remedy"),
    [
        ("4", 2, "`export SGLANG_TP_SIZE=2`"),
        ("4", 3, "`export SGLANG_TP_SIZE=2`"),
        ("3", 4, "`export SGLANG_TP_SIZE=4`"),
        ("two", 1, "`export SGLANG_TP_SIZE=1`"),
        ("0", 1, "`export SGLANG_TP_SIZE=1`"),
    ],
)
def test_a_number_of_gpus_that_does_not_do(parallel: str, gpus: int, remedy: str) -> None:
    """More than there are, none that divides the heads, none at all: the largest that does."""
    (found,) = check(evolve(SERVER, parallel=parallel), *[L4] * gpus)
    assert (found.code, found.remedy) == ("server-parallel-unfit", remedy)


def test_gpus_that_are_hidden_do_not_count() -> None:
    """By CUDA_VISIBLE_DEVICES; and GPUs of other machines are not this one's."""
    wanted = evolve(SERVER, parallel="2")
    assert codes_of(check(wanted, L4, L4, CUDA_VISIBLE_DEVICES="1")) == ["server-parallel-unfit"]
    assert check(wanted, L4, L4, CUDA_VISIBLE_DEVICES="1,0") == []
    assert check(evolve(SERVER, parallel="4", nodes=2), L4, L4) == []
    assert len(check(evolve(SERVER, parallel="8", nodes=2), L4, L4)) == 1


def test_a_flag_wins() -> None:
    """Then the variable would change nothing: the remedy names the flag."""
    environ = {"SGLANG_MODEL": "s3://x/y", "SGLANG_TP_SIZE": "1", "SGLANG_EXTRA_ARGS": "--tp 2"}
    server = look_at_server("sglang", environ)
    assert server is not None
    (found,) = check(server, L4)
    assert found.remedy == "in SGLANG_EXTRA_ARGS, write `--tp-size 1`"


@pytest.mark.parametrize(
    ("gib", "dtype", "gpus", "remedy"),
    [
        (16, "bfloat16", [L4], None),
        (40, "float32", [L4], None),
        (24, "bfloat16", [L4], "serve a smaller model"),
        (24, "bfloat16", [L4, L4], "`export SGLANG_TP_SIZE=2`"),
        (50, "bfloat16", [L4, L4, L4, L4], "`export SGLANG_TP_SIZE=4`"),
        (500, "bfloat16", [H100, H100], "serve a smaller model"),
        (500, "bfloat16", [evolve(H100, is_split=True)], None),
        (500, "bfloat16", [evolve(H100, memory=None)], None),
    ],
)
def test_weights_and_memory(gib: int, dtype: str, gpus: list[Gpu], remedy: str | None) -> None:
    """Nine tenths of it are theirs; the remedy is the least number of GPUs that holds them."""
    found = check_model(*gpus, size=gib << 30, dtype=dtype)
    assert codes_of(found) == (["model-too-large"] if remedy else [])
    assert all(finding.remedy.startswith(remedy or "") for finding in found)


def test_weights_that_are_loaded_as_something_else() -> None:
    """In 32 bits if that is asked for; what is quantised on the way is not judged."""
    large = evolve(SERVER, model=evolve(LLAMA, size=20 << 30), dtype="float32")
    assert codes_of(check(large, L4)) == ["model-too-large"]
    huge = evolve(SERVER, model=evolve(LLAMA, size=90 << 30), quantisation="int4")
    assert check(huge, L4) == []


@pytest.mark.parametrize(
    ("method", "gpus", "severity"),
    [
        ("torchao float8", [L4], None),
        ("torchao", [T4], None),
        ("torchao float8", [T4], Severity.ERROR),
        ("torchao float8", [T4, L4], Severity.WARNING),
        ("fp8", [T4], Severity.ERROR),
        ("awq", [T4], None),
        ("modelopt nvfp4", [H100], Severity.ERROR),
        ("modelopt nvfp4", [evolve(H100, compute_capability=None)], None),
    ],
)
def test_formats_and_compute_capability(
    method: str, gpus: list[Gpu], severity: Severity | None
) -> None:
    """What the GPU cannot compute."""
    found = check_model(*gpus, size=1, quantisation=method)
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_the_default_model_is_known(tmp_path: Path) -> None:
    """It needs not be here; and SGLang itself runs from 7.5 on."""
    name = "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
    environ = {"SGLANG_MODEL": name, "HOME": str(tmp_path)}
    server = look_at_server("sglang", environ)
    assert server is not None
    (found,) = check(server, T4)
    assert (found.code, name in found.summary) == ("model-needs-newer-gpu", True)
    assert check(server, L4) == []
    other = look_at_server("sglang", {**environ, "SGLANG_MODEL": "a/b"})
    assert other is not None
    (found,) = check(other, evolve(T4, compute_capability="7.0"))
    assert (found.code, "another format" in found.remedy) == ("model-needs-newer-gpu", False)


def test_programs_that_are_no_known_servers() -> None:
    """Nothing is known of them."""
    assert look_at_server("jupyter", {"SGLANG_MODEL": "/nowhere"}) is None
    assert look_at_server(None, {}) is None


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, ""),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
        ({"HF_HUB_OFFLINE": "true"}, "HF_HUB_OFFLINE"),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, ""),
        ({"TRANSFORMERS_OFFLINE": "yes"}, "TRANSFORMERS_OFFLINE"),
    ],
)
def test_offline(tmp_path: Path, environ: dict[str, str], variable: str) -> None:
    """As huggingface_hub reads it; vLLM's model is looked for in the same places."""
    place = {"HOME": str(tmp_path), "VLLM_MODEL": "org/name"}
    server = look_at_server("vllm", {**place, **environ})
    assert server is not None
    assert server.offline == variable
    assert codes_of(check(server)) == (["model-missing"] if variable else [])


def codes_of(findings: list[Finding]) -> list[str]:
    return [str(finding.code) for finding in findings]


# Faults in a real environment, and their cures ---------------------------------------------------


@pytest.fixture
def with_gpus(nixenv_on_path: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A machine that says it has two L4, and a model of 30 GiB in 16 bits, its weights a hole."""
    directory = tmp_path / "smi"
    directory.mkdir()
    line = "NVIDIA L4, 570.86.15, 8.9, 23034, 4, GPU-{}, Default, Disabled, [N/A]"
    smi = directory / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '{line.format(0)}'\necho '{line.format(1)}'\n")
    smi.chmod(0o755)
    model = tmp_path / "home/large"
    model.mkdir(parents=True)
    config = {"model_type": "llama", "dtype": "bfloat16", "num_attention_heads": 32}
    (model / "config.json").write_text(json.dumps(config))
    with open(model / "model.safetensors", "wb") as file:
        os.truncate(file.fileno(), 30 << 30)
    return {**nixenv_on_path, "PATH": f"{nixenv_on_path['PATH']}{os.pathsep}{directory}"}


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("server-parallel-unfit", "export SGLANG_TP_SIZE=4"),
        ("model-too-large", "export SGLANG_MODEL=~/large"),
        ("gpu-hidden", "export CUDA_VISIBLE_DEVICES=7"),
        ("model-missing", "export SGLANG_MODEL=Qwen/Qwen3-4B HF_HUB_OFFLINE=1"),
        ("model-missing", "export SGLANG_MODEL=Qwen/Qwen3-4B TRANSFORMERS_OFFLINE=1"),
    ],
)
def test_a_fault_is_found_and_cured(with_gpus: dict[str, str], code: str, fault: str) -> None:
    """It triggers its own finding and no other; after the remedy all is as before."""
    assert_found_and_cured(with_gpus, code, fault)


def test_gpus_that_are_too_old_for_the_default_model(with_gpus: dict[str, str]) -> None:
    """What the environment brings needs 8.9; the remedy is a model that does without."""
    older = "mkdir -p ~/b && sed 's/L4/T4/; s/8\\.9/7.5/' $(command -v nvidia-smi) > ~/b/nvidia-smi"
    found = inspect(with_gpus, older, "chmod +x ~/b/nvidia-smi", 'PATH=~/b:"$PATH"')
    assert "model-needs-newer-gpu" in codes(found)
    cure = "export SGLANG_MODEL=Qwen/Qwen3-4B SGLANG_DTYPE=half"
    left = inspect(with_gpus, older, "chmod +x ~/b/nvidia-smi", 'PATH=~/b:"$PATH"', cure)
    assert "model-needs-newer-gpu" not in codes(left)


def test_a_limit_of_addresses(with_gpus: dict[str, str]) -> None:
    """CUDA does not start within it; the remedy lifts it."""
    limit = "ulimit -S -v 16777216"
    before, found, after = (
        [one for one in inspect(with_gpus, *steps) if "of addresses" in one["summary"]]
        for steps in ((), (limit,), (limit, "ulimit -S -v unlimited"))
    )
    assert (before, after) == ([], [])
    assert [(one["code"], one["severity"]) for one in found] == [("limit-low", "warning")]
    assert command_in(found[0]["remedy"]) == "ulimit -v unlimited"


def test_weights_that_are_not_there(with_gpus: dict[str, str]) -> None:
    """An index names them; followed, the remedy cures."""
    index = '{"weight_map": {"x": "b.safetensors"}}'
    fault = f"export SGLANG_MODEL=~/large; echo '{index}' > ~/large/model.safetensors.index.json"
    found = [one for one in inspect(with_gpus, fault) if one["code"] == "model-missing"]
    assert found[0]["evidence"] == ["b.safetensors"]
    left = inspect(with_gpus, fault, "rm ~/large/*.index.json")
    assert "model-missing" not in codes(left)


def test_a_name_that_is_no_model(with_gpus: dict[str, str]) -> None:
    """A directory that is not there, as sglang-serve would say."""
    found = inspect(with_gpus, "export SGLANG_MODEL=/no/such/model")
    (finding,) = [one for one in found if one["code"] == "model-missing"]
    assert "SGLANG_MODEL" in finding["summary"]


def test_what_is_secret_in_the_models_url_is_not_kept() -> None:
    """The report names the model."""
    server = look_at_server("sglang", {"SGLANG_MODEL": "redis://me:s3cret@host/name"})
    assert server is not None
    assert (server.name, server.problem) == ("redis://***@host/name", "")
