"""nvcc, the host compiler, the linker and ninja."""

from collections.abc import Iterator

from nixenv.evidence.gpu import GpuDriver
from nixenv.files import write_atomically
from nixenv.prove.sources import HOST, KERNEL
from nixenv.prove.steps import Part, State, Step
from nixenv.prove.toolchain import (
    Toolchain,
    choose_codes,
    cubin_command,
    host_command,
    link_command,
    object_command,
    write_build_file,
)
from nixenv.prove.workshop import Workshop, not_tried, read_answer, run_command
from nixenv.road.nvcc import parse_codes

LIBRARY = "jit.so"
"""The library, in the scratch directory, that the later steps load."""


def try_compilers(workshop: Workshop, tools: Toolchain | None, driver: GpuDriver) -> Iterator[Step]:
    """Compile for each GPU, or else for what the toolkit itself lists; link; and all by ninja."""
    if tools is None:
        yield not_tried(Part.DEVICE_CODE, "compile a kernel", "the environment has no CUDA_HOME")
        return
    write_atomically(workshop.path("kernel.cu"), KERNEL)
    write_atomically(workshop.path("host.cc"), HOST)
    listed = parse_codes(read_answer(workshop, (tools.nvcc, "--list-gpu-code")))
    capabilities = (gpu.compute_capability for gpu in driver.gpus)
    codes = choose_codes(filter(None, capabilities), listed)
    if not codes:
        why = "there is no GPU, and nvcc lists nothing that it compiles for"
        yield not_tried(Part.DEVICE_CODE, "compile a kernel", why)
    for code in codes:
        cubin = f"kernel-{code}.cubin"
        command = cubin_command(tools, code, workshop.path("kernel.cu"), workshop.path(cubin))
        title = f"compile a kernel for sm_{code}"
        yield run_command(workshop, Part.DEVICE_CODE, title, command, makes=(cubin,))
    yield from _try_library(workshop, tools, codes)


def _try_library(workshop: Workshop, tools: Toolchain, codes: tuple[str, ...]) -> Iterator[Step]:
    kernel = object_command(tools, codes, *_paths(workshop, "kernel.cu", "kernel.o"))
    host = host_command(tools, *_paths(workshop, "host.cc", "host.o"))
    compiled = (
        run_command(workshop, Part.DEVICE_CODE, "compile a CUDA file", kernel, ("kernel.o",)),
        run_command(workshop, Part.HOST_CODE, "compile a C++ file", host, ("host.o",)),
    )
    yield from compiled
    if any(step.state is State.FAILED for step in compiled):
        yield not_tried(Part.LINK, "link a library", "what is to be linked did not compile")
        return
    objects = _paths(workshop, "kernel.o", "host.o")
    for title, target, with_driver in (
        ("link as flashinfer does", "flashinfer.so", True),
        ("link as tvm-ffi and torch do", LIBRARY, False),
    ):
        command = link_command(tools, objects, workshop.path(target), with_driver=with_driver)
        yield run_command(workshop, Part.LINK, title, command, makes=(target,))
    yield _try_ninja(workshop, tools, kernel)


def _try_ninja(workshop: Workshop, tools: Toolchain, kernel: tuple[str, ...]) -> Step:
    """Let ninja compile and link the same, from a build file like those of the JIT compilers."""
    source, compiled, linked = _paths(workshop, "kernel.cu", "ninja.o", "ninja.so")
    compile_again = (*kernel[:-1], compiled)
    link = link_command(tools, (compiled,), linked, with_driver=False)
    rules = ((compiled, (source,), compile_again), (linked, (compiled,), link))
    write_atomically(workshop.path("build.ninja"), write_build_file(rules))
    command = ("ninja", "-C", workshop.directory)
    return run_command(workshop, Part.NINJA, "build the same with ninja", command, ("ninja.so",))


def _paths(workshop: Workshop, *names: str) -> tuple[str, ...]:
    return tuple(map(workshop.path, names))
