"""Whether the system's limits leave room for a server on GPUs. Pure."""

from collections.abc import Iterator

from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.gpu import visible_gpus

# NCCL keeps some 10 MiB for each pair of GPUs there, PyTorch's workers more; Docker gives 64 MiB.
_SHARED_MEMORY = 1 << 30
# SGLang and vLLM (set_ulimit) raise their own limit to this, and not at all where that is refused.
_OPEN_FILES = 65_535
# What shells and services have by default.
_FEW_FILES = 1024
# cudaHostAlloc and RDMA register whole buffers; 64 KiB and 8 MiB are the usual limits where it is
# not lifted.
_LOCKED_MEMORY = 64 << 20
# CUDA reserves addresses for all memory of the machine and of its GPUs when it starts.
_ADDRESS_SPACE = 1 << 40


def check_limits(machine: Machine) -> Iterator[Finding]:
    """Judge the limits, as far as the GPUs make them matter."""
    count = len(tuple(visible_gpus(machine)))
    limits = machine.limits
    shared, files, locked = limits.shared_memory, limits.open_files, limits.locked_memory
    if count > 1 and shared is not None and shared < _SHARED_MEMORY:
        yield Code.SHARED_MEMORY_SMALL.found(
            f"shared memory (/dev/shm) holds {shared >> 20} MiB: {count} GPUs work together "
            "through it (NCCL), and fail where it ends",
            (),
            "as root, `mount -o remount,size=16g /dev/shm`; Docker: `--shm-size 16g`; Kubernetes: "
            "an emptyDir with `medium: Memory` at /dev/shm",
        )
    space = limits.address_space
    if count and space is not None and space < _ADDRESS_SPACE:
        yield Code.LIMIT_LOW.found(
            f"a process may have no more than {space >> 30} GiB of addresses: CUDA, which reserves "
            "them for all memory there is, does not start",
            (),
            "`ulimit -v unlimited`; where that is refused, it is the system's: `as unlimited` in "
            "/etc/security/limits.conf, or systemd: `LimitAS=infinity`",
        )
    if count and files is not None and files < _OPEN_FILES:
        yield _explain_files(files, limits.open_files_now or files)
    if count > 1 and locked is not None and locked < _LOCKED_MEMORY:
        yield Code.LIMIT_LOW.found(
            f"a process may lock no more than {locked >> 10} KiB of memory: RDMA between machines "
            "fails",
            (),
            "systemd: `LimitMEMLOCK=infinity`; Docker: `--ulimit memlock=-1`",
            severity=Severity.NOTE,
        )


def _explain_files(most: int, now: int) -> Finding:
    lasting = f"systemd: `LimitNOFILE={_OPEN_FILES}`; Docker: `--ulimit nofile={_OPEN_FILES}`"
    if now >= most:
        words = f"a process may have no more than {most} files open; servers ask for {_OPEN_FILES}"
        return Code.LIMIT_LOW.found(words, (), lasting, severity=Severity.NOTE)
    return Code.LIMIT_LOW.found(
        f"a process may have {now} files open: servers ask for {_OPEN_FILES}, more than the "
        f"{most} that may be had, and are left with {now}",
        (),
        f"`ulimit -S -n {most}`; lasting, {lasting}",
        severity=Severity.WARNING if now < _FEW_FILES else Severity.NOTE,
    )
