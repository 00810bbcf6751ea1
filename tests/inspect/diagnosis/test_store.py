"""The store: what is not there or closed, Nix missing or failing; and that the remedies cure."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from errno import EACCES, EIO, ENOENT
from pathlib import Path
from typing import Any

import pytest

from fixtures.closure import SglangClosure, build_sglang_closure
from fixtures.private_store import PrivateStore
from nixenv import Finding, probe_closure, query_closure
from nixenv.errors import NixError
from nixenv.evidence.nix_failure import explain_nix_failure
from nixenv.findings import Severity
from nixenv.inspect.diagnosis.store import check_store
from nixenv.road.probe import Fault, Probe
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath
from tests.closures import store_path
from tests.inspect.diagnosis.remedies import command_in
from tests.machine import NEEDS_ROOT
from tests.real_shells import SEARCH_PATH, require_tool

ROOT = store_path("python3.12-sglang-0.5.9")
Environ = dict[str, str]


def check(*faults: Fault, origin: Origin = Origin.NIX, source: str = "test") -> list[Finding]:
    return list(check_store(Closure(ROOT, (ROOT,), origin, source), Probe((), None, faults)))


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def follow(remedy: str, environ: Mapping[str, str]) -> None:
    """Run the command that a remedy names, as its reader would."""
    subprocess.run(["sh", "-c", command_in(remedy)], env=environ, check=True, capture_output=True)


def remove(path: str) -> None:
    """Remove a store object, which is read-only."""
    for directory, _, _ in os.walk(path):
        Path(directory).chmod(0o755)
    shutil.rmtree(path)


# On plain data -----------------------------------------------------------------------------------


def test_a_whole_closure_has_no_findings() -> None:
    """Nothing to know is nothing said."""
    assert check() == []


def test_what_is_not_on_disk_is_named() -> None:
    """All of it, and one command that fetches it, safe to paste."""
    odd, plain = store_path("flash-2.8?abi=x"), store_path("torch-2.9.1")
    faults = [Fault(path, missing=True, errno=ENOENT) for path in (odd, plain)]
    (found,) = check(*faults)
    assert (found.code, found.severity) == ("store-object-missing", Severity.ERROR)
    assert found.summary.startswith("of the closure, 2 store objects are")
    assert found.evidence == (odd, plain)
    assert command_in(found.remedy) == (
        f"env NIX_REMOTE=local nix-store --repair-path '{odd}' {plain}"
    )


def test_much_that_is_not_on_disk_is_repaired_as_a_whole() -> None:
    """A command of a hundred paths is none to paste."""
    faults = (Fault(store_path(f"lib-{n}"), missing=True, errno=ENOENT) for n in range(11))
    (found,) = check(*faults)
    assert len(found.evidence) == 11
    assert command_in(found.remedy) == "env NIX_REMOTE=local nix-store --verify --repair"


def test_what_is_closed_is_opened_and_what_is_broken_is_repaired() -> None:
    """For permissions the whole store object is named, whatever in it failed."""
    torch, numpy = store_path("torch-2.9.1"), store_path("numpy-2.3.4")
    closed = [Fault(f"{torch}/{name}", missing=False, errno=EACCES) for name in ("lib", "include")]
    broken = Fault(f"{numpy}/lib", missing=False, errno=EIO)
    found = check(*closed, broken)
    assert codes(found) == ["store-object-unreadable"] * 2
    assert command_in(found[0].remedy) == f"chmod -R a+rX {torch}"
    assert found[0].summary.startswith("1 store object is")
    assert found[1].evidence == (f"{numpy}/lib: Input/output error",)
    assert command_in(found[1].remedy) == f"env NIX_REMOTE=local nix-store --repair-path {numpy}"


def test_no_file_name_makes_a_record_of_flox() -> None:
    """A snapshot may be called requisites.txt too."""
    assert check(source="snapshot ./requisites.txt") == []


def test_a_closure_that_flox_recorded() -> None:
    """Said, since it is more than the program's; and nothing missing can be fetched without Nix."""
    (found,) = check(origin=Origin.REQUISITES, source="/flox/env/requisites.txt")
    assert (found.code, found.severity) == ("nix-missing", Severity.WARNING)
    assert found.evidence == ("/flox/env/requisites.txt",)
    missing = Fault(ROOT, missing=True, errno=ENOENT)
    found, _ = check(missing, origin=Origin.REQUISITES)
    assert "flox containerize" in found.remedy
    assert "nix-store" not in found.remedy


# On real stores ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SglangClosure]:
    """A fixture closure in a store of this module's own, to damage."""
    require_tool("nix-store")
    store = PrivateStore.create(tmp_path_factory.mktemp("own"))
    yield build_sglang_closure(store)
    store.delete()


@pytest.fixture
def own_environ(own: SglangClosure) -> Environ:
    return {**own.store.environ, "PATH": SEARCH_PATH, "LANG": "C.UTF-8"}


def look(own: SglangClosure, environ: Environ) -> list[Finding]:
    closure = query_closure(StorePath(own.root), own.store.store_dir, environ)
    return list(check_store(closure, probe_closure(closure, "sglang")))


def explain(root: str, store_dir: str, environ: Environ) -> Finding:
    """Fail to query a closure, and have that explained."""
    with pytest.raises(NixError) as caught:
        query_closure(StorePath(root), store_dir, environ)
    return explain_nix_failure(caught.value, StorePath(root), environ)


def test_a_vanished_store_object_is_repaired(own: SglangClosure, own_environ: Environ) -> None:
    """Nix takes it for present; the remedy makes it again, several at once."""
    names = ("numpy-2.3.4", "transformers-4.57.6")
    paths = [own.objects[f"python{own.python_minor}-{name}"] for name in names]
    for path in paths:
        remove(path)
    (found,) = look(own, own_environ)
    assert found.code == "store-object-missing"
    assert set(found.evidence) == set(paths)
    # What one would try first does nothing.
    subprocess.run(["nix-store", "--realise", *paths], env=own_environ, check=True)
    assert codes(look(own, own_environ)) == ["store-object-missing"]
    follow(found.remedy, own_environ)
    assert look(own, own_environ) == []


def test_an_emptied_store_object_is_repaired(own: SglangClosure, own_environ: Environ) -> None:
    """It is on disk, and what the wrapper lists of it is not."""
    numpy = own.objects[f"python{own.python_minor}-numpy-2.3.4"]
    Path(numpy).chmod(0o755)
    remove(f"{numpy}/lib")
    (found,) = look(own, own_environ)
    assert (found.code, found.severity) == ("store-object-damaged", Severity.ERROR)
    assert found.evidence == (f"{numpy}/lib/python{own.python_minor}/site-packages",)
    follow(found.remedy, own_environ)
    assert look(own, own_environ) == []


def test_many_vanished_store_objects_are_repaired(own: SglangClosure, own_environ: Environ) -> None:
    """By looking through the whole store."""
    names = [name for name in own.objects if name.startswith(f"python{own.python_minor}-")]
    assert len(names) > 10
    for name in names:
        remove(own.objects[name])
    environ = {**own_environ}
    closure = query_closure(StorePath(own.root), own.store.store_dir, environ)
    (found,) = check_store(closure, probe_closure(closure, "sglang"))
    assert command_in(found.remedy).endswith("--verify --repair")
    follow(found.remedy, environ)
    assert look(own, environ) == []


def unprivileged(*arguments: str) -> list[str]:
    """Run a program as a user whom permissions stop; root is none, unless it gives that up."""
    if os.geteuid() != 0:
        return [*arguments]
    drop = "-dac_override,-dac_read_search"
    return [require_tool("setpriv"), "--bounding-set", drop, "--inh-caps", drop, *arguments]


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Take the right to write away, as from a user where Nix belongs to root."""
    subprocess.run(["chmod", "-R", "a-w", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["chmod", "-R", "u+w", directory], check=True)


LOOK = """
import json, os, sys
from nixenv import probe_closure, query_closure
from nixenv.inspect.diagnosis.store import check_store
from nixenv.errors import NixError
from nixenv.evidence.nix_failure import explain_nix_failure
root = sys.argv[1]
try:
    closure = query_closure(root, os.path.dirname(root), os.environ)
    found = [*check_store(closure, probe_closure(closure, "sglang"))]
except NixError as error:
    found = [explain_nix_failure(error, root, os.environ)]
print(json.dumps([finding._asdict() for finding in found]))
"""


def look_unprivileged(root: str, environ: Environ) -> list[dict[str, Any]]:
    done = subprocess.run(
        unprivileged(sys.executable, "-c", LOOK, root),
        env=environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_closed_store_object_is_opened(own: SglangClosure, own_environ: Environ) -> None:
    """As root cures what a careless umask or chmod did."""
    closed = Path(own.objects["zlib-1.3.1"])
    mode = stat.S_IMODE(closed.stat().st_mode)
    closed.chmod(0)
    try:
        (found,) = look_unprivileged(own.root, own_environ)
        assert found["code"] == "store-object-unreadable"
        assert found["evidence"] == [f"{closed}: Permission denied"]
        follow(found["remedy"], own_environ)
        assert look_unprivileged(own.root, own_environ) == []
    finally:
        closed.chmod(mode)


def test_a_root_that_nix_does_not_know(
    own: SglangClosure, own_environ: Environ, tmp_path: Path
) -> None:
    """On disk, and not in the database; the remedy fetches it from a binary cache."""
    cache = f"file://{tmp_path}/cache"
    experimental = ["--extra-experimental-features", "nix-command"]
    subprocess.run(
        ["nix", *experimental, "copy", "--to", cache, own.cpu], env=own_environ, check=True
    )
    fresh = PrivateStore.create(tmp_path / "fresh")
    # The same store directory, so that the cache's paths are its own; another database.
    environ = {
        **own_environ,
        "NIX_STATE_DIR": f"{fresh.base}/state",
        "NIX_CONFIG": f"substitute = true\nsubstituters = {cache}\nrequire-sigs = false",
    }
    store_dir = own.store.store_dir
    found = explain(own.cpu, store_dir, environ)
    assert (found.code, found.severity) == ("store-root-invalid", Severity.ERROR)
    assert found.evidence == (own.cpu,)
    follow(found.remedy, environ)
    assert query_closure(StorePath(own.cpu), store_dir, environ).root == own.cpu


def test_a_daemon_that_is_not_wanted(own: SglangClosure, own_environ: Environ) -> None:
    """This user may open the store: the remedy is to do without."""
    environ = {**own_environ, "NIX_REMOTE": "daemon"}
    found = explain(own.root, own.store.store_dir, environ)
    assert (found.code, found.severity) == ("nix-daemon-unreachable", Severity.ERROR)
    assert found.evidence[0].startswith(f"{own.store.base}/state/daemon-socket/socket: ")
    assert found.remedy.startswith("`unset NIX_REMOTE`")
    script = f'{command_in(found.remedy)}; exec nix-store -qR "$0"'
    subprocess.run(["sh", "-c", script, own.root], env=environ, check=True, capture_output=True)


def test_a_daemon_at_another_socket(own: SglangClosure, own_environ: Environ) -> None:
    """As NIX_REMOTE or NIX_DAEMON_SOCKET_PATH names it."""
    for changed in (
        {"NIX_REMOTE": "unix:///nowhere/socket"},
        {"NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": "/nowhere/socket"},
    ):
        found = explain(own.root, own.store.store_dir, {**own_environ, **changed})
        assert found.code == "nix-daemon-unreachable"
        assert found.evidence[0].startswith("/nowhere/socket: ")


@NEEDS_ROOT
def test_a_daemon_that_is_down_is_started(own: SglangClosure, own_environ: Environ) -> None:
    """A user who may not write to Nix's state needs it; the remedy names its program."""
    environ = {**own_environ, "NIX_REMOTE": ""}
    state = own.store.base / "state"
    with read_only(state):
        (found,) = look_unprivileged(own.root, environ)
        assert found["code"] == "nix-daemon-unreachable"
        if Path("/run/systemd/system").is_dir():
            assert "systemctl restart nix-daemon.socket" in found["remedy"]
            return
        daemon = command_in(found["remedy"]).removesuffix(" &")
        with subprocess.Popen([daemon], env=own_environ, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(state / "daemon-socket" / "socket")
                assert look_unprivileged(own.root, environ) == []
            finally:
                process.terminate()


def wait_for(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(path)


def test_a_closed_socket_is_no_dead_daemon(own: SglangClosure, own_environ: Environ) -> None:
    """Starting another one would not help."""
    environ = {**own_environ, "NIX_REMOTE": ""}
    state = own.store.base / "state"
    directory = state / "daemon-socket"
    directory.mkdir(exist_ok=True)
    with read_only(state):
        directory.chmod(0)
        try:
            (found,) = look_unprivileged(own.root, environ)
        finally:
            directory.chmod(0o755)
    assert found["code"] == "nix-daemon-unreachable"
    assert found["remedy"].startswith(f"join the group that may enter {directory}")


@pytest.fixture
def stand_in(tmp_path: Path, own_environ: Environ) -> Callable[[str], Environ]:
    """Put a nix-store of these shell lines first on PATH."""

    def write(lines: str) -> Environ:
        script = tmp_path / "stand-in" / "nix-store"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
        return {**own_environ, "PATH": f"{script.parent}:{own_environ['PATH']}"}

    return write


@pytest.mark.parametrize(
    ("lines", "evidence"),
    [
        ("echo first >&2; echo; echo second >&2; exit 7", ("first", "second")),
        ("kill -9 $$", ()),
        ("echo nonsense", ()),
    ],
)
def test_another_nix_store_is_first(
    lines: str,
    evidence: tuple[str, ...],
    own: SglangClosure,
    stand_in: Callable[[str], Environ],
) -> None:
    """Its words are passed on, and the one behind it is asked instead."""
    environ = stand_in(lines)
    found = explain(own.root, own.store.store_dir, environ)
    assert (found.code, found.severity) == ("nix-failed", Severity.ERROR)
    assert found.evidence[: len(evidence)] == evidence
    assert f"{environ['PATH'].partition(':')[0]}/nix-store" in found.remedy
    script = f'{command_in(found.remedy)}; exec nix-store -qR "$0"'
    subprocess.run(["sh", "-c", script, own.root], env=environ, check=True, capture_output=True)


def test_a_nix_store_that_cannot_be_started(
    own: SglangClosure, stand_in: Callable[[str], Environ]
) -> None:
    """The system's reason, and the file."""
    environ = stand_in("")
    script = Path(environ["PATH"].partition(":")[0], "nix-store")
    script.write_text("#!/nowhere/sh\n")
    found = explain(own.root, own.store.store_dir, environ)
    assert found.code == "nix-failed"
    assert str(script) in found.summary


def test_a_failure_without_a_cause_that_we_know(
    own: SglangClosure, stand_in: Callable[[str], Environ]
) -> None:
    """The root is valid and there is no daemon to miss: Nix's own words, and how to go on."""
    real = require_tool("nix-store")
    environ = stand_in(f'[ "$1" != -qR ] && exec {real} "$@"; echo why >&2; exit 1')
    environ["PATH"] = environ["PATH"].partition(":")[0]
    found = explain(own.root, own.store.store_dir, environ)
    assert (found.code, found.evidence) == ("nix-failed", ("why",))
    assert "run it by hand" in found.remedy


def test_no_nix_and_no_record(own: SglangClosure) -> None:
    """All the places that were looked in; a record of Flox's, or Nix on PATH, cures it."""
    environ = {"PATH": "/nowhere", **own.store.environ}
    found = explain(own.root, own.store.store_dir, environ)
    assert (found.code, found.severity) == ("nix-missing", Severity.ERROR)
    assert "/nowhere" in found.evidence
    recorded = query_closure(
        StorePath(own.root), own.store.store_dir, {**environ, "FLOX_ENV": own.flox_env}
    )
    assert codes(list(check_store(recorded, probe_closure(recorded, "sglang")))) == ["nix-missing"]
    assert look(own, {**environ, "PATH": SEARCH_PATH}) == []
