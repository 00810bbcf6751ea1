"""What the machine's network has: containers are often without IPv6, a chroot without names."""

import socket

import pytest


def _can_listen(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.bind((host, 0))
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not _can_listen("::1"), reason="this machine has no IPv6")
LOCALHOST = pytest.mark.skipif(not _can_listen("localhost"), reason="/etc/hosts has no localhost")
