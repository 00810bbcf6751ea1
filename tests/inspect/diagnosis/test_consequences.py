"""A store object that is gone: what it explains is left out, and nothing else."""

import pytest

from nixenv.findings import Code
from nixenv.inspect.diagnosis.consequences import leave_out_consequences
from tests.closures import store_path


def left(code: Code, *lost: str) -> list[str]:
    findings = (Code.STORE_OBJECT_MISSING.found("gone"), code.found("it"))
    kept = leave_out_consequences(findings, [store_path(name) for name in lost])
    return [str(one.code) for one in kept][1:]


@pytest.mark.parametrize(
    ("lost", "code", "explained"),
    [
        ("python3.12-numpy-2.3.4", Code.PYTHON_REQUIREMENT_UNMET, True),
        ("python3.12-numpy-2.3.4", Code.CUDA_CCCL_MISSING, False),
        ("cuda12.8-cuda_cccl-12.8.90", Code.CUDA_CCCL_MISSING, True),
        ("cuda12.8-cuda_nvcc-12.8.93", Code.CUDA_NONE, True),
        ("cuda12.8-cuda_nvcc-12.8.93", Code.CUDA_NO_NINJA, False),
        ("cuda12.8-cuda_nvcc-12.8.93", Code.PYTHON_NO_MODULES, True),
        ("ninja-1.13.1", Code.CUDA_NO_NINJA, True),
        ("ninja-1.13.1", Code.CUDA_LIBRARY_WITHOUT_HEADERS, False),
        ("glibc-2.40-66", Code.GPU_DRIVER_TOO_OLD, False),
    ],
)
def test_what_a_loss_explains(lost: str, code: Code, *, explained: bool) -> None:
    """By what kind of thing it was."""
    assert left(code, lost) == ([] if explained else [code])


def test_without_a_loss_all_is_told() -> None:
    """There is nothing to explain it."""
    for code in (Code.CUDA_CCCL_MISSING, Code.PYTHON_REQUIREMENT_UNMET):
        assert left(code) == [code]
