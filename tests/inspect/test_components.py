"""What a store object is there for."""

import pytest

from nixenv.inspect.components import Group, group_of
from nixenv.road.probe import StoreObject
from tests.closures import store_path


@pytest.mark.parametrize(
    ("name", "note", "group"),
    [
        ("python3.12-torch-2.9.1", {}, Group.PYTHON),
        ("python3-3.12.12", {}, Group.PYTHON),
        ("meson-1.9.1", {"site_packages": ("3.12",)}, Group.PYTHON),
        ("cuda12.8-libcublas-12.8.4.1-lib", {}, Group.CUDA),
        ("cudnn-9.8.0.87-lib", {"cuda_marker": True}, Group.CUDA),
        ("glibc-2.40-66", {}, Group.OTHER),
        ("ninja-1.13.1", {"programs": ("ninja",)}, Group.OTHER),
    ],
)
def test_what_a_store_object_is_there_for(
    name: str, note: dict[str, tuple[str, ...]], group: Group
) -> None:
    """By its name, or by what it holds."""
    path = store_path(name)
    found = StoreObject(path, **note) if note else None  # type: ignore[arg-type]
    assert group_of(path, found) is group
