"""The commands of the JIT compilers, as they write them for the environment that they find. Pure.

They are those of flashinfer (``jit/cpp_ext.py``), tvm-ffi (``cpp/extension.py``), torch
(``utils/cpp_extension.py``) and triton (``runtime/build.py``).
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen


@frozen
class Toolchain:
    """What the variables name.

    Attributes:
        cuda_home: CUDA_HOME.
        host_compiler: CC, as words; empty where it is not set.
        linker: CXX, as words; ``c++`` where it is not set.
    """

    cuda_home: str
    host_compiler: tuple[str, ...]
    linker: tuple[str, ...]

    @property
    def nvcc(self) -> str:
        """The path of nvcc."""
        return f"{self.cuda_home}/bin/nvcc"


def find_toolchain(environ: Mapping[str, str]) -> Toolchain | None:
    """Take the toolchain from the variables; None where there is no CUDA_HOME."""
    cuda_home = environ.get("CUDA_HOME")
    if not cuda_home:
        return None
    return Toolchain(
        cuda_home,
        tuple(shlex.split(environ.get("CC", ""))),
        tuple(shlex.split(environ.get("CXX", ""))) or ("c++",),
    )


def choose_codes(capabilities: Iterable[str], listed: Sequence[str]) -> tuple[str, ...]:
    """Choose what to compile for: each GPU's own, else one of the toolkit's own list.

    >>> choose_codes(["9.0", "9.0"], ["75", "90"]), choose_codes([], ["75", "90"])
    (('90',), ('90',))
    """
    own = tuple(dict.fromkeys(capability.replace(".", "") for capability in capabilities))
    return own or tuple(listed[-1:])


def cubin_command(tools: Toolchain, code: str, source: str, target: str) -> tuple[str, ...]:
    """Compile device code alone, for one architecture."""
    options = ("-cubin", f"-arch=sm_{code}", "-std=c++17", *_ccbin(tools))
    return (tools.nvcc, *options, source, "-o", target)


def object_command(
    tools: Toolchain, codes: Iterable[str], source: str, target: str
) -> tuple[str, ...]:
    """Compile a CUDA file for the host and for GPUs, as flashinfer does."""
    targets = (f"-gencode=arch=compute_{code},code=sm_{code}" for code in codes)
    headers = ("-isystem", f"{tools.cuda_home}/include")
    options = ("-std=c++17", *_ccbin(tools), "-Xcompiler", "-fPIC", *headers, *targets)
    return (tools.nvcc, *options, "-c", source, "-o", target)


def host_command(tools: Toolchain, source: str, target: str) -> tuple[str, ...]:
    """Compile a C++ file that includes CUDA's headers, as flashinfer and torch do."""
    headers = ("-isystem", f"{tools.cuda_home}/include")
    return (*tools.linker, "-std=c++17", "-fPIC", *headers, "-c", source, "-o", target)


def link_command(
    tools: Toolchain, objects: Iterable[str], target: str, *, with_driver: bool
) -> tuple[str, ...]:
    """Link a library: with the driver's as flashinfer does, without it as tvm-ffi and torch do."""
    libraries = [f"-L{tools.cuda_home}/lib64", "-lcudart"]
    if with_driver:
        libraries[1:] = [f"-L{tools.cuda_home}/lib64/stubs", "-lcudart", "-lcuda"]
    return (*tools.linker, *objects, "-shared", *libraries, "-o", target)


def launcher_command(
    compiler: Sequence[str], source: str, target: str, headers: Iterable[str]
) -> tuple[str, ...]:
    """Compile a launcher as triton does; the directory of libcuda is LIBRARY_PATH's to name."""
    includes = (f"-I{directory}" for directory in headers)
    options = ("-O3", "-shared", "-fPIC", "-Wno-psabi")
    return (*compiler, source, *options, "-o", target, "-lcuda", *includes)


def write_build_file(commands: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> str:
    """Write a ``build.ninja``: for each target its command, and what it is made of."""
    lines = ["ninja_required_version = 1.3"]
    for number, (target, sources, command) in enumerate(commands):
        # Where a build is stated ninja has no escape for `|`; in a variable it needs none.
        paths = {f"path{number}_{place}": path for place, path in enumerate((target, *sources))}
        product, *ingredients = (f"${name}" for name in paths)
        lines += [
            *(f"{name} = {_escaped(path)}" for name, path in paths.items()),
            f"rule r{number}",
            f"  command = {_escaped(shlex.join(command))}",
            f"build {product}: r{number} {' '.join(ingredients)}",
        ]
    return "\n".join(lines) + "\n"


def _ccbin(tools: Toolchain) -> tuple[str, ...]:
    # flashinfer hands CC to nvcc; without it nvcc takes its own.
    return ("-ccbin", tools.host_compiler[0]) if tools.host_compiler else ()


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
