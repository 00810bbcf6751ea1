from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms
from tests.linked.scene import Activated, activate, plan_farms


@pytest.fixture(scope="session")
def activated(sglang: SglangClosure, tmp_path_factory: pytest.TempPathFactory) -> Activated:
    """The main job in layout `linked`; no test may change what is in its cache directory."""
    return activate(sglang.store, sglang.root, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def planned(sglang: SglangClosure, tmp_path: Path) -> tuple[Inventory, Farms]:
    """The main job's inventory, and farms that are not there yet."""
    return plan_farms(sglang, sglang.root, tmp_path / "cache")
