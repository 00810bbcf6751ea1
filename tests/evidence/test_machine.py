"""The look at the machine: real directories, real ports, a real PATH."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.evidence.machine import (
    RECORDED,
    ForeignFile,
    Machine,
    PortState,
    parse_avx2,
    parse_listeners,
    probe_machine,
    select_variables,
)
from nixenv.kernel import read_kernel_file
from tests.machine import NEEDS_LOCALHOST

NOTHING: dict[str, str] = {}


def probe(
    environ: dict[str, str],
    *,
    names: tuple[str, ...] = (),
    directories: dict[str, str] = NOTHING,
    ports: dict[str, str] = NOTHING,
    host: str = "127.0.0.1",
) -> Machine:
    return probe_machine(environ, names, "3.12", directories, ports, host)


def executable(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    file.chmod(0o755)
    return str(file)


def test_this_machine() -> None:
    """Whatever it is, it is looked at without harm."""
    found = probe_machine(dict(os.environ), (), None, {}, {})
    assert found.architecture == os.uname().machine
    assert found.variables["PATH"] == os.environ["PATH"]


# Variables, programs, search paths ---------------------------------------------------------------


def test_variables_that_do_not_matter_stay_out() -> None:
    """A snapshot leaves the machine: it takes no secrets with it."""
    environ = {"CPATH": "/i", "SGLANG_PORT": "1", "HF_TOKEN": "secret"}
    assert probe(environ, names=("SGLANG_PORT",)).variables == {"CPATH": "/i", "SGLANG_PORT": "1"}
    assert "HF_TOKEN" not in RECORDED


def test_programs_on_the_path(tmp_path: Path) -> None:
    """The first of each, links not followed; CC may be a name."""
    first = executable(tmp_path / "a/python3.12")
    executable(tmp_path / "b/python3.12")
    (tmp_path / "b/gcc-12").symlink_to("python3.12")
    found = probe({"PATH": f"{tmp_path}/a:{tmp_path}/b", "CC": "gcc-12", "CXX": "/x/g++"})
    assert found.programs == {"python3.12": first, "gcc-12": f"{tmp_path}/b/gcc-12"}


@pytest.mark.parametrize("variable", ["HOME", "PYTHONUSERBASE"])
def test_the_user_site(tmp_path: Path, variable: str) -> None:
    """Where it exists for that Python and holds something."""
    base = tmp_path / ".local" if variable == "HOME" else tmp_path
    site = base / "lib/python3.12/site-packages"
    assert probe({variable: str(tmp_path)}).user_site is None
    site.mkdir(parents=True)
    assert probe({variable: str(tmp_path)}).user_site is None
    (site / "leak.py").write_text("")
    assert probe({variable: str(tmp_path)}).user_site == str(site)
    assert probe_machine({variable: str(tmp_path)}, (), "3.11", {}, {}).user_site is None


def test_files_that_take_the_place_of_the_closures(tmp_path: Path) -> None:
    """Told with their entry; links into the store are the store's."""
    header = tmp_path / "store/x-cudart/include/cuda_runtime.h"
    header.parent.mkdir(parents=True)
    header.write_text("")
    for directory in ("profile", "usr/include", "harmless"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "profile/cuda_runtime.h").symlink_to(header)
    (tmp_path / "usr/include/stdlib.h").write_text("")
    (tmp_path / "harmless/libcuda.so.1").write_text("")
    (tmp_path / "usr/libstdc++.so.6").write_text("")
    found = probe(
        {
            "NIX_STORE_DIR": str(tmp_path / "store"),
            "CPATH": f"{header.parent}:{tmp_path}/profile:{tmp_path}/usr/include::relative",
            "LD_LIBRARY_PATH": f"/nowhere:{tmp_path}/harmless;{tmp_path}/usr;{tmp_path}/usr",
        }
    )
    assert found.foreign_files == (
        ForeignFile("CPATH", f"{tmp_path}/usr/include", "stdlib.h"),
        ForeignFile("LD_LIBRARY_PATH", f"{tmp_path}/usr", "libstdc++.so.6"),
    )


def test_a_store_directory_that_is_none(tmp_path: Path) -> None:
    """It is not for this look to refuse it."""
    (tmp_path / "stdlib.h").write_text("")
    found = probe({"NIX_STORE_DIR": "relative", "CPATH": str(tmp_path)})
    assert found.foreign_files == (ForeignFile("CPATH", str(tmp_path), "stdlib.h"),)


# CPU ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx avx2\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx avx2_not\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", None),
        ("", None),
    ],
)
def test_avx2(text: str, answer: bool | None) -> None:
    """Among the flags of the first processor, if there are flags."""
    assert parse_avx2(text) is answer


# Directories -------------------------------------------------------------------------------------


def test_directories_that_can_be_written(tmp_path: Path) -> None:
    """One that is there, one that can be made, one behind a link; nothing is left behind."""
    (tmp_path / "link").symlink_to(tmp_path)
    paths = {"A": str(tmp_path), "B": f"{tmp_path}/x/y/z", "C": f"{tmp_path}/link"}
    found = probe({}, directories=paths)
    told = [(state.variable, state.path, state.problem) for state in found.directories]
    assert told == [(name, path, "") for name, path in paths.items()]
    assert os.listdir(tmp_path) == ["link"]


def test_directories_that_cannot_be_written(tmp_path: Path) -> None:
    """For root neither: a file in the way, a link to nowhere. What is no path does no harm."""
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").symlink_to("nowhere")
    paths = {
        "A": f"{tmp_path}/file/cache",
        "B": f"{tmp_path}/broken/cache",
        "C": f"/{'x' * 300}",
        "D": "/a\0b",
    }
    problems = {state.variable: state.problem for state in probe({}, directories=paths).directories}
    assert problems["A"] == os.strerror(errno.ENOTDIR)
    assert problems["B"] == os.strerror(errno.ENOENT)
    assert set(problems) == set(paths)


@pytest.mark.parametrize("directory", ["/proc", "/sys"])
def test_the_kernels_own_directories(directory: str) -> None:
    """Where they are mounted, nothing can be written to them, whoever asks."""
    if not os.path.ismount(directory):
        pytest.skip(f"{directory} is not mounted")
    (state,) = probe({}, directories={"A": f"{directory}/cache"}).directories
    assert state.problem


def test_a_full_disk(tmp_path: Path) -> None:
    """To make a file is not enough; the limit on its size stands for the disk's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        (state,) = probe({}, directories={"A": str(tmp_path)}).directories
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state.problem == os.strerror(errno.EFBIG)
    assert os.listdir(tmp_path) == []


def test_a_variable_without_directory() -> None:
    """Set to nothing it names none."""
    assert probe({}, directories={"A": ""}).directories == ()


# Ports -------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_free_port(server: int) -> None:
    """Nothing to tell, and it is free afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert port != server
    assert probe({}, ports={"SGLANG_PORT": str(port)}).ports == (
        PortState("SGLANG_PORT", port, ""),
    )
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("localhost", marks=NEEDS_LOCALHOST), ""]
)
def test_a_taken_port(server: int, host: str) -> None:
    """Who listens is told, where /proc is there to tell it, and a port that is free."""
    (state,) = probe({}, ports={"SGLANG_PORT": str(server)}, host=host).ports
    assert state.taken
    assert state.problem == os.strerror(errno.EADDRINUSE)
    name = read_kernel_file("/proc/self/comm")
    assert state.holder == (f"{name} (pid {os.getpid()})" if name else "")
    assert state.free is not None
    (free,) = probe({}, ports={"SGLANG_PORT": str(state.free)}, host=host).ports
    assert free.problem == ""


def serves(host: str, port: int) -> bool:
    """Whether a server on asyncio, as SGLang's is, can listen there."""

    async def serve() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, host, port)
        server.close()
        await server.wait_closed()

    try:
        asyncio.run(serve())
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::", "::1", "192.0.2.1"])
def test_a_port_is_judged_as_a_server_would_find_it(server: int, host: str) -> None:
    """Beside a server on IPv4, and where none is."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    for port in (server, free):
        (state,) = probe({}, ports={"P": str(port)}, host=host).ports
        assert (state.problem == "") is serves(host, port)


def test_a_port_of_a_server_that_has_just_ended() -> None:
    """Its last connections may linger; that hinders no server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listening.accept()
            accepted.close()
            assert client.recv(1) == b""
    assert probe({}, ports={"P": str(port)}).ports[0].problem == ""


def test_a_port_that_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One above the privileged ones is offered."""
    bind = socket.socket.bind

    def bind_as_user(trial: socket.socket, address: tuple[str, int]) -> None:
        if address[1] < 1024:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        bind(trial, address)

    monkeypatch.setattr(socket.socket, "bind", bind_as_user)
    (state,) = probe({}, ports={"P": "80"}).ports
    assert (state.port, state.problem, state.taken) == (80, os.strerror(errno.EACCES), False)
    assert state.free is not None
    assert state.free >= 1024


def test_the_last_port_has_no_next_one() -> None:
    """There is then none to offer."""
    with socket.create_server(("127.0.0.1", 65_535)):
        (state,) = probe({}, ports={"P": "65535"}).ports
    assert (state.taken, state.free) == (True, None)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", " 1", "1_0", "٣", "http", "9" * 5000])
def test_what_is_no_port(text: str) -> None:
    """A whole number from 1 to 65535, in ASCII digits."""
    (state,) = probe({}, ports={"P": text}).ports
    assert state.port == 0
    assert "is no port" in state.problem


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "x" * 300, "a\0b", "\udcff"])
def test_a_host_that_is_not_here(host: str) -> None:
    """No port would help, and none is offered."""
    (state,) = probe({}, ports={"P": "30000"}, host=host).ports
    assert state.problem
    assert (state.taken, state.free) == (False, None)


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7530 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1
   1: 0100007F:7530 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1
   2: 00000000:7531 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1
"""


def test_listeners() -> None:
    """Those that listen on that port; connections are none."""
    assert parse_listeners(TABLE, 30000) == (("4242", "1000"),)
    assert parse_listeners(TABLE, 1) == ()


@given(st.text(), st.integers(1, 65_535))
def test_no_table_is_too_odd(text: str, port: int) -> None:
    """Lines that are none are passed over."""
    parse_listeners(text, port)
    parse_avx2(text)


def test_nothing_stays_open(tmp_path: Path) -> None:
    """No file and no socket is left in the process."""
    with open(os.devnull) as lowest:  # the system gives the lowest number that is free
        number = lowest.fileno()
    probe({}, directories={"A": str(tmp_path)}, ports={"P": "30000"})
    with open(os.devnull) as lowest:
        assert lowest.fileno() == number


def test_what_is_secret_in_a_url_is_not_recorded() -> None:
    """A snapshot is sent to whoever wants to help."""
    environ = {"SGLANG_MODEL": "redis://me:s3cret@host/name", "PATH": "/bin", "HF_TOKEN": "hf"}
    assert select_variables(environ, ["SGLANG_MODEL"]) == {
        "PATH": "/bin",
        "SGLANG_MODEL": "redis://***@host/name",
    }
