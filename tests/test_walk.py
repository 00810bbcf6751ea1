"""What docs/from-the-bash-walk.md says of the walk that nixenv replaces is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks
from tests.real_shells import SEARCH_PATH

WALK = (ROOT / "benchmarks/walk.bash").read_text()
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def walked(nixenv_on_path: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Where the walk lies beside the shell, for the Python of the fixture."""
    (tmp_path / "walk.bash").write_text(WALK.replace("3.12", MINOR))
    return nixenv_on_path


def bash(code: str, environ: dict[str, str], directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", code],
        env=environ,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_line_of_the_walk_is_in_the_table() -> None:
    """What the table shows as code of the walk stands there, but for what it leaves out."""
    document = (ROOT / "docs/from-the-bash-walk.md").read_text()
    table = document.partition("## Line by line")[2].partition("And time")[0]
    shown = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(shown) > 8
    for code in shown:
        assert code.replace("\\|", "|") in WALK


def test_the_comparison_shows_what_differs(walked: dict[str, str], tmp_path: Path) -> None:
    """As it is printed: CUDA_HOME without nvcc there, with it here."""
    (code,) = blocks("docs/from-the-bash-walk.md", "bash")
    done = bash(code, walked, tmp_path)
    assert done.stderr == ""
    (theirs,) = re.findall(r"^< CUDA_HOME=(.*)$", done.stdout, re.MULTILINE)
    (ours,) = re.findall(r"^> CUDA_HOME=(.*)$", done.stdout, re.MULTILINE)
    assert not Path(theirs, "bin/nvcc").exists()
    assert Path(ours, "bin/nvcc").exists()


def test_inspect_says_what_the_walk_left_wrong(walked: dict[str, str], tmp_path: Path) -> None:
    """In a shell where it has run."""
    done = bash("source ./walk.bash; nixenv inspect", walked, tmp_path)
    said = done.stdout.partition("environment-not-active")[2].partition("\n\n")[0]
    assert re.search(r"CUDA_HOME is \S+-dev\n +CUDA_HOME should be \S+-cuda_nvcc-", said)
    assert "PYTHONPATH lacks " in said


def test_the_walks_python_is_not_the_programs(walked: dict[str, str], tmp_path: Path) -> None:
    """The older packaging, and no cutlass."""
    code = 'python3 -c "import packaging; print(packaging.__version__)\nimport cutlass"'
    theirs = bash(f"source ./walk.bash; {code}", walked, tmp_path)
    assert theirs.stdout == "20.9\n"
    assert "No module named 'cutlass'" in theirs.stderr
    ours = bash(f'e=$(nixenv export sglang) && eval "$e"; {code}', walked, tmp_path)
    assert (ours.stdout, ours.returncode) == ("25.0\n", 0), ours.stderr


def test_without_the_program_the_walk_says_nothing(
    nixenv_on_path: dict[str, str], tmp_path: Path
) -> None:
    """Status 0, and CUDA_HOME is empty; nixenv refuses."""
    nixenv = nixenv_on_path["PATH"].rpartition(":")[2]
    environ = {**nixenv_on_path, "PATH": f"{SEARCH_PATH}:{nixenv}"}
    (tmp_path / "walk.bash").write_text(WALK)
    done = bash('source ./walk.bash 2>/dev/null; echo "$? [$CUDA_HOME]"', environ, tmp_path)
    assert done.stdout == "0 []\n"
    del environ["FLOX_ENV"]
    assert bash("nixenv export sglang", environ, tmp_path).returncode == 3
