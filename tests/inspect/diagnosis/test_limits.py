"""The checks of limits, on plain data."""

import pytest

from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.limits import Limits
from nixenv.evidence.machine import Machine
from nixenv.findings import Severity
from nixenv.inspect.diagnosis.limits import check_limits

DOCKER = Limits(64 << 20, 1024, 64 << 10)


@pytest.mark.parametrize(
    ("limits", "gpus", "codes"),
    [
        (Limits(), 8, []),
        (Limits(32 << 30, 1_048_576, 8 << 30), 8, []),
        (DOCKER, 0, []),
        (Limits(address_space=16 << 30), 0, []),
        (Limits(address_space=16 << 30), 1, ["limit-low"]),
        (DOCKER, 1, ["limit-low"]),
        (DOCKER, 2, ["shared-memory-small", "limit-low", "limit-low"]),
    ],
)
def test_limits_matter_where_gpus_do(limits: Limits, gpus: int, codes: list[str]) -> None:
    """Shared and locked memory are for several; nothing is said where there is none."""
    driver = GpuDriver(gpus=(Gpu("H100", "9.0", 80_000),) * gpus)
    found = check_limits(Machine("x86_64", driver=driver, limits=limits))
    assert [finding.code for finding in found] == codes


@pytest.mark.parametrize(
    ("now", "most", "severity"),
    [
        (256, None, None),
        (256, 524_288, None),
        (4096, 4096, Severity.NOTE),
        (1024, 4096, Severity.NOTE),
        (256, 4096, Severity.WARNING),
    ],
)
def test_open_files(now: int, most: int | None, severity: Severity | None) -> None:
    """Servers raise the number to 65535, or not at all."""
    driver = GpuDriver(gpus=(Gpu("H100", "9.0", 80_000),))
    limits = Limits(open_files=most, open_files_now=now)
    found = list(check_limits(Machine("x86_64", driver=driver, limits=limits)))
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(("`ulimit -S -n 4096`" in one.remedy) == (now < 4096) for one in found)
