"""What the tests of the hook share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.scene import Environ


@pytest.fixture
def environ(nixenv_on_path: Environ) -> Environ:
    """With nixenv on PATH, behind $FLOX_ENV/bin."""
    return nixenv_on_path


@pytest.fixture
def calls(environ: Environ, tmp_path: Path) -> Callable[[], int]:
    """Count the runs of nixenv."""
    log = tmp_path / "calls"
    directory = tmp_path / "counting"
    directory.mkdir()
    real = tmp_path / "nixenv-bin/nixenv"
    script = directory / "nixenv"
    script.write_text(f'#!/bin/sh\necho run >>"{log}"\nexec "{real}" "$@"\n')
    script.chmod(0o755)
    environ["PATH"] = f"{environ['PATH']}:{directory}".replace(f"{real.parent}:", "")
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0
