"""What a store name tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv import StoreObject
from nixenv.inspect.components import Component, Group, group_of, parse_component
from tests.closures import store_path


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("cuda12.8-libcublas-12.8.4.1-lib", Component("libcublas", "12.8.4.1", "lib")),
        ("cuda_nvcc-12.8.93", Component("cuda_nvcc", "12.8.93", "")),
        ("cuda-merged-12.8", Component("cuda-merged", "12.8", "")),
        ("python3-3.12.12", Component("python3", "3.12.12", "")),
        ("python3-3.12.12-env", Component("python3", "3.12.12-env", "")),
        ("python3.12-torch-2.9.1-dist", Component("torch", "2.9.1", "dist")),
        (
            "python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9",
            Component("sglang-python312-cuda12_8-all-avx2", "0.5.9", ""),
        ),
        ("python3.12-flash_attn-2.8.3+cu12.8?x", Component("flash_attn", "2.8.3+cu12.8?x", "")),
        ("glibc-2.40-66", Component("glibc", "2.40-66", "")),
        ("triton-llvm-21.0.0-git", Component("triton-llvm", "21.0.0-git", "")),
        ("ca-bundle.crt", Component("ca-bundle.crt", "", "")),
        ("cuda12.8-", Component("cuda12.8-", "", "")),
        ("lib", Component("lib", "", "")),
    ],
)
def test_names_as_nixpkgs_writes_them(name: str, component: Component) -> None:
    """Prefix, name, version and output."""
    assert parse_component(name) == component


@given(st.text(st.sampled_from("ab1.-_+?=python3cuda12.8-lib"), min_size=1, max_size=40))
def test_nothing_of_a_name_is_lost(name: str) -> None:
    """Put together again, the parts are the name, less a known prefix."""
    component = parse_component(name)
    together = "-".join(filter(None, (component.name, component.release)))
    assert name.endswith(together)
    assert component.name


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
