"""Start sglang-serve as a service does, and talk to what it becomes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.sglang.programs import Environment, program

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@frozen
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    address: str

    def ask(
        self, path: str, document: object = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Send a GET, or a POST where there is a document; give status, body and headers."""
        request = urllib.request.Request(
            self.address + path,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with _DIRECT.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)

    def ask_json(self, path: str, document: object = None) -> Any:
        status, body, _ = self.ask(path, document)
        assert status == 200, body
        return json.loads(body)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that the process really has."""
        raw = Path(f"/proc/{self.process.pid}/environ").read_bytes()
        pairs = (os.fsdecode(item).split("=", 1) for item in raw.rstrip(b"\0").split(b"\0"))
        return dict(pairs)

    @property
    def command(self) -> list[str]:
        """The argument vector that the process really has."""
        raw = Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
        return [os.fsdecode(word) for word in raw.split(b"\0")[:-1]]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(
    activated: Environment, *options: str, host: str = "127.0.0.1", **changes: str
) -> Iterator[Server]:
    """Resolve, serve, and wait for /health; stop it in the end, whatever happened."""
    port = free_port(host)
    environ = activated.environ({"SGLANG_HOST": host, "SGLANG_PORT": str(port), **changes})
    subprocess.run(program("resolve"), env=environ, check=True, capture_output=True)
    with (activated.home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*program("serve"), *options], env=environ, stdout=log, stderr=subprocess.STDOUT
        )
    shown_host = f"[{host}]" if ":" in host else host
    server = Server(process, f"http://{shown_host}:{port}")
    try:
        _wait_for_health(server, activated.home / "log")
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_for_health(server: Server, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            status, _, _ = server.ask("/health")
            assert status == 200
            return
        time.sleep(0.02)
    raise AssertionError(f"no answer from /health: {log.read_text()}")
