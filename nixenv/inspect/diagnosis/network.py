"""Whether the network interfaces are there that NCCL and gloo are told to take. Pure."""

from collections.abc import Callable, Collection, Iterator

from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.gpu import count_visible
from nixenv.text import as_code, printable


def check_network(machine: Machine) -> Iterator[Finding]:
    """Judge the variables that name interfaces. Where no interface is known, nothing is said."""
    is_parallel = count_visible(machine) > 1
    yield from _check(machine, "NCCL_SOCKET_IFNAME", select_for_nccl, is_fatal=is_parallel)
    # A server starts gloo whatever the number of GPUs.
    is_server = machine.server is not None
    yield from _check(machine, "GLOO_SOCKET_IFNAME", select_for_gloo, is_fatal=is_server)


def select_for_nccl(value: str, interfaces: Collection[str]) -> list[str]:
    """Give the interfaces that NCCL takes.

    NCCL's documentation, "NCCL_SOCKET_IFNAME": prefixes with commas between them; the whole list is
    negated by a ``^`` in front and meant exactly by a ``=`` behind that. By its source a value of
    one character does not count, nor does what follows a colon, and a list without any name is one
    that all fit.

    >>> select_for_nccl("eth,ib0", ["lo", "eth0", "ib0"]), select_for_nccl("^=lo", ["lo", "eth0"])
    (['eth0', 'ib0'], ['eth0'])
    """
    if len(value) < 2:
        return list(interfaces)
    listed = value.removeprefix("^")
    entries = (entry.partition(":")[0] for entry in listed.removeprefix("=").split(","))
    named = tuple(filter(None, entries))
    if not named or listed.startswith("="):
        fitting = {name for name in interfaces if not named or name in named}
    else:
        fitting = {name for name in interfaces if name.startswith(named)}
    return [name for name in interfaces if (name in fitting) != value.startswith("^")]


def select_for_gloo(value: str, interfaces: Collection[str]) -> list[str]:
    """Give the interfaces that torch's gloo takes: it wants all that are named, exactly."""
    names = list(filter(None, value.split(",")))
    return names if set(names) <= set(interfaces) else []


def _check(
    machine: Machine,
    name: str,
    select: Callable[[str, Collection[str]], list[str]],
    *,
    is_fatal: bool,
) -> Iterator[Finding]:
    value, interfaces = machine.variables.get(name), machine.interfaces
    if value and interfaces and not select(value, interfaces):
        yield Code.NETWORK_INTERFACE_MISSING.found(
            f"{name}={printable(value)} fits none of this machine's network interfaces: processes "
            "that work together do not find each other",
            (f"{name}={value}", f"interfaces with an address: {', '.join(interfaces)}"),
            as_code(f"unset {name}"),
            severity=Severity.ERROR if is_fatal else Severity.WARNING,
        )
