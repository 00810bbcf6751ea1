"""The network interfaces over which programs can talk."""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from nixenv.kernel import read_kernel_file

# linux/sockios.h and linux/if.h.
_SIOCGIFFLAGS = 0x8913
_SIOCGIFADDR = 0x8915
_RUNNING = 0x40

_REQUEST = struct.Struct("16s256x")
_FLAGS = struct.Struct("16xH")

# The loopback address, as /proc/net/if_inet6 has it.
_LOOPBACK = f"{1:032x}"


def probe_interfaces() -> tuple[str, ...]:
    """Name the interfaces that run and have an IP address; none where the system does not tell.

    NCCL (`ncclOsFindInterfaces`) takes no others, and of IPv6 no loopback address.
    """
    try:
        names = [name for _, name in socket.if_nameindex()]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            return tuple(_find_usable(names, asked.fileno()))
    except OSError:
        return ()


def parse_ipv6_interfaces(table: str) -> frozenset[str]:
    """Read which interfaces have an IPv6 address off the text of ``/proc/net/if_inet6``. Pure.

    Lines are an address, four numbers and a name:

    >>> sorted(parse_ipv6_interfaces("fe800000000000000042acfffe110002 0a 40 20 80     eth0"))
    ['eth0']
    """
    rows = (line.split() for line in table.splitlines())
    return frozenset(row[5] for row in rows if len(row) == 6 and row[0] != _LOOPBACK)


def _find_usable(names: list[str], asked: int) -> Iterator[str]:
    with_ipv6 = parse_ipv6_interfaces(read_kernel_file("/proc/net/if_inet6"))
    for name in names:
        request = _REQUEST.pack(os.fsencode(name))
        (flags,) = _FLAGS.unpack_from(fcntl.ioctl(asked, _SIOCGIFFLAGS, request))
        if flags & _RUNNING and (name in with_ipv6 or _has_ipv4(asked, request)):
            yield name


def _has_ipv4(asked: int, request: bytes) -> bool:
    try:
        fcntl.ioctl(asked, _SIOCGIFADDR, request)
    except OSError:
        return False
    return True
