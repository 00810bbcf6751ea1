"""The checks of what variables lead to: each fault in a real environment, and its cure."""

from typing import Any

import pytest

from nixenv.evidence.caches import BuildFile, CacheContents, DirectoryState, ForeignDirectory
from nixenv.evidence.machine import Machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.caches import check_caches
from tests.inspect.diagnosis.faults import assert_found_and_cured, codes, inspect

VARIABLES = {"TRITON_CACHE_DIR": "/cache/triton", "CUDA_HOME": "/store/cuda"}
MANY = 10**12


def check(*directories: DirectoryState, caches: CacheContents | None = None) -> list[Finding]:
    machine = Machine("x86_64", directories=directories, caches=caches or CacheContents("me"))
    return list(check_caches(VARIABLES, machine, "nixenv export"))


def state(variable: str, problem: str = "", **seen: Any) -> DirectoryState:
    return DirectoryState(variable, f"/{variable.lower()}", problem, **seen)


# Judged as plain data ----------------------------------------------------------------------------


def test_directories_in_order() -> None:
    """Nothing to know; a file system that does not count its files has room for them."""
    assert check(state("TRITON_CACHE_DIR", free=MANY, free_files=MANY)) == []
    assert check(state("TRITON_CACHE_DIR", free=MANY)) == []


def test_a_given_directory_that_is_closed() -> None:
    """It may be so on purpose, as a cache of models that somebody filled: a warning."""
    found = check(state("TRITON_CACHE_DIR", "Permission denied"), state("HF_HOME", "Read-only"))
    assert [(f.code, f.severity) for f in found] == [
        ("cache-directory-unwritable", Severity.ERROR),
        ("cache-directory-unwritable", Severity.WARNING),
    ]
    assert found[1].remedy == "`unset HF_HOME`"


def test_noexec_matters_only_where_libraries_are_compiled() -> None:
    """From TMPDIR and a cache of models none is loaded."""
    assert check(state("TMPDIR", is_noexec=True), state("HF_HOME", is_noexec=True)) == []
    (found,) = check(state("TRITON_CACHE_DIR", is_noexec=True))
    assert found.code == "cache-directory-noexec"


@pytest.mark.parametrize(
    ("seen", "words"),
    [({"free": 200 << 20}, "200 MiB free"), ({"free": MANY, "free_files": 3}, "3 more files")],
)
def test_little_room(seen: dict[str, Any], words: str) -> None:
    """In bytes or in files, wherever a variable leads."""
    (found,) = check(state("HF_HOME", **seen))
    assert found.code == "cache-directory-nearly-full"
    assert words in found.evidence[0]


def test_another_users_directories() -> None:
    """An error where nothing can be written there; the command names them all."""
    shut = ForeignDirectory("/c/a b", "root", is_closed=True)
    (found,) = check(caches=CacheContents("me", foreign=(shut,)))
    assert (found.code, found.severity) == ("cache-foreign-owner", Severity.ERROR)
    assert found.remedy == "as root, `chown -R me '/c/a b'`"


def test_build_files_for_the_same_toolkit() -> None:
    """They are as they should be; long lists are not shown whole."""
    files = tuple(BuildFile(f"/c/{number}/build.ninja", "/store/cuda") for number in range(9))
    assert check(caches=CacheContents("me", files)) == []
    stale = tuple(BuildFile(file.path, "/old") for file in files)
    (found,) = check(caches=CacheContents("me", stale))
    assert (len(found.evidence), found.evidence[-1]) == (6, "and 4 more")


# Faults in a real environment, and their cures ---------------------------------------------------

TORCH = '"$TORCH_EXTENSIONS_DIR"'
MOUNTED = "mkdir -p ~/c && mount -t tmpfs -o size=1g,{} none ~/c && export {}=~/c"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("cache-directory-noexec", MOUNTED.format("noexec", "TRITON_CACHE_DIR")),
        ("cache-directory-nearly-full", MOUNTED.format("size=50m", "HF_HOME")),
        ("cache-directory-nearly-full", MOUNTED.format("nr_inodes=9", "TMPDIR")),
        ("cache-directory-unwritable", MOUNTED.format("ro", "XDG_CACHE_HOME")),
        ("cache-directory-unwritable", MOUNTED.format("nr_inodes=1", "FLASHINFER_WORKSPACE_BASE")),
        ("cache-directory-unwritable", "export TMPDIR=/var/tmp/no/such/directory"),
        ("cache-directory-unwritable", "mkdir -p ~ && touch ~/hf && export HF_HOME=~/hf"),
        ("cache-dead-lock", f"mkdir -p {TORCH}/py312/norm && touch {TORCH}/py312/norm/lock"),
        (
            "cache-other-toolkit",
            f"mkdir -p {TORCH}/x && echo 'nvcc = /usr/local/old/bin/nvcc' > {TORCH}/x/build.ninja",
        ),
    ],
)
def test_a_fault_is_found_and_cured(nixenv_on_path: dict[str, str], code: str, fault: str) -> None:
    """It triggers its own finding and no other; after the remedy all is as before."""
    assert_found_and_cured(nixenv_on_path, code, fault)


def test_a_lock_whose_holder_lives(nixenv_on_path: dict[str, str]) -> None:
    """torch is at work there: nothing to say."""
    hold = f"mkdir -p {TORCH}/x && exec 7>{TORCH}/x/lock"
    assert "cache-dead-lock" not in codes(inspect(nixenv_on_path, hold))
