"""What the tests of both programs start from."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.sglang.programs import SERVER, Environment

# A script for interpreters that have a transformers; there are no doctests in it.
collect_ignore = ["with_transformers.py"]


@pytest.fixture
def activated(tmp_path: Path) -> Environment:
    """An environment without models, with an empty cache."""
    environment = Environment(tmp_path)
    environment.make()
    return environment


@pytest.fixture(scope="session")
def fixture_server() -> ModuleType:
    """The stand-in for sglang.launch_server, as a module."""
    spec = importlib.util.spec_from_file_location("fixture_launch_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
