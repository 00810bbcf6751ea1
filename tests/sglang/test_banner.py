"""The one line for the prompt: what it says, and that it agrees with the resolver."""

from pathlib import Path

import pytest

from nixenv.sglang.banner import describe_server
from nixenv.sglang.capability import describe_incapable, find_gpus_without_fp8
from tests.sglang.programs import (
    DEFAULT_ID,
    TOKENIZER,
    Environment,
    Outcome,
    bundle_model,
    cache_model,
    make_model,
    program,
    run,
)


def banner(activated: Environment, **changes: str) -> str:
    """The line, and that it is one, and all there is."""
    outcome: Outcome = run([*program("resolve"), "--banner"], activated.environ(changes))
    assert outcome.status == 0
    assert outcome.stderr == ""
    line = outcome.stdout.decode()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    return line[:-1]


def test_a_bundled_model_at_the_default_address(activated: Environment) -> None:
    """Without any variable."""
    bundle_model(activated)
    assert banner(activated) == f"sglang: {DEFAULT_ID} (bundled) on 0.0.0.0:30000"


def test_the_address_is_the_users(activated: Environment) -> None:
    """Host and port are those that the server will use."""
    line = banner(activated, SGLANG_MODEL="a/b", SGLANG_HOST="127.0.0.1", SGLANG_PORT="8080")
    assert line == "sglang: a/b (will download from HF) on 127.0.0.1:8080"


def place_model(activated: Environment, kind: str) -> str:
    """Make a model of a kind, and give the SGLANG_MODEL for it."""
    match kind:
        case "bundled":
            bundle_model(activated, tokenizer_config__json=TOKENIZER)
        case "flat":
            make_model(activated.hub.parent / "Tiny")
        case "directory":
            make_model(activated.home / "model")
        case "directory of a file's name":
            make_model(activated.home / "tiny.gguf")
        case "file":
            (activated.home / "model.gguf").write_bytes(b"GGUF")
        case "cached":
            cache_model(activated, "Qwen/Qwen3-8B", tokenizer_config__json=TOKENIZER)
    return {
        "bundled": DEFAULT_ID,
        "flat": "acme/Tiny",
        "directory": f"{activated.home}/model",
        "directory of a file's name": f"{activated.home}/tiny.gguf",
        "file": f"{activated.home}/model.gguf",
        "cached": "Qwen/Qwen3-8B",
        "remote": "s3://bucket/name",
        "unknown": "acme/Unknown",
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("bundled", "flat", "directory", "directory of a file's name", "file", "cached"),
        *("remote", "unknown"),
    ],
)
def test_it_agrees_with_the_resolver(kind: str, activated: Environment) -> None:
    """The same words for where the model comes from; and it makes nothing."""
    model = place_model(activated, kind)
    line = banner(activated, SGLANG_MODEL=model)
    assert not any(activated.cache.iterdir())
    told = activated.resolve(SGLANG_MODEL=model).stderr.partition(": ")[2]
    model_and_origin = line.removeprefix("sglang: ").partition(" on ")[0]
    assert told.startswith(model_and_origin)


@pytest.mark.parametrize("model", ["../nowhere", "no model", "a\nb", "\udcff\x1b[31m", "x" * 5000])
def test_a_model_that_cannot_be_served_is_told_in_the_line(
    model: str, activated: Environment
) -> None:
    """With the resolver's reason; whatever bytes the value has, the line is printable."""
    assert banner(activated, SGLANG_MODEL=model).startswith("sglang: cannot serve: SGLANG_MODEL: ")


def test_a_directory_is_called_one(activated: Environment) -> None:
    """Whatever its name."""
    model = place_model(activated, "directory of a file's name")
    assert "(local directory)" in banner(activated, SGLANG_MODEL=model)


def test_the_line_is_short_whatever_a_model_says(activated: Environment) -> None:
    """It becomes a variable: with one of 128 KiB no program could be started in the shell."""
    index = {"weight_map": {"a": "\x1b" * 1_000_000}}
    model = make_model(activated.home / "model", model__safetensors__index__json=index)
    assert len(banner(activated, SGLANG_MODEL=str(model))) < 2000
    assert len(banner(activated, SGLANG_MODEL="x" * 100_000)) < 2000
    assert len(banner(activated, SGLANG_HOST="x" * 100_000)) < 2000


def test_hostile_addresses_are_shown_and_do_nothing(activated: Environment) -> None:
    """As escapes."""
    line = banner(activated, SGLANG_MODEL="a/b", SGLANG_HOST="\x1b]0;x\x07", SGLANG_PORT="a\nb")
    assert line == r"sglang: a/b (will download from HF) on \x1b]0;x\x07:a\nb"


# Compute capability -------------------------------------------------------------------------------

TOO_OLD = (
    *("Tesla T4", "Tesla V100-SXM2-16GB", "NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe"),
    *("NVIDIA A10", "NVIDIA A10G", "NVIDIA A30", "NVIDIA A40", "NVIDIA A800 80GB PCIe"),
    *("NVIDIA RTX A6000", "NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 2080 Ti", "Tesla P100"),
    *("Quadro RTX 6000", "NVIDIA TITAN RTX", "NVIDIA GeForce GTX 1080", "NVIDIA A2", "Tesla K80"),
)
NEW_ENOUGH = (
    *("NVIDIA L4", "NVIDIA L40S", "NVIDIA GeForce RTX 4090", "NVIDIA RTX 6000 Ada Generation"),
    *("NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA B200", "NVIDIA GB200", "NVIDIA H20"),
    *("NVIDIA GeForce RTX 5090", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "NVIDIA GH200"),
)


def machine_with(directory: Path, *gpus: str) -> str:
    for number, name in enumerate(gpus):
        gpu = directory / f"proc/driver/nvidia/gpus/0000:0{number}:00.0"
        gpu.mkdir(parents=True)
        (gpu / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 140\n")
    return str(directory)


@pytest.mark.parametrize("name", TOO_OLD)
def test_gpus_before_fp8_are_named(name: str, tmp_path: Path) -> None:
    """As the driver names them."""
    assert find_gpus_without_fp8(machine_with(tmp_path, name, name)) == [name]


@pytest.mark.parametrize("name", NEW_ENOUGH)
def test_gpus_with_fp8_are_not(name: str, tmp_path: Path) -> None:
    """Nor is a machine without any."""
    assert find_gpus_without_fp8(machine_with(tmp_path, name)) == []
    assert find_gpus_without_fp8(str(tmp_path / "none")) == []


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """A directory in the place of the file."""
    (tmp_path / "proc/driver/nvidia/gpus/x/information").mkdir(parents=True)
    assert find_gpus_without_fp8(str(tmp_path)) == []


def test_the_default_model_is_said_not_to_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; nothing is said of another model, which may have its own needs."""
    told = describe_incapable(DEFAULT_ID, ["Tesla T4"])
    assert told is not None
    assert "needs compute capability 8.9, which Tesla T4 has not: SGLANG_MODEL=Qwen/" in told
    assert describe_incapable("Qwen/Qwen3-8B", ["Tesla T4"]) is None
    assert describe_incapable(DEFAULT_ID, []) is None
    monkeypatch.setattr("nixenv.sglang.banner.find_gpus_without_fp8", lambda: ["Tesla T4"])
    assert describe_server({"HOME": "/nonexistent"}) == (
        f"sglang: {DEFAULT_ID} (will download from HF) on 0.0.0.0:30000; it {told}"
    )
