"""What was tried, what came of it, and which finding explains a failure. Pure."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from attrs import frozen

from nixenv.findings import Code, Finding
from nixenv.plain import to_plain

SCHEMA = 1
"""The schema of `to_document`."""


class State(StrEnum):
    """What came of a step."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Part(StrEnum):
    """What a step has to do with, and so which findings may explain it."""

    CACHE = "cache"
    IMPORT = "import"
    DEVICE_CODE = "device code"
    HOST_CODE = "host code"
    LINK = "link"
    NINJA = "ninja"
    BUILD_FILE = "build file"
    LOAD = "load"
    DRIVER = "driver"
    GPU = "gpu"
    LAUNCHER = "triton launcher"


@frozen
class Step:
    """One thing that was tried.

    Attributes:
        part: What it has to do with.
        name: What was tried, for a person.
        state: What came of it.
        seconds: How long that took.
        command: The command, as a shell takes it; empty where none was run.
        detail: What was found out; of a failure, the tool's own words; else why it was not tried.
        finding: What `nixenv inspect` says that explains a failure; None where it says nothing.
    """

    part: Part
    name: str
    state: State
    seconds: float = 0.0
    command: str = ""
    detail: str = ""
    finding: Finding | None = None


@frozen
class Proof:
    """All that was tried.

    Attributes:
        program: The program's file name; None when unknown.
        root: The root's store path.
        layout: ``store`` or ``linked``.
        steps: The steps, in their order.
    """

    program: str | None
    root: str
    layout: str
    steps: tuple[Step, ...]

    @property
    def failed(self) -> bool:
        """Whether a step failed."""
        return any(step.state is State.FAILED for step in self.steps)


# What inspect may say about a failure, the likeliest cause first.
_EXPLANATIONS: Mapping[Part, tuple[Code, ...]] = {
    Part.CACHE: (
        *(Code.CACHE_DIRECTORY_UNWRITABLE, Code.CACHE_DIRECTORY_NOEXEC),
        *(Code.CACHE_FOREIGN_OWNER, Code.CACHE_DIRECTORY_NEARLY_FULL),
    ),
    Part.IMPORT: (
        Code.PRELOAD_FATAL,
        *(Code.STORE_OBJECT_MISSING, Code.STORE_OBJECT_DAMAGED, Code.STORE_OBJECT_UNREADABLE),
        *(Code.GPU_LIBCUDA_UNREACHABLE, Code.PYTHON_EXTENSION_ABI, Code.PYTHON_PATH_LEAK),
    ),
    Part.DEVICE_CODE: (
        *(Code.CUDA_DISTRIBUTIONS, Code.CUDA_HOST_COMPILER_TOO_NEW, Code.CUDA_NO_HOST_COMPILER),
        *(Code.CUDA_RUNTIME_HEADERS_MISSING, Code.CUDA_CCCL_MISSING, Code.GPU_TOO_OLD),
        *(Code.TOOL_BROKEN, Code.COMPILER_FLAGS_FOREIGN, Code.ARCHITECTURE_LIST_UNFIT),
    ),
    Part.HOST_CODE: (
        Code.TOOL_BROKEN,
        Code.CUDA_NO_HOST_COMPILER,
        Code.CUDA_RUNTIME_HEADERS_MISSING,
    ),
    Part.LINK: (
        *(Code.CUDA_RUNTIME_LIBRARY_MISSING, Code.CUDA_STUBS_MISSING),
        *(Code.TOOL_BROKEN, Code.COMPILER_FLAGS_FOREIGN),
    ),
    Part.NINJA: (Code.TOOL_BROKEN, Code.CUDA_NO_NINJA),
    Part.BUILD_FILE: (Code.CACHE_OTHER_TOOLKIT,),
    Part.LOAD: (Code.ENVIRONMENT_FOREIGN_ENTRIES, Code.TORCH_OTHER_CUDA),
    Part.DRIVER: (
        *(Code.GPU_LIBCUDA_UNREACHABLE, Code.CUDA_STUBS_AT_RUN_TIME, Code.GPU_DRIVER_TOO_OLD),
        *(Code.GPU_NVIDIA_SMI_FAILED, Code.GPU_DRIVER_NOT_LOADED, Code.GPU_DEVICE_NODE_MISSING),
        Code.GPU_HIDDEN,
    ),
    Part.GPU: (Code.GPU_DRIVER_TOO_OLD, Code.GPU_TOO_OLD, Code.TORCH_OTHER_CUDA),
    Part.LAUNCHER: (*(Code.GPU_LIBCUDA_UNREACHABLE, Code.CUDA_STUBS_MISSING, Code.TOOL_BROKEN),),
}

# gcc: fatal error: nv/target: No such file; ld: cannot find -lcudart; the loader: libcuda.so.1:
# cannot open shared object file.
_MISSED = re.compile(
    r"fatal error: (?P<header>[^:\s]+): No such|cannot find (?P<library>-l[\w.+-]+)"
    r"|(?P<shared>lib[\w.+-]+): cannot open"
)


def explain(step: Step, findings: Sequence[Finding]) -> Finding | None:
    """Choose the finding that explains a failed step; None where none does.

    What names the very thing that a tool missed comes first, then what is likeliest for such a
    step.

    Args:
        step: The step.
        findings: What inspect found, worst first.
    """
    missed = [_missing(match) for match in _MISSED.finditer(step.detail)]
    for finding in findings:
        told = "\n".join((finding.summary, *finding.evidence))
        if any(pattern.search(told) for pattern in missed):
            return finding
    found = {finding.code: finding for finding in reversed(findings)}
    return next((found[code] for code in _EXPLANATIONS[step.part] if code in found), None)


def _missing(match: re.Match[str]) -> re.Pattern[str]:
    """Give what finds the name of the thing that a tool missed in the words of a finding."""
    # A library behind a slash is one that is there.
    before = "./" if match.lastgroup == "shared" else "."
    return re.compile(rf"(?<![\w{before}]){re.escape(match[match.lastgroup or 0])}(?![\w])")


def to_document(proof: Proof) -> dict[str, object]:
    """Give a proof as plain JSON data."""
    return {"schema": SCHEMA, "failed": proof.failed, **to_plain(proof)}
