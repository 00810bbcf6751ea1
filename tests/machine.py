"""What a machine may lack: containers are often without IPv6, a chroot without names."""

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest


def _can_listen(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.bind((host, 0))
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not _can_listen("::1"), reason="this machine has no IPv6")
NEEDS_LOCALHOST = pytest.mark.skipif(
    not _can_listen("localhost"), reason="/etc/hosts has no localhost"
)
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


def in_namespace() -> tuple[str, ...]:
    """Give the beginning of a command that may mount what nobody else sees."""
    unshare = ("unshare", "--map-root-user", "--mount")
    allowed = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    if not allowed:
        pytest.skip("no namespaces here: containers and a chroot have none")
    return unshare


def mounting(mount: str) -> tuple[str, ...]:
    """Give the beginning of a command that sees one more mount than all others."""
    return (*in_namespace(), "sh", "-c", f'mount {mount} && exec "$@"', "sh")


def overlaying(*directories: tuple[Path, str]) -> tuple[str, ...]:
    """Give the beginning of a command that sees more in some directories than all others do.

    Args:
        directories: What comes over what is there, and the directory.
    """
    mounts = " && ".join(
        f"mount -t overlay none -o lowerdir={shlex.quote(f'{above}:{directory}')} {directory}"
        for above, directory in directories
    )
    return (*in_namespace(), "sh", "-c", f'{mounts} && exec "$@"', "sh")
