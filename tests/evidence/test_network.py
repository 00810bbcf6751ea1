"""The network interfaces of a real machine, and of one that has none."""

import subprocess
import sys

from nixenv.evidence.network import parse_ipv6_interfaces, probe_interfaces
from tests.machine import in_namespace

PROBE = "from nixenv.evidence.network import probe_interfaces; print(probe_interfaces())"


def test_interfaces_that_run() -> None:
    """The loopback is one wherever there is a network."""
    assert "lo" in probe_interfaces()


def test_a_machine_whose_interfaces_are_down() -> None:
    """In a new network namespace even the loopback has no address."""
    command = [*in_namespace(), "--net", sys.executable, "-c", PROBE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "()\n"


def test_what_has_an_ipv6_address() -> None:
    """The loopback's does not count, and neither does what is no such line."""
    table = f"{1:032x} 01 80 10 80       lo\n\nfe80 0a 40 20 80     eth0\nfe80 0a 40\n"
    assert parse_ipv6_interfaces(table) == {"eth0"}
