"""What inspect says of closures with NVIDIA's own compiler: only what is so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.jit import JitPrograms
from tests.linked.scene import surroundings

# The codes about CUDA in layout store, and in layout linked.
EXPECTED = {
    "bindir": ({"cuda-stubs-on-run-path"}, set()),
    "path": ({"cuda-stubs-on-run-path"}, set()),
    "script": ({"cuda-stubs-on-run-path"}, set()),
    "scriptBesideGcc16": ({"cuda-stubs-on-run-path"}, set()),
    "joinedWithLoop": ({"cuda-stubs-on-run-path"}, set()),
    "cutlass": ({"cuda-stubs-on-run-path"}, set()),
    "newerNvcc": ({"cuda-stubs-on-run-path"}, set()),
    "olderWhole": ({"cuda-several-versions"}, {"cuda-several-versions"}),
    "cuobjdump": ({"cuda-stubs-on-run-path", "cuda-cuobjdump-missing"}, set()),
    "distributions": ({"cuda-distributions", "cuda-stubs-missing"}, {"cuda-stubs-missing"}),
    "distributionsOfUv": ({"cuda-distributions", "cuda-stubs-missing"}, {"cuda-stubs-missing"}),
    "wrongGcc": (
        {"cuda-stubs-on-run-path", "cuda-host-compiler-too-new"},
        {"cuda-host-compiler-too-new"},
    ),
    "withoutCccl": ({"cuda-stubs-on-run-path", "cuda-cccl-missing"}, {"cuda-cccl-missing"}),
}


def inspect(
    jit: JitPrograms, root: str, tmp_path: Path, *arguments: str, **more: str
) -> dict[str, Any]:
    command = (
        *(sys.executable, "-I", "-m", "nixenv", "inspect", "vllm", "--json", "--profile", "vllm"),
        *("--root", jit.roots[root], "--cache-dir", str(tmp_path / "cache"), *arguments),
    )
    before = surroundings(jit.store, tmp_path) | more
    done = subprocess.run(command, env=before, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def cuda_codes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["findings"] if one["code"].startswith("cuda-")}


@pytest.mark.parametrize("root", EXPECTED)
def test_what_is_said_of_a_closure(jit: JitPrograms, root: str, tmp_path: Path) -> None:
    """In layout store, and of layout linked before anything is built."""
    in_store, in_linked = EXPECTED[root]
    assert cuda_codes(inspect(jit, root, tmp_path)) == in_store
    linked = inspect(jit, root, tmp_path, "--layout", "linked")
    assert cuda_codes(linked) == in_linked
    missing = [one for one in linked["findings"] if one["code"] == "farm-missing"]
    assert [one["severity"] for one in missing] == ["note", "note"]
    assert not (tmp_path / "cache/nixenv/linked").exists()


def test_the_next_step_for_distributions_is_the_layout(jit: JitPrograms, tmp_path: Path) -> None:
    """No package to install."""
    assert "`--layout linked`" in inspect(jit, "distributions", tmp_path)["next_step"]


@pytest.mark.parametrize("root", ["newerNvcc", "olderWhole"])
def test_once_a_version_is_asked_for_nothing_warns_of_several(
    jit: JitPrograms, root: str, tmp_path: Path
) -> None:
    """Nor where the program settles it. Of a bare one that was asked for, what it lacks is told."""
    assert "cuda-several-compilers" not in cuda_codes(inspect(jit, root, tmp_path))
    asked = {"newerNvcc": "13.2", "olderWhole": "13.0"}[root]
    report = inspect(jit, root, tmp_path, "--cuda", asked)
    assert "cuda-several-compilers" not in cuda_codes(report)
    assert "cuda-runtime-headers-missing" in cuda_codes(report)
    whole = {"newerNvcc": "13.0", "olderWhole": "12.8"}[root]
    (remedy, *_) = {
        one["remedy"] for one in report["findings"] if one["code"] == "cuda-runtime-headers-missing"
    }
    assert remedy == f"take the closure's whole toolkit: `--cuda {whole}`"


def test_flags_by_which_nvcc_takes_any_gcc(jit: JitPrograms, tmp_path: Path) -> None:
    """Then it does not refuse the one that is too new."""
    allowing = {"NVCC_PREPEND_FLAGS": "-allow-unsupported-compiler"}
    report = inspect(jit, "wrongGcc", tmp_path, **allowing)
    assert "cuda-host-compiler-too-new" not in cuda_codes(report)


def test_gpus_are_held_against_what_this_nvcc_compiles_for(
    jit: JitPrograms, tmp_path: Path
) -> None:
    """The list is its own: 12.1 is in CUDA 13.0's, 3.5 is not."""
    for listed, is_there in (("12.1", False), ("3.5", True)):
        active = export(jit, tmp_path) | {"TORCH_CUDA_ARCH_LIST": listed}
        found = inspect(jit, "bindir", tmp_path, **active)["findings"]
        assert ("architecture-list-unfit" in {one["code"] for one in found}) is is_there


def export(jit: JitPrograms, tmp_path: Path) -> dict[str, str]:
    command = (
        *(sys.executable, "-I", "-m", "nixenv", "export", "vllm", "--shell", "json"),
        *("--profile", "vllm", "--root", jit.roots["bindir"]),
        *("--cache-dir", str(tmp_path / "cache")),
    )
    done = subprocess.run(
        command, env=surroundings(jit.store, tmp_path), capture_output=True, text=True, check=True
    )
    variables = json.loads(done.stdout)["variables"]
    return {name: value for name, value in variables.items() if value is not None}
