"""The query station: what is taken for a closure, and what Flox recorded where Nix is missing."""

import json
import os
from pathlib import Path

import pytest

from nixenv.errors import Unreadable
from nixenv.process import PATIENT
from nixenv.road.nix import NixFailed, NixNotFound, NixNotRunnable, NixSaidTooMuch
from nixenv.road.query import (
    Closure,
    Origin,
    UnusableClosure,
    list_expected,
    parse_requisites,
    query_closure,
)
from nixenv.storepath import StorePath
from tests.closures import store_path

ROOT = store_path("root")
A, B = store_path("a"), store_path("b")


def parse(text: str) -> Closure:
    return parse_requisites(text, ROOT, "/nix/store", Origin.NIX, "nix-store -qR")


def test_a_closure_is_its_store_paths_each_once() -> None:
    """In the order of who listed them."""
    found = parse(f"{A}\n{ROOT}\n{A}\n")
    assert found == Closure(ROOT, (A, ROOT), Origin.NIX, "nix-store -qR")
    assert found.failure is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("\n", "'' is no store path of /nix/store"),
        (f"{A}\n", "root is not among its 1 store paths"),
        (f"{ROOT}\nwarning: you did not\n", "'warning: you did not' is no store path"),
        (f"{ROOT}\n /nix/store/x\n", "is no store path"),
        (f"{ROOT}\n{A} \n", "is no store path"),
        (f"{ROOT}/bin\n", "is no store path"),
    ],
)
def test_anything_else_is_no_closure(text: str, message: str) -> None:
    """The error names who said it, and the line."""
    with pytest.raises(UnusableClosure, match=f"nix-store -qR gave no usable closure: .*{message}"):
        parse(text)


def without_nix(directory: Path) -> dict[str, str]:
    """Give an environment in which there is no nix-store, and $FLOX_ENV is ``directory``."""
    return {"PATH": str(directory), "FLOX_ENV": str(directory)}


@pytest.fixture
def no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Nix's own profile directories."""
    monkeypatch.setattr("nixenv.road.nix._PROFILE_BIN_DIRS", ())


@pytest.mark.usefixtures("no_profiles")
def test_requisites_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """They are there, and there is no Nix: the system's reason is passed on."""
    (tmp_path / "requisites.txt").mkdir()
    with pytest.raises(Unreadable, match="requisites.txt cannot be read: Is a directory"):
        query_closure(ROOT, "/nix/store", without_nix(tmp_path))


@pytest.mark.usefixtures("no_profiles")
def test_neither_nix_nor_requisites(tmp_path: Path) -> None:
    """All places are named, requisites.txt among them."""
    with pytest.raises(NixNotFound) as caught:
        query_closure(ROOT, "/nix/store", {**without_nix(tmp_path), "NIX_BIN": "/nix-2/bin/nix"})
    assert caught.value.searched == [str(tmp_path), "/nix-2/bin", f"{tmp_path}/requisites.txt"]
    with pytest.raises(NixNotFound) as caught:
        query_closure(ROOT, "/nix/store", {"PATH": "/nowhere"})
    assert caught.value.searched == ["/nowhere"]


@pytest.mark.parametrize("requisites", ["directory", "of another root", "missing"])
def test_where_nix_fails_and_requisites_are_of_no_use_nixs_failure_is_told(
    requisites: str, tmp_path: Path
) -> None:
    """What is wrong is Nix: its words, not those of the file that should have stood in."""
    file = tmp_path / "requisites.txt"
    if requisites == "directory":
        file.mkdir()
    elif requisites != "missing":
        file.write_text(f"{A}\n")
    script = tmp_path / "nix-store"
    script.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(NixFailed, match="error: no"):
        query_closure(ROOT, "/nix/store", without_nix(tmp_path))


def test_where_nix_fails_requisites_stand_in(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "requisites.txt").write_text(f"{A}\n{ROOT}\n")
    script = tmp_path / "nix-store"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    assert (found.paths, found.origin) == ((A, ROOT), Origin.STAND_IN)
    assert isinstance(found.failure, NixFailed)


def ship(directory: Path, **files: object) -> None:
    """Put files into what an environment ships: JSON of any value, or text."""
    place = directory / "share/nixenv"
    place.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (place / f"{name}.json").write_text(text)


def snapshot(*paths: object, root: object = ROOT) -> dict[str, object]:
    return {"schema": 3, "root": root, "paths": [*paths]}


@pytest.mark.usefixtures("no_profiles")
def test_what_the_environment_ships_goes_before_what_flox_recorded(tmp_path: Path) -> None:
    """It has Nix's order, and it is of this very root."""
    (tmp_path / "requisites.txt").write_text(f"{A}\n{B}\n{ROOT}\n")
    ship(tmp_path, broken="{", other=snapshot(A, root=A), this=snapshot(B, A, ROOT))
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    file = f"{tmp_path}/share/nixenv/this.json"
    assert found == Closure(ROOT, (B, A, ROOT), Origin.SHIPPED, file)
    other = query_closure(A, "/nix/store", without_nix(tmp_path))
    assert (other.paths, other.origin) == ((A,), Origin.SHIPPED)


@pytest.mark.usefixtures("no_profiles")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 100_000,
        [],
        None,
        {"root": ROOT},
        snapshot(A),
        snapshot(ROOT, "/etc/passwd"),
        snapshot(ROOT, 1),
        snapshot(ROOT, root=A),
        snapshot(ROOT, root=[ROOT]),
        {"root": ROOT, "paths": ROOT},
        {"root": ROOT, "paths": {ROOT: 1, "/x": 2}},
    ],
)
def test_what_is_no_closure_of_the_root_is_passed_over(content: object, tmp_path: Path) -> None:
    """Whatever lies there: what Flox recorded serves then."""
    (tmp_path / "requisites.txt").write_text(f"{A}\n{ROOT}\n")
    ship(tmp_path, odd=content)
    (tmp_path / "share/nixenv/directory.json").mkdir()
    os.mkfifo(tmp_path / "share/nixenv/fifo.json")
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    assert (found.paths, found.origin) == ((A, ROOT), Origin.REQUISITES)


@pytest.mark.usefixtures("no_profiles")
def test_what_is_shipped_stands_in_for_a_nix_that_cannot_work(tmp_path: Path) -> None:
    """There is nothing to warn of: it is what Nix would have said."""
    nix_store = tmp_path / "nix-store"
    nix_store.write_text("#!/bin/sh\necho no database >&2\nexit 1\n")
    nix_store.chmod(0o755)
    ship(tmp_path, this=snapshot(A, ROOT))
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    assert (found.paths, found.origin, found.failure) == ((A, ROOT), Origin.SHIPPED, None)


def stand_in(directory: Path, lines: str) -> None:
    """Put a program in nix-store's place."""
    script = directory / "nix-store"
    script.write_text(f"#!/bin/sh\n{lines}")
    script.chmod(0o755)


def test_nix_is_asked_for_the_roots_requisites(tmp_path: Path) -> None:
    """With `-qR ROOT`, in the environment that is given; its answer is the closure."""
    stand_in(tmp_path, f'[ "$*" = "-qR {ROOT}" ] && printf "%s\\n" "$GIVEN" {ROOT}\n')
    calls: list[str] = []
    found = query_closure(
        ROOT,
        "/nix/store",
        {**without_nix(tmp_path), "GIVEN": A},
        meanwhile=lambda _listen: calls.append("called"),
    )
    assert found == Closure(ROOT, (A, ROOT), Origin.NIX, f"{tmp_path}/nix-store -qR {ROOT}")
    assert calls == ["called"]


def test_a_list_is_read_up_to_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it: a program in Nix's place, or what lies where Flox's list should."""
    monkeypatch.setattr("nixenv.road.query._LONGEST_LIST", len(ROOT))
    stand_in(tmp_path, f"echo {ROOT}\n")
    with pytest.raises(NixSaidTooMuch):
        query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    (tmp_path / "nix-store").unlink()
    monkeypatch.setattr("nixenv.road.nix._PROFILE_BIN_DIRS", ())
    (tmp_path / "requisites.txt").write_text(f"{ROOT}\n")
    with pytest.raises(Unreadable, match=f"it has more than {len(ROOT)} bytes"):
        query_closure(ROOT, "/nix/store", without_nix(tmp_path))


def test_what_is_expected_before_nix_has_answered(tmp_path: Path) -> None:
    """What Flox recorded, where that is about the root; nothing else of it is believed."""

    def expected() -> list[str]:
        return list(list_expected(str(tmp_path), ROOT, "/nix/store"))

    file = tmp_path / "requisites.txt"
    assert expected() == []
    file.write_text(f"{A}\n{ROOT}\n")
    assert expected() == [A, ROOT]
    for wrong in ("/etc/passwd", "", f"{A}/../x", "\udcff"):
        file.write_bytes(os.fsencode(f"{A}\n{wrong}\n{ROOT}\n"))
        assert expected() == [A]
    file.write_text(f"{A}\n{ROOT}-other\n")
    assert expected() == []
    file.write_text(f"{A}\n")
    assert list(list_expected(str(tmp_path), StorePath(str(tmp_path)), "/nix/store")) == [A]
    file.unlink()
    os.mkfifo(file)
    assert expected() == []


@pytest.mark.usefixtures("no_profiles")
def test_without_nix_the_requisites_serve(tmp_path: Path) -> None:
    """They are told as what they are: the whole environment's, without order."""
    file = tmp_path / "requisites.txt"
    file.write_text(f"{ROOT}\n{A}\n")
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path))
    assert found == Closure(ROOT, (ROOT, A), Origin.REQUISITES, str(file))
    file.write_bytes(f"{ROOT}\n".encode() + b"\xff\n")
    with pytest.raises(UnusableClosure, match=f"{file} gave no usable closure"):
        query_closure(ROOT, "/nix/store", without_nix(tmp_path))


def test_what_nix_said_is_heard_where_requisites_stand_in(tmp_path: Path) -> None:
    """Its stderr reaches whoever waits, although there is no error."""
    (tmp_path / "requisites.txt").write_text(f"{ROOT}\n")
    stand_in(tmp_path, "echo 'error: its words' >&2\nexit 1\n")
    heard: list[str] = []
    patience = PATIENT._replace(hear=heard.append)
    query_closure(ROOT, "/nix/store", without_nix(tmp_path), patience)
    assert heard == ["error: its words\n"]
    (tmp_path / "nix-store").write_text("#!/nowhere\n")
    found = query_closure(ROOT, "/nix/store", without_nix(tmp_path), patience)
    assert isinstance(found.failure, NixNotRunnable)
    assert len(heard) == 1
