"""The packages that bring CUDA's headers and libraries into a Flox environment. Pure."""

from collections.abc import Mapping

from attrs import frozen


@frozen
class LibraryPackage:
    """A package of nixpkgs with libraries and their headers.

    Attributes:
        name: Its name in the package set.
        headers: For a library, ``libcublas``, the header that those who compile against it include.
    """

    name: str
    headers: Mapping[str, str]


LIBRARY_PACKAGES = (
    # torch's ATen/cuda/CUDAContext.h, by way of CUDAContextLight.h, includes these
    LibraryPackage("libcublas", {"libcublas": "cublas_v2.h", "libcublasLt": "cublasLt.h"}),
    LibraryPackage("libcusparse", {"libcusparse": "cusparse.h"}),
    LibraryPackage("libcusolver", {"libcusolver": "cusolverDn.h"}),
    # flashinfer's include/flashinfer/sampling.cuh includes it
    LibraryPackage("libcurand", {"libcurand": "curand_kernel.h"}),
    # flashinfer's csrc/trtllm_fused_moe_kernel_launcher.cu includes it
    LibraryPackage("cuda_nvrtc", {"libnvrtc": "nvrtc.h"}),
)
"""Those with a header that a JIT compiler is known to include.

A run-time closure holds other libraries without headers (cudnn, nccl, libcufft), as it should.
"""

# CUDA's packages have files in common, such as LICENSE, and Flox refuses two of one priority; its
# default is 5, and a greater number yields.
_FIRST_PRIORITY = 6
_PACKAGES = (
    *("cuda_cudart", "cuda_cccl", "cuda_crt", "cuda_nvcc"),
    *(package.name for package in LIBRARY_PACKAGES),
    "cuda_cuobjdump",
)

_INSTALL = "add to [install] of the manifest (`flox edit`), then activate again: `{}`"


def install_cuda(version: str, package: str) -> str:
    """Say how to add all of a package of CUDA ``X.Y``, its headers included.

    >>> install_cuda("12.8", "libcublas").partition(": ")[2]
    '`libcublas = { pkg-path = "flox-cuda/cudaPackages_12_8.libcublas", pkg-group = "cuda", \
outputs = "all", priority = 10 }`'
    """
    package_set = f"cudaPackages_{version.replace('.', '_')}"
    priority = _FIRST_PRIORITY + _PACKAGES.index(package)
    return _INSTALL.format(
        f'{package} = {{ pkg-path = "flox-cuda/{package_set}.{package}", pkg-group = "cuda", '
        f'outputs = "all", priority = {priority} }}'
    )


def install_tool(name: str, package: str) -> str:
    """Say how to add a program; a package group of its own leaves the others as they are."""
    return _INSTALL.format(f'{name} = {{ pkg-path = "{package}", pkg-group = "{name}" }}')
