"""A store object that is gone: what it explains is left out, and nothing else."""

from errno import ENOENT

import pytest

from nixenv import Finding, Probe, Severity
from nixenv.inspect.diagnosis.consequences import leave_out_consequences
from nixenv.road.probe import Fault
from tests.closures import store_path

ROOT = store_path("python3.12-sglang-0.5.9")
LOSS = Finding("store-object-missing", Severity.ERROR, "gone")


def finding(code: str, *evidence: str) -> Finding:
    return Finding(code, Severity.WARNING, "", evidence)


def left(lost: str, *findings: Finding) -> list[str]:
    probe = Probe((), None, (Fault(store_path(lost), missing=True, errno=ENOENT),))
    return [one.code for one in leave_out_consequences((LOSS, *findings), ROOT, probe)][1:]


@pytest.mark.parametrize(
    ("lost", "code", "explained"),
    [
        ("python3.12-numpy-2.3.4", "python-requirement-unmet", True),
        ("python3.12-numpy-2.3.4", "cuda-cccl-missing", False),
        ("cuda12.8-cuda_cccl-12.8.90", "cuda-cccl-missing", True),
        ("cuda12.8-cuda_nvcc-12.8.93", "cuda-none", True),
        ("cuda12.8-cuda_nvcc-12.8.93", "cuda-no-ninja", False),
        ("ninja-1.13.1", "cuda-no-ninja", True),
        ("ninja-1.13.1", "cuda-library-without-headers", False),
        ("glibc-2.40-66", "gpu-driver-too-old", False),
    ],
)
def test_what_a_loss_explains(lost: str, code: str, *, explained: bool) -> None:
    """By what kind of thing it was."""
    assert left(lost, finding(code)) == ([] if explained else [code])


def test_a_leak_from_outside_the_store_is_told_all_the_same() -> None:
    """One from within may be what was lost."""
    inside = finding("python-path-leak", f"{store_path('python3.12-numpy-2.3.4')}/lib")
    outside = finding("python-path-leak", *inside.evidence, "/home/u/lib: has numpy")
    assert left("python3.12-numpy-2.3.4", inside) == []
    assert left("python3.12-numpy-2.3.4", outside) == ["python-path-leak"]


def test_without_a_loss_all_is_told() -> None:
    """There is nothing to explain it."""
    told = (finding("cuda-cccl-missing"), finding("python-requirement-unmet"))
    assert tuple(leave_out_consequences(told, ROOT, Probe((), None, ()))) == told
