"""`nixenv prove`: it fails where a JIT compiler would, and says by what."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Nixenv
from tests.inspect.diagnosis.remedies import command_in
from tests.machine import mounting

PROVE = (sys.executable, "-I", "-m", "nixenv", "prove", "--json")


def prove(environ: Mapping[str, str], *prefix: str) -> dict[str, Any]:
    done = subprocess.run(
        [*prefix, *PROVE], env=dict(environ), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["failed"] == (done.returncode == 1)
    return document


def states(document: Mapping[str, Any], part: str) -> list[str]:
    return [step["state"] for step in document["steps"] if step["part"] == part]


def failures(document: Mapping[str, Any], part: str) -> list[Any]:
    return [
        step for step in document["steps"] if step["part"] == part and step["state"] == "failed"
    ]


def test_every_cache_directory_is_tried(environ: dict[str, str]) -> None:
    """Each that a variable of the profile names, the user's own value in place of ours."""
    environ["TRITON_CACHE_DIR"] = f"{environ['HOME']}/my-triton"
    document = prove(environ)
    tried = [step["name"] for step in document["steps"] if step["part"] == "cache"]
    assert f"write to TRITON_CACHE_DIR={environ['HOME']}/my-triton and load from it" in tried
    assert len(tried) == 8
    assert set(states(document, "cache")) == {"passed"}


def test_nothing_is_left_behind(environ: dict[str, str]) -> None:
    """The scratch directories are gone; the cache directories that were made are empty."""
    prove(environ)
    cache = Path(environ["FLOX_ENV_CACHE"])
    assert [file for file in cache.rglob("*") if not file.is_dir()] == []
    assert [path for path in cache.rglob("*") if "prove" in path.name] == []


def test_the_programs_entry_point_is_imported(environ: dict[str, str]) -> None:
    """By the closure's own metadata, in the closure's own interpreter."""
    (step,) = [step for step in prove(environ)["steps"] if step["part"] == "import"]
    assert step["state"] == "passed", step
    assert "sglang.cli.main" in step["detail"]


def test_an_import_that_fails(environ: dict[str, str]) -> None:
    """Is a failure, with Python's own words."""
    (step,) = failures(prove({**environ, "PYTHONHASHSEED": "nonsense"}), "import")
    assert "PYTHONHASHSEED must be" in step["detail"]


def test_a_cache_directory_that_is_mounted_noexec(environ: dict[str, str], tmp_path: Path) -> None:
    """What is compiled there could not be loaded."""
    directory = tmp_path / "noexec"
    directory.mkdir()
    environ["TRITON_CACHE_DIR"] = str(directory)
    document = prove(environ, *mounting(f"-t tmpfs -o noexec none {directory}"))
    (step,) = failures(document, "cache")
    assert "TRITON_CACHE_DIR" in step["name"]
    assert "noexec" in step["detail"]
    assert step["finding"]["code"] == "cache-directory-noexec"


@pytest.mark.parametrize("layout", ["store", "linked"])
def test_what_a_shell_is_activated_with_is_kept_to(
    nixenv_on_path: dict[str, str], layout: str
) -> None:
    """After the remedy for a noexec cache, prove and inspect pass in the same shell."""
    environ = nixenv_on_path
    cache = environ["FLOX_ENV_CACHE"]
    os.mkdir(cache)
    mount = mounting(f"-t tmpfs -o noexec none {cache}")
    activate = f'e=$(nixenv export --layout {layout}) && eval "$e"'
    attempt = "nixenv prove --json || true"

    def documents(*steps: str) -> list[Any]:
        bash = [*mount, "bash", "--norc", "--noprofile", "-c", "\n".join((activate, *steps))]
        done = subprocess.run(bash, env=environ, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [json.loads(text) for text in done.stdout.split("\0")]

    (failed,) = documents(attempt)
    (step,) = failures(failed, "cache")[:1]
    remedy = command_in(step["finding"]["remedy"])
    end = r"printf '\0'"
    proof, report, told = documents(
        *(remedy, attempt, end, "nixenv inspect --json", end),
        'unset FLOX_ENV_CACHE HOME; nixenv snapshot; rm -rf "${TRITON_CACHE_DIR%/*}"',
    )
    assert set(states(proof, "cache")) == {"passed"}
    assert (failed["layout"], proof["layout"], report["layout"]) == (layout,) * 3
    codes = {finding["code"].partition("-")[0] for finding in report["findings"]}
    assert not codes & {"cache", "environment", "farm"}
    assert told["request"]["layout"] == layout
    assert not told["request"]["cache_dir"].startswith(cache)


def test_a_cache_directory_that_is_full(environ: dict[str, str], tmp_path: Path) -> None:
    """The system's own words."""
    directory = tmp_path / "full"
    directory.mkdir()
    environ["TRITON_CACHE_DIR"] = str(directory)
    document = prove(environ, *mounting(f"-t tmpfs -o size=4k none {directory}"))
    (step,) = failures(document, "cache")
    assert step["detail"] == "No space left on device"


def test_a_cache_directory_that_is_a_file(environ: dict[str, str], tmp_path: Path) -> None:
    """The finding about it is named."""
    file = tmp_path / "file"
    file.write_text("")
    environ["TRITON_CACHE_DIR"] = str(file)
    (step,) = failures(prove(environ), "cache")
    assert step["finding"]["code"] == "cache-directory-unwritable"


def test_build_files_of_another_toolkit(environ: dict[str, str]) -> None:
    """flashinfer's of an earlier CUDA_HOME."""
    stale = Path(environ["FLOX_ENV_CACHE"], "flashinfer/cached_ops/norm/build.ninja")
    stale.parent.mkdir(parents=True)
    stale.write_text("ninja_required_version = 1.3\ncuda_home = /nix/store/old-cuda\n")
    (step,) = failures(prove(environ), "build file")
    assert step["detail"] == f"{stale} is for /nix/store/old-cuda"
    assert step["finding"]["code"] == "cache-other-toolkit"


def test_what_cannot_be_tried_is_no_failure(environ: dict[str, str]) -> None:
    """There is no driver on the machine of this test, or there is one and it is tried."""
    document = prove(environ)
    assert "failed" not in states(document, "driver")


def test_without_an_environment_there_is_nothing_to_prove(nixenv: Nixenv) -> None:
    """The error and the exit code are export's."""
    done = nixenv("prove", "no-such-program")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no-such-program" in done.stderr


def test_for_a_person_each_step_has_its_line(nixenv: Nixenv) -> None:
    """With a mark, and a sum at the end."""
    lines = nixenv("prove").stdout.splitlines()
    assert sum(line.startswith(("ok  ", "FAIL", "--  ")) for line in lines) > 12
    assert any("steps passed" in line for line in lines)


def test_a_signal_leaves_nothing_behind(environ: dict[str, str]) -> None:
    """No scratch directory and no child, and it died of the signal."""
    process = subprocess.Popen(PROVE[:-1], env=environ, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout as output:
        assert output.readline().startswith(b"ok")
        process.terminate()
        assert process.wait(timeout=60) == -15
    scratch = Path(environ["FLOX_ENV_CACHE"]).rglob("*prove*")
    assert list(scratch) == []
    assert os.path.isdir(environ["FLOX_ENV_CACHE"])
