"""`nixenv prove` with NVIDIA's own compiler: all that needs no GPU, and faults that are seeded."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.jit import JitPrograms
from fixtures.wheels import fetch_toolkit
from tests.linked.scene import surroundings
from tests.real_shells import EVAL, evaluate

LAYOUTS = ("store", "linked")
RUNTIME = "nvidia_cuda_runtime/nvidia/cu13/lib/libcudart.so.13"

Steps = list[dict[str, Any]]


def prove(
    jit: JitPrograms, root: str, tmp_path: Path, layout: str = "store", **more: str
) -> tuple[int, Steps]:
    """Give the exit status and the steps."""
    command = (
        *(sys.executable, "-I", "-m", "nixenv", "prove", "vllm", "--json", "--profile", "vllm"),
        *("--root", jit.roots[root], "--layout", layout, "--cache-dir", str(tmp_path / "cache")),
    )
    before = surroundings(jit.store, tmp_path) | more
    done = subprocess.run(command, env=before, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)["steps"]


def failed(steps: Steps) -> dict[str, str | None]:
    """What failed, by the part, and the code of the finding that explains it."""
    found = {step["part"]: step["finding"] for step in steps if step["state"] == "failed"}
    return {part: finding and finding["code"] for part, finding in found.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wiring", ["bindir", "path", "script"])
def test_all_that_needs_no_gpu_is_done(
    jit: JitPrograms, wiring: str, layout: str, tmp_path: Path
) -> None:
    """Nothing is left out but what the driver is for."""
    status, steps = prove(jit, wiring, tmp_path, layout)
    assert (status, failed(steps)) == (0, {})
    passed = {step["part"] for step in steps if step["state"] == "passed"}
    assert passed >= {
        *("cache", "build file", "import", "device code", "host code", "link", "ninja", "load"),
        "triton launcher",
    }
    told = {step["detail"] for step in steps if step["state"] == "not tried"}
    assert all("no NVIDIA driver" in detail for detail in told)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_runtime_that_was_loaded_is_told(jit: JitPrograms, layout: str, tmp_path: Path) -> None:
    """Its version, by its own word, and the file."""
    _, steps = prove(jit, "bindir", tmp_path, layout)
    (load,) = [step for step in steps if step["name"] == "load the library"]
    assert re.fullmatch(rf"CUDA runtime 13\.0, from {jit.store.store_dir}/.*", load["detail"])


def test_a_gcc_that_nvcc_refuses(jit: JitPrograms, tmp_path: Path) -> None:
    """nvcc's own words, the finding, and what the finding says to do does it."""
    status, steps = prove(jit, "wrongGcc", tmp_path)
    assert (status, failed(steps)) == (1, {"device code": "cuda-host-compiler-too-new"})
    (step, *_) = [step for step in steps if step["state"] == "failed"]
    assert "unsupported GNU version! gcc versions later than 15" in step["detail"]
    remedy = step["finding"]["remedy"].strip("`")
    mended = evaluate(EVAL["bash"], remedy, {}, tmp_path)
    status, steps = prove(jit, "wrongGcc", tmp_path, CC=mended["CC"], CXX=mended["CXX"])
    assert (status, failed(steps)) == (0, {})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_header(jit: JitPrograms, layout: str, tmp_path: Path) -> None:
    """It is named, by the compiler and by the finding."""
    status, steps = prove(jit, "withoutCccl", tmp_path, layout)
    assert (status, failed(steps)) == (1, {"device code": "cuda-cccl-missing"})
    (step, *_) = [step for step in steps if step["state"] == "failed"]
    assert "fatal error: nv/target: No such file" in step["detail"]


def test_a_ninja_that_does_not_start(jit: JitPrograms, tmp_path: Path) -> None:
    """Nothing else fails."""
    status, steps = prove(jit, "brokenNinja", tmp_path)
    assert (status, failed(steps)) == (1, {"ninja": "tool-broken"})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_cuda_runtime_on_the_loaders_path(
    jit: JitPrograms, layout: str, tmp_path: Path
) -> None:
    """It is loaded in the place of the closure's, whose name it has."""
    foreign = tmp_path / "usr/local/cuda/lib64"
    foreign.mkdir(parents=True)
    shutil.copy(fetch_toolkit() / RUNTIME, foreign)
    status, steps = prove(jit, "bindir", tmp_path, layout, LD_LIBRARY_PATH=str(foreign))
    assert (status, failed(steps)) == (1, {"load": "environment-foreign-entries"})
    (step,) = [step for step in steps if step["state"] == "failed"]
    assert step["detail"] == f"{foreign}/libcudart.so.13"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_build_file_of_another_toolkit(jit: JitPrograms, layout: str, tmp_path: Path) -> None:
    """flashinfer's, of before an upgrade."""
    stale = tmp_path / "cache/flashinfer/cached_ops/norm/build.ninja"
    stale.parent.mkdir(parents=True)
    stale.write_text("ninja_required_version = 1.3\ncuda_home = /nix/store/old-cuda\n")
    status, steps = prove(jit, "bindir", tmp_path, layout)
    assert (status, failed(steps)) == (1, {"build file": "cache-other-toolkit"})


def test_cuda_of_distributions_in_layout_store(jit: JitPrograms, tmp_path: Path) -> None:
    """nvcc finds no cicc, and triton no stub of the driver."""
    status, steps = prove(jit, "distributions", tmp_path)
    assert status == 1
    assert failed(steps) == {
        "device code": "cuda-distributions",
        "triton launcher": "cuda-stubs-missing",
    }


def test_cuda_of_distributions_in_layout_linked(jit: JitPrograms, tmp_path: Path) -> None:
    """All compiles; there is no stub of the driver to link with."""
    status, steps = prove(jit, "distributions", tmp_path, "linked")
    assert status == 1
    assert failed(steps) == {"link": "cuda-stubs-missing", "triton launcher": "cuda-stubs-missing"}
    passed = {step["part"] for step in steps if step["state"] == "passed"}
    assert passed >= {"device code", "host code", "load"}
