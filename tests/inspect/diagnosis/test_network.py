"""The interfaces that NCCL and gloo are told to take, on plain data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.machine import Machine
from nixenv.evidence.serving import Server
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.network import check_network, select_for_nccl

THERE = ("lo", "eth0", "ib0", "docker0")


def check(
    *interfaces: str, gpus: int = 0, server: Server | None = None, **named: str
) -> list[Finding]:
    driver = GpuDriver(gpus=(Gpu("H100", "9.0", 80_000),) * gpus)
    return list(
        check_network(
            Machine("x86_64", variables=named, driver=driver, interfaces=interfaces, server=server)
        )
    )


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("eth", ["eth0"]),
        ("eth,ib", ["eth0", "ib0"]),
        ("=eth", []),
        ("=eth0,ib0", ["eth0", "ib0"]),
        ("^docker,lo", ["eth0", "ib0"]),
        ("^=docker,lo", ["eth0", "ib0", "docker0"]),
        ("^lo,eth,ib,docker", []),
        ("eth0:9000", ["eth0"]),
        ("eth1,=ib0", []),
        ("=", list(THERE)),
        ("==eth0", []),
        (",", list(THERE)),
        ("=,", list(THERE)),
        ("^,", []),
    ],
)
def test_what_nccl_takes(value: str, taken: list[str]) -> None:
    """As its `ncclFindInterfaces` has it."""
    assert select_for_nccl(value, THERE) == taken
    assert [f.code for f in check(*THERE, NCCL_SOCKET_IFNAME=value)] == (
        [] if taken else ["network-interface-missing"]
    )


@given(st.text(st.sampled_from("^=,:eth0lo\n"), max_size=9))
def test_a_negated_list_takes_the_others(value: str) -> None:
    """Whatever is in it."""
    if len(value) > 1 and not value.startswith("^"):
        rest = [name for name in THERE if name not in select_for_nccl(value, THERE)]
        assert select_for_nccl(f"^{value}", THERE) == rest


@pytest.mark.parametrize(
    ("value", "is_found"),
    [("eth0", False), ("eth0,ib0", False), ("eth", True), ("eth0,eth9", True), ("^lo", True)],
)
def test_gloo_wants_names(value: str, *, is_found: bool) -> None:
    """All of them."""
    assert bool(check(*THERE, GLOO_SOCKET_IFNAME=value)) == is_found


def test_how_bad_it_is() -> None:
    """NCCL's is an error with several GPUs, gloo's with a server; both say what there is."""
    told = {"NCCL_SOCKET_IFNAME": "eth9", "GLOO_SOCKET_IFNAME": "eth9"}
    for server, gpus, severities in (
        (None, 1, [Severity.WARNING, Severity.WARNING]),
        (None, 2, [Severity.ERROR, Severity.WARNING]),
        (Server({}), 1, [Severity.WARNING, Severity.ERROR]),
    ):
        found = check("lo", "eth0", gpus=gpus, server=server, **told)
        assert [finding.severity for finding in found] == severities
    assert found[0].evidence[1] == "interfaces with an address: lo, eth0"
    assert found[0].remedy == "`unset NCCL_SOCKET_IFNAME`"


def test_where_no_interface_is_known_nothing_is_said() -> None:
    """Nor where nothing is named."""
    assert check(NCCL_SOCKET_IFNAME="eth9", GLOO_SOCKET_IFNAME="eth9") == []
    assert check(*THERE, NCCL_SOCKET_IFNAME="", GLOO_SOCKET_IFNAME="") == []
