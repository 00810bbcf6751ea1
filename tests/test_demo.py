"""`make demo`: the first lines that a stranger sees, and the view below them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.wheels import fetch_wheels
from tests.real_shells import require_tool


def demo(path: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "fixtures.demo", *arguments],
        env={**os.environ, "PATH": path, **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def path_without_nix(tmp_path: Path) -> str:
    """A PATH with a shell, and with neither Nix nor a compiler."""
    for tool in ("bash", "wc"):
        (tmp_path / tool).symlink_to(require_tool(tool))
    return str(tmp_path)


def test_what_happened_stands_above_the_view() -> None:
    """Five lines, each true because its step was done, then the verdict."""
    require_tool("nix-build")
    done = demo(os.environ["PATH"])
    assert done.returncode == 0, done.stderr
    *lines, empty, verdict = done.stdout.splitlines()[:7]
    words = [line[:11].rstrip() for line in lines]
    assert words == ["Activated", "Imported", "Compiled", "Linked", "Go on"]
    assert "kernel.cu for sm_90, by nvcc of CUDA 13.0" in lines[2]
    assert (empty, verdict) == ("", "sglang: works with warnings")


def test_without_network_no_kernel_is_said_to_be_compiled(tmp_path: Path) -> None:
    """CUDA 13.0 cannot be fetched: it goes on with the stand-in of 12.8, and says that."""
    kept = fetch_wheels().nvcc.parent
    (tmp_path / kept.name).symlink_to(kept)
    done = demo(os.environ["PATH"], "--wheels", str(tmp_path), PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[:6]
    words = [line[:11].rstrip() for line in lines]
    assert words == ["Activated", "Imported", "Missing", "Compiled", "Linked", "Go on"]
    assert "stand-in of CUDA 12.8" in lines[2]
    assert "kernel" not in lines[3]


def test_without_network_and_without_anything_kept_a_recording_is_shown(tmp_path: Path) -> None:
    """As without Nix."""
    done = demo(os.environ["PATH"], "--wheels", str(tmp_path), PIP_NO_INDEX="1")
    assert done.returncode == 0
    assert done.stdout.startswith("Missing    the network, for CUDA's files")


def test_without_nix_a_recording_is_shown(path_without_nix: str) -> None:
    """What is missing is said first; nothing is said to be done that was not."""
    done = demo(path_without_nix)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, empty, verdict = done.stdout.splitlines()[:7]
    words = [line[:11].rstrip() for line in lines]
    assert words == ["Missing", "Replayed", "Exported", "Try", "Go on"]
    assert "nix-store, nix-build, c++" in lines[0]
    assert (empty, verdict) == ("", "sglang: works with warnings")


def test_no_server_without_nix(path_without_nix: str) -> None:
    """A recording cannot be started."""
    done = demo(path_without_nix, "--serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nix-store" in done.stderr
