"""What becomes of LD_PRELOAD: real libraries and a real loader."""

import subprocess
import sys
from pathlib import Path

import pytest

from nixenv.evidence.preload import Preloads, Refusal, try_preloads


def library(file: Path, *options: str) -> str:
    source = "int f(void);\nint g(void) { return 0; }\n"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-x", "none", *options, "-o", str(file)]
    subprocess.run(command, input=source, text=True, check=True)
    return str(file)


def test_nothing_is_started_without_ld_preload() -> None:
    """Nothing could be said of it."""
    assert try_preloads({}, "/no/such/program") == Preloads()


def test_a_library_that_is_loaded(tmp_path: Path) -> None:
    """Is no finding."""
    good = library(tmp_path / "good.so")
    assert try_preloads({"LD_PRELOAD": good}, sys.executable) == Preloads()


def test_what_is_not_loaded(tmp_path: Path) -> None:
    """Each with the loader's words; the rest is."""
    good, text = library(tmp_path / "good.so"), tmp_path / "text.so"
    text.write_text("no library")
    found = try_preloads({"LD_PRELOAD": f"/gone.so:{good} {text} bare.so"}, sys.executable)
    assert [refusal.file for refusal in found.refused] == ["/gone.so", str(text), "bare.so"]
    assert found.refused[0] == Refusal("/gone.so", "cannot open shared object file")
    assert all(refusal.reason for refusal in found.refused)
    assert found.failure == ""


def test_a_library_that_lacks_another_ends_the_program(tmp_path: Path) -> None:
    """As one of the machine's does that wants a newer libc than the closure's."""
    needed = library(tmp_path / "needed.so")
    wanting = library(tmp_path / "wanting.so", "-Wl,--no-as-needed", needed)
    Path(needed).unlink()
    found = try_preloads({"LD_PRELOAD": wanting}, sys.executable)
    assert found.refused == ()
    assert "needed.so" in found.failure


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "a\0b"])
def test_a_program_that_fails_anyway(program: str) -> None:
    """It does not fail for what is preloaded."""
    assert try_preloads({"LD_PRELOAD": "/gone.so"}, program) == Preloads()
