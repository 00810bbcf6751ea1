"""Documents as `inspect --json` writes them, as plain data."""

from typing import Any

from tests.closures import site_packages, store_path

Document = dict[str, Any]

SIZES = {
    "python3.12-torch-2.9.1": ("python", 1_900_000_000),
    "python3.12-sgl-kernel-0.3.21": ("python", 1_100_000_000),
    "python3.12-triton-3.5.1": ("python", 420_000_000),
    "python3.12-flashinfer-python-0.6.5": ("python", 300_000_000),
    "python3.12-transformers-4.57.6": ("python", 110_000_000),
    "python3.12-sglang-0.5.9": ("python", 40_000_000),
    "python3.12-packaging-25.0": ("python", 600_000),
    "python3.12-idna-3.11": ("python", 500_000),
    "cuda12.8-libcublas-12.8.4.1-lib": ("cuda", 880_000_000),
    "cuda12.8-cudnn-9.7.1.26-lib": ("cuda", 1_250_000_000),
    "cuda12.8-cuda_nvcc-12.8.93": ("cuda", 240_000_000),
    "cuda12.8-libcufft-11.3.3.83-lib": ("cuda", 290_000_000),
    "cuda12.8-libcusparse-12.5.8.93-lib": ("cuda", 430_000_000),
    "cuda12.8-cuda_cudart-12.8.90": ("cuda", 4_000_000),
    "gcc-wrapper-14.3.0": ("other", 40_000),
    "gcc-14.3.0": ("other", 270_000_000),
    "glibc-2.40-66": ("other", 31_000_000),
    "python3-3.12.12": ("other", 120_000_000),
    "ninja-1.13.1": ("other", 400_000),
    "empty": ("other", 0),
}

FINDINGS = (
    {
        "code": "store-object-missing",
        "severity": "error",
        "summary": "1 member of the closure is not on disk; export refuses",
        "evidence": [store_path("python3.12-idna-3.11")],
        "remedy": f"run `nix-store --repair-path {store_path('python3.12-idna-3.11')}`",
    },
    {
        "code": "cuda-header-missing",
        "severity": "warning",
        "summary": "libcublas is there, its headers are not: what includes cublasLt.h will fail",
        "evidence": [f"/evidence/{number}" for number in range(12)],
        "remedy": 'add `libcublas.outputs = "all"` to the manifest',
    },
    {
        "code": "python-several-interpreters",
        "severity": "note",
        "summary": "several interpreters in the closure",
        "evidence": [],
        "remedy": "",
    },
)


def member(name: str, group: str, nar_size: int | None) -> Document:
    """Make a store object of the document."""
    closure_size = None if nar_size is None else 2 * nar_size + 1000
    return {
        "path": store_path(name),
        "name": name,
        "group": group,
        "nar_size": nar_size,
        "closure_size": closure_size,
    }


def document(**changes: Any) -> Document:
    """Make a document of an environment with a finding of each severity."""
    return {
        "schema": 3,
        "verdict": "broken",
        "next_step": FINDINGS[0]["remedy"],
        "root": {
            "path": store_path("python3.12-sglang-0.5.9"),
            "program": "sglang",
            "origin": "sglang on PATH",
            "found": "/flox/env/bin/sglang",
        },
        "source": "nix-store -qR",
        "profile": "sglang",
        "layout": "store",
        "inventory": inventory(),
        "modules": modules(),
        "members": [member(name, *rest) for name, rest in SIZES.items()],
        "variables": {
            "CUDA_HOME": store_path("cuda12.8-cuda_nvcc-12.8.93"),
            "PYTHONHOME": None,
            "PYTHONPATH": ":".join(module["directory"] for module in modules()),
            "SGLANG_PORT": "30000",
        },
        "machine": machine(),
        "findings": list(FINDINGS),
    } | changes


def works(**changes: Any) -> Document:
    """Make a document without findings."""
    return document(verdict="works", next_step="nothing", findings=[]) | changes


def inventory() -> Document:
    """Make the inventory."""
    nvcc = store_path("cuda12.8-cuda_nvcc-12.8.93")
    cudart = store_path("cuda12.8-cuda_cudart-12.8.90")
    return {
        "root": store_path("python3.12-sglang-0.5.9"),
        "interpreter": {
            "path": store_path("python3-3.12.12"),
            "version": "3.12",
            "reasons": ["the wrapper's shebang names it"],
            "others": [],
        },
        "site_packages": [
            {"directory": module["directory"], "own": module["own"]} for module in modules()
        ],
        "cuda": {
            "version": "12.8",
            "nvcc": nvcc,
            "reasons": ["asked for"],
            "members": [nvcc, cudart],
            "include_dirs": [f"{nvcc}/include", f"{cudart}/include"],
            "library_dirs": [f"{cudart}/lib"],
            "stub_dirs": [f"{cudart}/lib/stubs"],
            "others": [store_path("cuda12.4-cuda_nvcc-12.4.131")],
        },
        "host_compiler": {
            "path": store_path("gcc-wrapper-14.3.0"),
            "reason": "nvcc.profile names it",
        },
        "ninja": None,
    }


def modules() -> list[Document]:
    """Make the site-packages directories; `packaging` is in three of them."""
    held = {
        "python3.12-sglang-0.5.9": [("sglang", "0.5.9")],
        "python3.12-torch-2.9.1": [("torch", "2.9.1")],
        "python3.12-packaging-25.0": [("packaging", "25.0")],
        "python3.12-setuptools-80.9.0": [("setuptools", "80.9.0"), ("Packaging", "24.2")],
        "python3.12-build-1.2.2": [("build", "1.2.2"), ("packaging", "20.9")],
    }
    return [
        {
            "directory": site_packages(name),
            "own": "setuptools" not in name and "build" not in name,
            "distributions": [{"name": n, "version": v} for n, v in distributions],
        }
        for name, distributions in held.items()
    ]


def machine() -> Document:
    """Make a machine with one GPU."""
    return {
        "architecture": "x86_64",
        "avx2": True,
        "variables": {"CUDA_HOME": "/usr/local/cuda", "SGLANG_PORT": "30000"},
        "programs": {"nvidia-smi": "/usr/bin/nvidia-smi"},
        "user_site": None,
        "driver": {
            "devices": ["/dev/nvidia0"],
            "nvidia_smi": "/usr/bin/nvidia-smi",
            "failure": "",
            "version": "570.86.15",
            "gpus": [{"name": "NVIDIA H200", "compute_capability": "9.0", "memory": 143771}],
            "libcuda": "/run/opengl-driver/lib/libcuda.so.1",
        },
        "directories": [
            {"variable": "TRITON_CACHE_DIR", "path": "/cache/triton", "problem": ""},
            {"variable": "TVM_FFI_CACHE_DIR", "path": "/x", "problem": "Permission denied"},
        ],
        "ports": [{"variable": "SGLANG_PORT", "port": 30000, "problem": ""}],
    }
