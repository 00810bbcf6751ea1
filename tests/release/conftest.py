"""What is released, installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `make dist`, which names its directory; else one that is built the same way."""
    directory = Path(os.environ.get("NIXENV_DIST", tmp_path_factory.mktemp("dist")))
    if "NIXENV_DIST" not in os.environ:
        build = [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(directory),
            str(ROOT),
        ]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the wheel and what it requires, and no more."""
    prefix = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
    install = [f"{prefix}/bin/python", "-m", "pip", "install", "--quiet", str(wheel.resolve())]
    subprocess.run(install, check=True)
    return prefix
