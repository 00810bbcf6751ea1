"""RECORD, as installers write it and as nobody should."""

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.evidence.distributions import probe_distributions
from nixenv.linked.record import is_path, read_record
from nixenv.road.probe import Probe, StoreObject
from nixenv.storepath import StorePath

PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(PATHS.filter(str.strip)))
def test_what_an_installer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    """Commas, quotes and line breaks in names included."""
    directory = tmp_path_factory.mktemp("dist-info")
    text = io.StringIO()
    csv.writer(text).writerows((path, "sha256=x", "1") for path in paths)
    (directory / "RECORD").write_text(text.getvalue(), newline="")
    assert read_record(str(directory)) == tuple(paths)


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"a,,\r\nb,,\r\n", ("a", "b")),
        (b"a,,\rb,,\r", ("a", "b")),
        (b"\n\na\n", ("a",)),
        (b"caf\xff.py,,\n", ("caf\udcff.py",)),
        (b"a/" * 64 + b"b,,\nc,,\n", ("c",)),
        (b"a,sha256=x,1\n" * 20_000, ("a",) * 20_000),
    ],
)
def test_other_writers_lines_are_read(
    content: bytes, paths: tuple[str, ...], tmp_path: Path
) -> None:
    """Any line ends, blank lines, bytes that are no UTF-8, and as many lines as torch has."""
    (tmp_path / "RECORD").write_bytes(content)
    assert read_record(str(tmp_path)) == paths


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Not there, no file, or no CSV; a pipe is not waited for."""
    assert read_record(str(tmp_path)) is None
    os.mkfifo(tmp_path / "RECORD")
    assert read_record(str(tmp_path)) is None
    (tmp_path / "RECORD").unlink()
    (tmp_path / "RECORD").write_text("x" * 200_000)
    assert read_record(str(tmp_path)) is None


def test_inspect_takes_the_same_paths(tmp_path: Path) -> None:
    """A module whose path has a comma is its distribution's."""
    site = tmp_path / "lib/python3.12/site-packages"
    (site / "odd-1.0.dist-info").mkdir(parents=True)
    (site / "odd-1.0.dist-info/RECORD").write_text('"mine/a,b.py",,\n')
    (site / "other-1.0.dist-info").mkdir()
    (site / "mine").mkdir()
    (site / "mine/__init__.py").touch()
    (listing,) = probe_distributions(
        Probe((StoreObject(StorePath(str(tmp_path)), site_packages=("3.12",)),))
    )
    assert {found.name: found.modules for found in listing.distributions} == {
        "odd": ("mine",),
        "other": (),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 1024, True),
        ("a" * 1025, False),
        ("/".join("a" * 64), True),
        ("/".join("a" * 65), False),
        ("a\0b", False),
    ],
)
def test_what_can_be_the_path_of_a_file(text: str, expected: bool) -> None:
    """Neither too long nor too deep, and without a NUL."""
    assert is_path(text) is expected
