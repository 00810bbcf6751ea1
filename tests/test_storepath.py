"""The grammar of store paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.storepath import (
    StoreName,
    enclosing_store_path,
    find_store_paths,
    parse_store_name,
    parse_store_path,
    store_name,
)

HASH = "vs486qjklkkwfds3151h2918x2xc2vqf"
hashes = st.text("0123456789abcdfghijklmnpqrsvwxyz", min_size=32, max_size=32)
names = st.text(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-._?=", min_size=1, max_size=211
)
store_dirs = st.sampled_from(["/nix/store", "/tmp/private store/nix", "/s", "/mnt/NIX"])


@given(store_dir=store_dirs, digest=hashes, name=names)
def test_what_the_grammar_allows_is_taken(store_dir: str, digest: str, name: str) -> None:
    """Any hash and any name of the grammar, in any store directory, parse to themselves."""
    path = parse_store_path(f"{store_dir}/{digest}-{name}", store_dir)
    assert path == f"{store_dir}/{digest}-{name}"
    assert store_name(path) == name


@given(store_dir=store_dirs, digest=hashes, name=names, inside=st.text(max_size=20))
def test_a_path_inside_is_cut_to_the_object(
    store_dir: str, digest: str, name: str, inside: str
) -> None:
    """Whatever follows the store object's name is cut off."""
    path = f"{store_dir}/{digest}-{name}"
    assert enclosing_store_path(f"{path}/{inside}", store_dir) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/nix/store",
        "/nix/store/",
        f"/nix/store/{HASH}",
        f"/nix/store/{HASH}-",
        f"/nix/store/{HASH[:-1]}-short",
        f"/nix/store/{HASH[:-1]}e-the-letters-e-o-t-u-are-not-used",
        f"/nix/store/{HASH}-a/b",
        f"/nix/store/{HASH}-a\n",
        f"/nix/store/{HASH}-a b",
        f"/nix/store/{HASH}-{'a' * 212}",
        f"/other/store/{HASH}-a",
        f"nix/store/{HASH}-a",
        "warning: something",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A line that is no store path of this store directory raises, naming the line."""
    with pytest.raises(ValueError, match="is no store path of /nix/store"):
        parse_store_path(text, "/nix/store")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cuda12.8-libcublas-12.8.4.1-lib", StoreName("cuda12.8", "libcublas", "12.8.4.1", "lib")),
        ("cuda_nvcc-12.8.93", StoreName("", "cuda_nvcc", "12.8.93", "")),
        ("cuda-merged-12.8", StoreName("", "cuda-merged", "12.8", "")),
        ("python3-3.12.12", StoreName("", "python3", "3.12.12", "")),
        ("python3-3.12.12-env", StoreName("", "python3", "3.12.12-env", "")),
        ("python3.12-torch-2.9.1-dist", StoreName("python3.12", "torch", "2.9.1", "dist")),
        (
            "python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9",
            StoreName("python3.12", "sglang-python312-cuda12_8-all-avx2", "0.5.9", ""),
        ),
        (
            "python3.12-flash_attn-2.8.3+cu12.8?x",
            StoreName("python3.12", "flash_attn", "2.8.3+cu12.8?x", ""),
        ),
        ("glibc-2.40-66", StoreName("", "glibc", "2.40-66", "")),
        ("triton-llvm-21.0.0-git", StoreName("", "triton-llvm", "21.0.0-git", "")),
        ("ca-bundle.crt", StoreName("", "ca-bundle.crt", "", "")),
        ("cuda12.8-", StoreName("", "cuda12.8-", "", "")),
        ("lib", StoreName("", "lib", "", "")),
    ],
)
def test_names_as_nixpkgs_writes_them(name: str, told: StoreName) -> None:
    """Prefix, name, version and output."""
    assert parse_store_name(name) == told


@given(st.text(st.sampled_from("ab1.-_+?=python3cuda12.8-lib"), min_size=1, max_size=40))
def test_nothing_of_a_name_is_lost(name: str) -> None:
    """Put together again, the parts are the name."""
    told = parse_store_name(name)
    assert "-".join(filter(None, (told.prefix, told.name, told.release))) == name
    assert told.name


@pytest.mark.parametrize(
    "path",
    [
        "/nix/store",
        "/nix/store/",
        f"/nix/store/{HASH}",
        f"/nix/store/{HASH}-",
        f"/nix/store/{HASH[:-1]}-short/bin",
        f"/nix/store/.links/{HASH}-a",
        f"/nix/storeroom/{HASH}-a",
        f"/other/nix/store/{HASH}-a",
        f"{HASH}-a/bin",
    ],
)
def test_what_is_in_no_store_object(path: str) -> None:
    """Nothing is cut: no directory of the store, and no other directory, is a store object."""
    assert enclosing_store_path(path, "/nix/store") is None


def test_a_store_directory_may_end_in_a_slash() -> None:
    """As people set it."""
    path = f"/nix/store/{HASH}-a"
    assert enclosing_store_path(f"{path}/bin", "/nix/store/") == path


def test_the_store_paths_in_a_text() -> None:
    """Each once, in their order, wherever they stand; those of another store are none."""
    a, b = f"/nix/store/{HASH}-a-1.0", f"/nix/store/{HASH}-b"
    text = f"PATH='{b}/bin:{a}/bin' {b} /nix/store/{HASH}- /opt/store/{HASH}-c /nixXstore/{HASH}-c"
    assert find_store_paths(text, "/nix/store") == (b, a)
    assert find_store_paths(f"x /nnx/store/{HASH}-a", "/n+x/store") == ()
