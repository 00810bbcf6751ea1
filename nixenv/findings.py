"""A finding: something that the user of an environment should know."""

from enum import StrEnum

from nixenv.typed import NamedTuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Self


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing to know.

    Attributes:
        code: What it is.
        severity: How bad it is.
        summary: One sentence.
        evidence: The paths or values that show it.
        remedy: What to do about it; what is to be typed or pasted stands between backticks
            (`nixenv.text.as_code`). Empty when there is nothing to do.
    """

    code: "Code"
    severity: Severity
    summary: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""


class Code(StrEnum):
    """The stable name of each finding, with the severities that it may have, worst first.

    What they mean stands in `nixenv.inspect.diagnosis`; export tells some of them as well.
    """

    severities: tuple[Severity, ...]

    def __new__(cls, code: str, *severities: Severity) -> "Self":
        """Make a member that is equal to its name."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severities = severities
        return member

    def found(
        self,
        summary: str,
        evidence: tuple[str, ...] = (),
        remedy: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        """Make the finding; of several severities it has the worst, unless another one is given."""
        return Finding(self, severity or self.severities[0], summary, evidence, remedy)

    STORE_OBJECT_MISSING = "store-object-missing", Severity.ERROR
    STORE_OBJECT_UNREADABLE = "store-object-unreadable", Severity.ERROR
    STORE_OBJECT_DAMAGED = "store-object-damaged", Severity.ERROR
    STORE_ROOT_INVALID = "store-root-invalid", Severity.ERROR
    NIX_DAEMON_UNREACHABLE = "nix-daemon-unreachable", Severity.ERROR
    NIX_MISSING = "nix-missing", Severity.ERROR, Severity.WARNING
    NIX_FAILED = "nix-failed", Severity.ERROR, Severity.WARNING
    NIX_NO_ANSWER = "nix-no-answer", Severity.ERROR
    PYTHON_NOT_FOUND = "python-not-found", Severity.ERROR
    PYTHON_AMBIGUOUS = "python-ambiguous", Severity.ERROR
    PYTHON_VIRTUALENV_KEPT = "python-virtualenv-kept", Severity.NOTE
    PYTHON_VIRTUALENV_REPLACED = "python-virtualenv-replaced", Severity.WARNING, Severity.NOTE
    PYTHON_UNSUPPORTED = "python-unsupported", Severity.ERROR
    PYTHON_OTHER_MODULES = "python-other-modules", Severity.ERROR
    PYTHON_LAUNCHER_UNREAD = "python-launcher-unread", Severity.NOTE
    PYTHON_STANDARD_MODULE = "python-standard-module", Severity.WARNING
    PYTHON_NO_MODULES = "python-no-modules", Severity.WARNING
    PYTHON_SEVERAL_INTERPRETERS = "python-several-interpreters", Severity.NOTE
    PYTHON_SEVERAL_VERSIONS = "python-several-versions", Severity.NOTE
    PYTHON_MODULE_TWICE = "python-module-twice", Severity.WARNING
    PYTHON_PATH_FILE_IGNORED = "python-path-file-ignored", Severity.WARNING
    PYTHON_REQUIREMENT_UNMET = "python-requirement-unmet", Severity.WARNING
    PYTHON_EXTENSION_ABI = "python-extension-abi", Severity.ERROR, Severity.WARNING
    PYTHON_PATH_LEAK = "python-path-leak", Severity.WARNING
    PYTHON_HOME_LEAK = "python-home-leak", Severity.ERROR
    PYTHON_USER_SITE_LEAK = "python-user-site-leak", Severity.WARNING
    PYTHON_SHADOWED = "python-shadowed", Severity.ERROR, Severity.WARNING
    CUDA_NONE = "cuda-none", Severity.NOTE
    CUDA_NOT_FOUND = "cuda-not-found", Severity.ERROR
    CUDA_VERSION_UNKNOWN = "cuda-version-unknown", Severity.WARNING
    CUDA_SEVERAL_COMPILERS = "cuda-several-compilers", Severity.WARNING
    CUDA_DISTRIBUTIONS = "cuda-distributions", Severity.WARNING
    CUDA_SEVERAL_VERSIONS = "cuda-several-versions", Severity.WARNING, Severity.NOTE
    CUDA_PATCH_LEVELS = "cuda-patch-levels", Severity.NOTE
    CUDA_RUNTIME_HEADERS_MISSING = "cuda-runtime-headers-missing", Severity.WARNING
    CUDA_CCCL_MISSING = "cuda-cccl-missing", Severity.WARNING
    CUDA_RUNTIME_LIBRARY_MISSING = "cuda-runtime-library-missing", Severity.WARNING
    CUDA_STUBS_MISSING = "cuda-stubs-missing", Severity.WARNING
    CUDA_LIBRARY_WITHOUT_HEADERS = "cuda-library-without-headers", Severity.WARNING
    CUDA_NO_HOST_COMPILER = "cuda-no-host-compiler", Severity.WARNING
    CUDA_HOST_COMPILER_TOO_NEW = "cuda-host-compiler-too-new", Severity.ERROR
    CUDA_NO_NINJA = "cuda-no-ninja", Severity.WARNING
    CUDA_HOME_PARTIAL = "cuda-home-partial", Severity.WARNING, Severity.NOTE
    CUDA_CUOBJDUMP_MISSING = "cuda-cuobjdump-missing", Severity.WARNING
    CUDA_STUBS_AT_RUN_TIME = "cuda-stubs-at-run-time", Severity.ERROR
    CUDA_STUBS_ON_RUN_PATH = "cuda-stubs-on-run-path", Severity.NOTE
    TORCH_OTHER_CUDA = "torch-other-cuda", Severity.ERROR, Severity.WARNING
    TORCH_WITHOUT_CUDA = "torch-without-cuda", Severity.WARNING
    GPU_NONE = "gpu-none", Severity.NOTE
    GPU_DRIVER_NOT_LOADED = "gpu-driver-not-loaded", Severity.WARNING
    GPU_NVIDIA_SMI_MISSING = "gpu-nvidia-smi-missing", Severity.WARNING
    GPU_NVIDIA_SMI_FAILED = "gpu-nvidia-smi-failed", Severity.ERROR, Severity.WARNING
    GPU_DRIVER_TOO_OLD = "gpu-driver-too-old", Severity.ERROR, Severity.WARNING
    GPU_DRIVER_OLDER_THAN_TOOLKIT = "gpu-driver-older-than-toolkit", Severity.NOTE
    GPU_DEVICE_NODE_MISSING = "gpu-device-node-missing", Severity.ERROR
    GPU_JETSON = "gpu-jetson", Severity.NOTE
    GPU_SPLIT = "gpu-split", Severity.NOTE
    GPU_PROHIBITED = "gpu-prohibited", Severity.ERROR, Severity.WARNING
    GPU_MEMORY_HELD = "gpu-memory-held", Severity.WARNING
    GPU_HIDDEN = "gpu-hidden", Severity.WARNING
    GPU_ARCHITECTURE_UNSUPPORTED = "gpu-architecture-unsupported", Severity.ERROR, Severity.WARNING
    GPU_TOO_OLD = "gpu-too-old", Severity.ERROR, Severity.WARNING
    GPU_NEWER_THAN_TOOLKIT = "gpu-newer-than-toolkit", Severity.WARNING
    GPU_LIBCUDA_UNREACHABLE = "gpu-libcuda-unreachable", Severity.ERROR
    SERVER_PARALLEL_UNFIT = "server-parallel-unfit", Severity.ERROR
    MODEL_MISSING = "model-missing", Severity.ERROR
    MODEL_TOO_LARGE = "model-too-large", Severity.ERROR
    MODEL_NEEDS_NEWER_GPU = "model-needs-newer-gpu", Severity.ERROR, Severity.WARNING
    SHARED_MEMORY_SMALL = "shared-memory-small", Severity.WARNING
    LIMIT_LOW = "limit-low", Severity.WARNING, Severity.NOTE
    ENVIRONMENT_NOT_ACTIVE = "environment-not-active", Severity.NOTE
    ENVIRONMENT_OUTDATED = "environment-outdated", Severity.WARNING
    ENVIRONMENT_DRIFT = "environment-drift", Severity.WARNING
    ENVIRONMENT_FOREIGN_ENTRIES = "environment-foreign-entries", Severity.WARNING, Severity.NOTE
    PRELOAD_FATAL = "preload-fatal", Severity.ERROR
    PRELOAD_IGNORED = "preload-ignored", Severity.WARNING
    NETWORK_INTERFACE_MISSING = "network-interface-missing", Severity.ERROR, Severity.WARNING
    CONDA_ACTIVE = "conda-active", Severity.WARNING, Severity.NOTE
    TOOL_BROKEN = "tool-broken", Severity.ERROR
    COMPILER_FLAGS_FOREIGN = "compiler-flags-foreign", Severity.WARNING
    ARCHITECTURE_LIST_UNFIT = "architecture-list-unfit", Severity.ERROR, Severity.WARNING
    PROFILE_VALUE_LEFT_OUT = "profile-value-left-out", Severity.WARNING, Severity.NOTE
    VALUE_NEAR_LIMIT = "value-near-limit", Severity.WARNING
    VALUE_TOO_LONG = "value-too-long", Severity.ERROR
    ENVIRONMENT_IMPOSSIBLE = "environment-impossible", Severity.ERROR
    CACHE_DIRECTORY_UNWRITABLE = "cache-directory-unwritable", Severity.ERROR, Severity.WARNING
    CACHE_DIRECTORY_NOEXEC = "cache-directory-noexec", Severity.ERROR
    CACHE_DIRECTORY_NEARLY_FULL = "cache-directory-nearly-full", Severity.WARNING
    CACHE_FOREIGN_OWNER = "cache-foreign-owner", Severity.ERROR, Severity.WARNING
    CACHE_DEAD_LOCK = "cache-dead-lock", Severity.WARNING
    CACHE_OTHER_TOOLKIT = "cache-other-toolkit", Severity.WARNING
    PORT_IN_USE = "port-in-use", Severity.WARNING
    PORT_UNAVAILABLE = "port-unavailable", Severity.ERROR
    PORT_INVALID = "port-invalid", Severity.ERROR
    CPU_NO_AVX2 = "cpu-no-avx2", Severity.ERROR
    FARM_MISSING = "farm-missing", Severity.ERROR, Severity.NOTE
    FARM_BROKEN = "farm-broken", Severity.ERROR
    FARM_FOREIGN_FILES = "farm-foreign-files", Severity.WARNING
    FARM_CONFLICTS = "farm-conflicts", Severity.NOTE
