"""What the tests of both programs start from."""

from pathlib import Path

import pytest

from tests.sglang.programs import Environment


@pytest.fixture
def activated(tmp_path: Path) -> Environment:
    """An environment without models, with an empty cache."""
    environment = Environment(tmp_path)
    environment.hub.mkdir(parents=True)
    environment.cache.mkdir()
    return environment
