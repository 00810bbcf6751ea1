"""What was built, loaded and run: the CUDA runtime, the driver, each GPU."""

import os
from collections.abc import Iterator, Sequence

from nixenv.evidence.gpu import PROHIBITED, Gpu, GpuDriver
from nixenv.prove.compilers import LIBRARY
from nixenv.prove.steps import Part, State, Step
from nixenv.prove.workshop import Workshop, ask_inside, judge_inside, not_tried
from nixenv.road.classify import Inventory
from nixenv.storepath import enclosing_store_path

# The sum of the squares of 0 to 31.
_EXPECTED = 10416

# MiB. A context takes some hundred, and a server may be about to take the rest.
_ENOUGH_MEMORY = 1024


def try_load(workshop: Workshop, inventory: Inventory) -> Iterator[Step]:
    """Load the library; ask the CUDA runtime that came with it for its version and its place."""
    title = "load the library"
    library = workshop.path(LIBRARY)
    if workshop.python is None or not os.path.exists(library):
        yield not_tried(Part.LOAD, title, "there is none, or no Python to load it")
        return
    found, seconds = ask_inside(workshop, "load", library, _find_runtime(inventory))
    files = tuple(found.get("libcudart", ()))
    version = int(found.get("version", 0))
    told = f"CUDA runtime {version // 1000}.{version % 1000 // 10}, from {', '.join(files)}"
    step = judge_inside(workshop, Part.LOAD, title, found, seconds, told)
    yield step
    if step.state is State.PASSED:
        yield _judge_runtime(files, os.path.dirname(inventory.root))


def _judge_runtime(files: tuple[str, ...], store_dir: str) -> Step:
    foreign = [
        file for file in files if enclosing_store_path(os.path.realpath(file), store_dir) is None
    ]
    return Step(
        Part.LOAD,
        "the CUDA runtime is the closure's",
        State.FAILED if foreign or not files else State.PASSED,
        detail="\n".join(foreign or files) or "no libcudart was loaded",
    )


def _find_runtime(inventory: Inventory) -> str:
    """Give the toolkit's own ``libcudart.so.N``; nothing where it has none."""
    directories = inventory.cuda.library_dirs if inventory.cuda else ()
    for directory in directories:
        for name in sorted(os.listdir(directory)):
            if name.startswith("libcudart.so.") and name.count(".") == 2:
                return os.path.join(directory, name)
    return ""


def try_driver(workshop: Workshop) -> Iterator[Step]:
    """Load the driver's library and initialise it."""
    title = "initialise the driver"
    if not workshop.has_driver:
        yield not_tried(Part.DRIVER, title, "there is no NVIDIA driver here")
        return
    if workshop.python is None:
        yield not_tried(Part.DRIVER, title, "there is no Python to load it")
        return
    found, seconds = ask_inside(workshop, "driver")
    told = f"{found.get('devices')} GPUs, by {', '.join(found.get('libcuda', ()))}"
    if found.get("status"):
        found = {"error": f"cuInit gave {found['status']}, by {', '.join(found['libcuda'])}"}
    yield judge_inside(workshop, Part.DRIVER, title, found, seconds, told)


def try_gpus(workshop: Workshop, inventory: Inventory, driver: GpuDriver) -> Iterator[Step]:
    """Run the kernel on each GPU that can be seen and spared."""
    library = workshop.path(LIBRARY)
    runtime = _find_runtime(inventory)
    for name, gpu in _visible(workshop.environ.get("CUDA_VISIBLE_DEVICES"), driver.gpus):
        title = f"run the kernel on {gpu.label if gpu else name}"
        why = _why_not(gpu)
        if not os.path.exists(library) or workshop.python is None:
            why = "it was not built, or there is no Python to load it"
        if why:
            yield not_tried(Part.GPU, title, why)
            continue
        # nvidia-smi numbers GPUs by their place on the bus.
        only = {"CUDA_VISIBLE_DEVICES": name, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        found, seconds = ask_inside(workshop, "kernel", library, runtime, changes=only)
        if found.get("sum", _EXPECTED) != _EXPECTED:
            found = {"error": f"it gave {found['sum']} instead of {_EXPECTED}"}
        yield judge_inside(workshop, Part.GPU, title, found, seconds, "what it gave is right")


def _visible(chosen: str | None, gpus: Sequence[Gpu]) -> Iterator[tuple[str, Gpu | None]]:
    """Give what CUDA may see: a name for CUDA_VISIBLE_DEVICES, and the GPU where it is known.

    What the user hides belongs to others.
    """
    if chosen is None:
        yield from ((gpu.uuid or str(number), gpu) for number, gpu in enumerate(gpus))
        return
    by_name = {str(number): gpu for number, gpu in enumerate(gpus)}
    by_name |= {gpu.uuid: gpu for gpu in gpus if gpu.uuid}
    for name in filter(None, map(str.strip, chosen.split(","))):
        if name.startswith("-"):
            return
        yield name, by_name.get(name)


def _why_not(gpu: Gpu | None) -> str:
    if gpu is None:
        return "nvidia-smi does not list it, so how much of it is free cannot be told"
    if gpu.mode == PROHIBITED:
        return f"its compute mode is {gpu.mode}: no program may use it"
    if gpu.mode not in ("", "Default"):
        return f"its compute mode is {gpu.mode}: a server may need it for itself"
    if gpu.memory is not None and gpu.memory_used is not None:
        free = gpu.memory - gpu.memory_used
        if free < _ENOUGH_MEMORY:
            return f"only {free} MiB of it are free"
    return ""
