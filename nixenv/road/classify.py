"""The classify station: from the notes on the store objects to what the closure offers. Pure."""

from typing import NamedTuple

from nixenv.findings import Code, Finding
from nixenv.road.choice import Choice
from nixenv.road.cuda import (
    CudaToolkit,
    choose_host_compiler,
    choose_ninja,
    choose_toolkit,
    parse_cuda_version,
)
from nixenv.road.probe import Probe
from nixenv.road.python import Interpreter, SitePackages, choose_interpreter, order_site_packages
from nixenv.road.query import Closure
from nixenv.storepath import StorePath, store_name


class Program(NamedTuple):
    """The program that the environment is for.

    Attributes:
        name: What it is called.
        file: Its file in the store.
        carried: The variables that its launcher sets, and their values.
    """

    name: str
    file: str
    carried: tuple[tuple[str, str], ...] = ()


class Inventory(NamedTuple):
    """What the closure offers to an environment.

    Attributes:
        root: The root's store path.
        interpreter: The chosen Python interpreter.
        site_packages: All directories of modules for its version, first wins.
        cuda: The CUDA toolkit, if the closure has one.
        host_compiler: The gcc wrapper that nvcc calls, if any.
        ninja: Whatever has the program ninja, if anything.
        program: The program itself, where one is known.
    """

    root: StorePath
    interpreter: Interpreter
    site_packages: tuple[SitePackages, ...]
    cuda: CudaToolkit | None
    host_compiler: Choice | None
    ninja: Choice | None
    program: Program | None = None


def classify(
    closure: Closure,
    probe: Probe,
    *,
    python: str | None = None,
    cuda: str | None = None,
    cuda_required: bool = False,
    program: str | None = None,
) -> Inventory:
    """Sort the closure by the selection rules (docs/architecture.md).

    Args:
        closure: The closure.
        probe: The notes on its store objects.
        python: The Python version ``X.Y`` to take; None to find it out.
        cuda: The CUDA version ``X.Y`` to take; None for the one of the closure's nvcc.
        cuda_required: Whether a closure without nvcc is an error.
        program: What the program is called, where one is known.

    Raises:
        PythonNotFound, PythonAmbiguous, PythonUnsupported, PythonWithoutModules: no interpreter
            can be chosen.
        CudaNotFound: no toolkit where one is wanted.
    """
    interpreter = choose_interpreter(closure, probe, python)
    toolkit = choose_toolkit(probe, cuda, required=cuda_required)
    return Inventory(
        root=closure.root,
        interpreter=interpreter,
        site_packages=order_site_packages(closure, probe, interpreter),
        cuda=toolkit,
        host_compiler=choose_host_compiler(probe, toolkit),
        ninja=choose_ninja(probe),
        program=_find_program(probe, program),
    )


def _find_program(probe: Probe, name: str | None) -> Program | None:
    launcher = probe.launcher
    if name is None or launcher is None or not launcher.steps:
        return None
    return Program(name, launcher.steps[0].file, launcher.carried)


def find_ambiguities(inventory: Inventory) -> tuple[Finding, ...]:
    """Name the choices that could have gone another way and that matter at run time."""
    toolkit = inventory.cuda
    if toolkit is None:
        return ()
    others = tuple(
        p for p in toolkit.others if parse_cuda_version(store_name(p)) != toolkit.version
    )
    if not others:
        return ()
    return (
        Code.CUDA_SEVERAL_COMPILERS.found(
            summary=f"several nvcc in the closure; took CUDA {toolkit.version} of {toolkit.nvcc}",
            evidence=others,
            remedy="choose with `--cuda X.Y`, or with `version` under [cuda] in the profile",
        ),
    )
