"""What somebody else wrote may be anything: it ends in a message, within bounds, or counts as none.

Each run may take half a gigabyte of memory: what reads without end fails here, and harms nobody.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from tests.real_shells import SEARCH_PATH

Environ = dict[str, str]
Done: TypeAlias = "subprocess.CompletedProcess[str]"

# KiB, and seconds.
_MEMORY = 1 << 19
_TIME = 60


def nixenv(environ: Environ, *arguments: str, memory: int = _MEMORY) -> Done:
    """Run the command line within limits."""
    command = shlex.join((sys.executable, "-m", "nixenv", *arguments))
    return subprocess.run(
        ["/bin/sh", "-c", f"ulimit -v {memory}; exec {command}"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=_TIME,
    )


def refused(done: Done, code: int, *words: str) -> None:
    """The exit code, empty stdout, and a short message of ours with these words."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr[:2000]
    assert done.stderr.startswith("nixenv: error: ")
    assert len(done.stderr) < 10_000
    for word in (*words, "\n  next: "):
        assert word in done.stderr


@pytest.fixture
def store(tmp_path: Path, environ: Environ) -> PrivateStore:
    """A small store of one's own to spoil."""
    store = PrivateStore.create(tmp_path / "spoilt")
    root = load_synthetic_closure(store, 60, python=Path(sys.executable).resolve())
    environ.update(store.environ, PATH=f"{root}/bin:{SEARCH_PATH}")
    return store


def site_of(store: PrivateStore, name: str) -> Path:
    (path,) = Path(store.store_dir).glob(f"*-python3.12-{name}-*")
    return path / "lib/python3.12/site-packages"


# Store objects -------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["RECORD", "top_level.txt"])
@pytest.mark.parametrize(
    "content",
    [
        b"a\0b,x,1\n\xff\xfe,y,2\n../../../x,,\n\xff\xfe",
        b"a" * 200_000 + b",,\n" + b"/".join([b"b"] * 200_000) + b",,",
        b"\n".join(b"%d" % number + b"/a" * 60_000 + b",,1" for number in range(100)),
        b"a/" * 30_000,
    ],
    ids=["bytes", "fields", "deep", "one"],
)
def test_which_files_a_distribution_has(
    file: str, content: bytes, store: PrivateStore, environ: Environ
) -> None:
    """In two versions of one, so that layout linked has to know; it is told or it is not."""
    own = next(site_of(store, "attrs").glob("*.dist-info"))
    other = site_of(store, "certifi") / "attrs-0.1.dist-info"
    other.mkdir()
    for metadata in (own, other):
        (metadata / file).write_bytes(content)
    for command in (("export", "--layout", "linked"), ("inspect",)):
        done = nixenv(environ, *command)
        assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def directories_without_end(place: Path) -> Iterator[None]:
    """As deep as a path can be. They go again with the test: pytest, which calls itself for each
    level, dies on them when it clears away what was left by the runs before its last three."""
    inner = os.open(place, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=inner)
            outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
            os.close(outer)
        yield
    finally:
        os.close(inner)
        subprocess.run(["rm", "-r", place / "d"], check=True)


def test_directories_without_end(store: PrivateStore, environ: Environ) -> None:
    """What calls itself for each level would end."""
    with directories_without_end(site_of(store, "attrs")):
        done = nixenv(environ, "inspect")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["pipe", "device", "long"])
@pytest.mark.parametrize("name", ["entry_points.txt", "RECORD", "METADATA"])
def test_metadata_without_end(
    name: str, kind: str, store: PrivateStore, environ: Environ, tmp_path: Path
) -> None:
    """Nobody waits for it, and no more than a part is read."""
    (tmp_path / "odd").mkdir()
    metadata = next(site_of(store, "attrs").glob("*.dist-info"))
    (metadata / name).unlink(missing_ok=True)
    (metadata / name).symlink_to(endless(tmp_path / "odd", kind))
    done = nixenv(environ, "export", "--layout", "linked", "--shell", "json")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["pipe", "device", "long"])
def test_a_profile_of_nvcc_without_end(
    kind: str, store: PrivateStore, environ: Environ, tmp_path: Path
) -> None:
    """Likewise."""
    (nvcc,) = Path(store.store_dir).glob("*-cuda_nvcc-12.8.93")
    (nvcc / "bin/nvcc.profile").unlink()
    (nvcc / "bin/nvcc.profile").symlink_to(endless(tmp_path, kind))
    done = nixenv(environ, "export", "--layout", "linked", "--shell", "json")
    assert (done.returncode, done.stderr) == (0, "")


# Files that the user names ---------------------------------------------------------------------


def endless(directory: Path, kind: str) -> str:
    """A file that ends never, holds its reader for ever, or is longer than any."""
    file = directory / kind
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        with file.open("wb") as stream:
            stream.truncate(1 << 30)
    return str(file)


KINDS = pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("pipe", "it is no regular file"),
        ("device", "it is no regular file"),
        ("long", "it has more than"),
    ],
)


@KINDS
@pytest.mark.parametrize("option", ["--profile", "--from"])
def test_a_file_without_end(
    option: str, kind: str, why: str, environ: Environ, tmp_path: Path
) -> None:
    """Profiles and snapshots."""
    file = endless(tmp_path, kind)
    refused(nixenv(environ, "export", option, file), 1, f"{file} cannot be read: {why}")


@KINDS
def test_a_list_without_end(
    kind: str, why: str, environ: Environ, sglang: SglangClosure, tmp_path: Path
) -> None:
    """requisites.txt."""
    file = endless(tmp_path, kind)
    (tmp_path / "requisites.txt").symlink_to(file)
    environ.update(PATH=f"{sglang.root}/bin", FLOX_ENV=str(tmp_path))
    del environ["NIX_BIN"]
    refused(nixenv(environ, "export"), 1, f"requisites.txt cannot be read: {why}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"x = {'1' * 5000}", "this is no TOML: "),
        (f"x = {'[' * 50_000}", "this is no TOML: "),
        ("x = 1\0", "this is no TOML: "),
        (f'minimum-version = "{"1" * 5000}"', "wants a version of nixenv"),
        (f'minimum-version = "{"1." * 100_000}1"', "wants a version of nixenv"),
        (f'layout = "{"x" * 500_000}"', "(500"),
        ('binary = "a\\u0000b"', "no program"),
        ('root = "/a\\u0000b"', "does not exist"),
    ],
)
def test_a_profile_that_is_absurd(text: str, words: str, environ: Environ, tmp_path: Path) -> None:
    """A message, and not the whole of it."""
    file = tmp_path / "own.toml"
    file.write_text(text)
    done = nixenv(environ, "export", "--profile", str(file))
    refused(done, 3 if "u0000" in text else 1, words)


# Nix -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("yes | tr -d '\\n'", "wrote more than 64 MiB"),
        ("head -c 60000000 /dev/zero | tr '\\0' x", "is no store path"),
        ("head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1", "exit status 1"),
        ("yes no | head -c 50000000 >&2; exit 1", "exit status 1"),
    ],
)
def test_a_nix_that_does_not_end(script: str, words: str, environ: Environ, tmp_path: Path) -> None:
    """Neither is all of it kept, nor said again."""
    stand_in = tmp_path / "stand-in" / "nix-store"
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    environ["PATH"] = f"{stand_in.parent}:{environ['PATH']}"
    del environ["FLOX_ENV"]
    done = nixenv(environ, "export")
    assert (done.returncode, done.stdout) == (4, "")
    message = done.stderr[done.stderr.index("nixenv: error: ") :]
    assert words in message
    assert len(message) < 100_000


# The locale, and memory --------------------------------------------------------------------------


def test_a_value_beyond_the_locale(environ: Environ, tmp_path: Path) -> None:
    """What is written is UTF-8, where the locale is ASCII as well."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "sglang"\n[set]\nNAME = "caf\u00e9"\n', encoding="utf-8")
    told = nixenv(environ, "export", "--profile", str(file), "--shell", "json")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = nixenv({**environ, **ascii_only}, "export", "--profile", str(file), "--shell", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == told.stdout
    assert json.loads(done.stdout)["variables"]["NAME"] == "caf\u00e9"


@pytest.mark.parametrize("arguments", [("export",), ("run", "--", "true")])
def test_memory_that_runs_out(arguments: tuple[str, ...], environ: Environ, tmp_path: Path) -> None:
    """A message, and the exit code of any other failure."""
    file = tmp_path / "snapshot.json"
    file.write_text('{"schema":3,"x":[' + "[]," * 15_000_000 + "0]}")
    command, *rest = arguments
    done = nixenv(environ, command, "--from", str(file), *rest)
    code = 125 if command == "run" else 1
    refused(done, code, "there is not enough memory", "ulimit -v")
