"""Reports of an SGLang environment, as `inspect` makes them: synthetic, with real names."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict, evolve, has

from nixenv.evidence.caches import DirectoryState
from nixenv.evidence.distributions import Distribution
from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.machine import Machine, PortState
from nixenv.evidence.occasion import Occasion
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.components import Group
from nixenv.inspect.report import Member, Module, Report, Verdict
from nixenv.road.choice import Reason
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaToolkit
from nixenv.road.host_compiler import HostCompiler
from nixenv.road.python import Interpreter, SitePackages
from nixenv.road.root import Root
from tests.closures import site_packages, store_path

SIZES = {
    "python3.12-torch-2.9.1": (Group.PYTHON, 1_900_000_000),
    "python3.12-sgl-kernel-0.3.21": (Group.PYTHON, 1_100_000_000),
    "python3.12-triton-3.5.1": (Group.PYTHON, 420_000_000),
    "python3.12-flashinfer-python-0.6.5": (Group.PYTHON, 300_000_000),
    "python3.12-transformers-4.57.6": (Group.PYTHON, 110_000_000),
    "python3.12-sglang-0.5.9": (Group.PYTHON, 40_000_000),
    "python3.12-packaging-25.0": (Group.PYTHON, 600_000),
    "python3.12-idna-3.11": (Group.PYTHON, 500_000),
    "cuda12.8-libcublas-12.8.4.1-lib": (Group.CUDA, 880_000_000),
    "cuda12.8-cudnn-9.7.1.26-lib": (Group.CUDA, 1_250_000_000),
    "cuda12.8-cuda_nvcc-12.8.93": (Group.CUDA, 240_000_000),
    "cuda12.8-libcufft-11.3.3.83-lib": (Group.CUDA, 290_000_000),
    "cuda12.8-libcusparse-12.5.8.93-lib": (Group.CUDA, 430_000_000),
    "cuda12.8-cuda_cudart-12.8.90": (Group.CUDA, 4_000_000),
    "gcc-wrapper-14.3.0": (Group.OTHER, 40_000),
    "gcc-14.3.0": (Group.OTHER, 270_000_000),
    "glibc-2.40-66": (Group.OTHER, 31_000_000),
    "python3-3.12.12": (Group.OTHER, 120_000_000),
    "ninja-1.13.1": (Group.OTHER, 400_000),
    "empty": (Group.OTHER, 0),
}

FINDINGS = (
    Finding(
        Code.STORE_OBJECT_MISSING,
        Severity.ERROR,
        "1 member of the closure is not on disk; export refuses",
        (store_path("python3.12-idna-3.11"),),
        f"run `nix-store --repair-path {store_path('python3.12-idna-3.11')}`",
    ),
    Finding(
        Code.CUDA_RUNTIME_HEADERS_MISSING,
        Severity.WARNING,
        "libcublas is there, its headers are not: what includes cublasLt.h will fail",
        tuple(f"/evidence/{number}" for number in range(12)),
        'add to the manifest (`flox edit`): `libcublas.outputs = "all"`',
    ),
    Finding(Code.PYTHON_SEVERAL_INTERPRETERS, Severity.NOTE, "several interpreters in the closure"),
)


def member(name: str, group: Group, nar_size: int | None) -> Member:
    """Make a store object of the report."""
    closure_size = None if nar_size is None else 2 * nar_size + 1000
    return Member(store_path(name), name, group, nar_size, closure_size)


def members(*sizes: int) -> tuple[Member, ...]:
    """Make store objects of Python of these sizes."""
    return tuple(member(f"name-{n}", Group.PYTHON, size) for n, size in enumerate(sizes))


MEMBERS = tuple(member(name, *rest) for name, rest in SIZES.items())

ROOT = Root(
    store_path("python3.12-sglang-0.5.9"), "sglang", "sglang on PATH", "/flox/env/bin/sglang"
)


def _module(name: str, *held: tuple[str, str], own: bool = True) -> Module:
    return Module(site_packages(name), own, tuple(Distribution(*found) for found in held))


# `packaging` is in three of them.
MODULES = (
    _module("python3.12-sglang-0.5.9", ("sglang", "0.5.9")),
    _module("python3.12-torch-2.9.1", ("torch", "2.9.1")),
    _module("python3.12-packaging-25.0", ("packaging", "25.0")),
    _module(
        "python3.12-setuptools-80.9.0", ("setuptools", "80.9.0"), ("Packaging", "24.2"), own=False
    ),
    _module("python3.12-build-1.2.2", ("build", "1.2.2"), ("packaging", "20.9"), own=False),
)

_NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
_CUDART = store_path("cuda12.8-cuda_cudart-12.8.90")

INVENTORY = Inventory(
    root=ROOT.path,
    interpreter=Interpreter(store_path("python3-3.12.12"), "3.12", (Reason.LAUNCHER,), ()),
    site_packages=tuple(SitePackages(module.directory, module.own) for module in MODULES),
    cuda=CudaToolkit(
        version="12.8",
        home=_NVCC,
        nvcc=_NVCC,
        reasons=(Reason.ASKED_FOR,),
        members=(_NVCC, _CUDART),
        homes=(_NVCC, _CUDART),
        include_dirs=(f"{_NVCC}/include", f"{_CUDART}/include"),
        library_dirs=(f"{_CUDART}/lib",),
        stub_dirs=(f"{_CUDART}/lib/stubs",),
        others=(store_path("cuda12.4-cuda_nvcc-12.4.131"),),
    ),
    host_compiler=HostCompiler(
        store_path("gcc-wrapper-14.3.0"),
        Reason.NVCC_NAMES_IT,
        f"{store_path('gcc-wrapper-14.3.0')}/bin/gcc",
        f"{store_path('gcc-wrapper-14.3.0')}/bin/g++",
    ),
    ninja=None,
)

DRIVER = GpuDriver(
    devices=("/dev/nvidia0",),
    nvidia_smi="/usr/bin/nvidia-smi",
    version="570.86.15",
    gpus=(Gpu("NVIDIA H200", "9.0", 143771),),
    libcuda="/run/opengl-driver/lib/libcuda.so.1",
)

MACHINE = Machine(
    architecture="x86_64",
    avx2=True,
    variables={"CUDA_HOME": "/usr/local/cuda", "SGLANG_PORT": "30000"},
    programs={"nvidia-smi": "/usr/bin/nvidia-smi"},
    driver=DRIVER,
    directories=(
        DirectoryState("TRITON_CACHE_DIR", "/cache/triton", ""),
        DirectoryState("TVM_FFI_CACHE_DIR", "/x", "Permission denied"),
    ),
    ports=(PortState("SGLANG_PORT", 30000, ""),),
)

_BROKEN = Report(
    verdict=Verdict.BROKEN,
    next_step=FINDINGS[0].remedy,
    root=ROOT,
    source="nix-store -qR",
    profile="sglang",
    layout="store",
    inventory=INVENTORY,
    modules=MODULES,
    members=MEMBERS,
    variables={
        "CUDA_HOME": _NVCC,
        "PYTHONHOME": None,
        "PYTHONPATH": ":".join(module.directory for module in MODULES),
        "SGLANG_PORT": "30000",
    },
    machine=MACHINE,
    findings=FINDINGS,
    made=Occasion(
        "nixenv inspect --html report.html",
        "2026-07-01T12:00:00+00:00",
        "gpu-7",
        "0.1.0",
        "2.26.3",
    ),
)


def report(**changes: Any) -> Report:
    """Make a report of an environment with a finding of each severity."""
    return evolve(_BROKEN, **changes)


def works(**changes: Any) -> Report:
    """Make a report without findings."""
    return report(**{"verdict": Verdict.WORKS, "next_step": "", "findings": (), **changes})


def hostile(value: Any, text: str) -> Any:
    """Put the text into every field that a file, a variable or a tool could fill."""
    if type(value) is str:  # and so none of nixenv's own words, which are enums
        return text
    if has(type(value)):
        parts = asdict(value, recurse=False)
        return evolve(value, **{name: hostile(part, text) for name, part in parts.items()})
    if isinstance(value, Mapping):
        return {f"{text}{n}": hostile(item, text) for n, item in enumerate(value.values())}
    if isinstance(value, tuple):
        items = [hostile(item, text) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
