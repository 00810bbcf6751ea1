"""The classify station: from the notes on the store objects to what the closure offers. Pure."""

from collections.abc import Iterable, Iterator

from nixenv.findings import Code, Finding, Severity
from nixenv.road.choice import Choice, Reason, because
from nixenv.road.cuda import CudaToolkit, Evidence, choose_toolkit
from nixenv.road.cuda_files import Torch
from nixenv.road.host_compiler import HostCompiler, choose_host_compiler, choose_ninja
from nixenv.road.on_top import OnTop
from nixenv.road.probe import Probe
from nixenv.road.python import (
    Interpreter,
    SitePackages,
    choose_interpreter,
    has_python,
    order_site_packages,
)
from nixenv.road.query import Closure, Origin
from nixenv.road.redistributables import parse_named_cuda
from nixenv.storepath import StorePath, store_name
from nixenv.typed import NamedTuple


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
        interpreter: The chosen Python interpreter; None where the closure has none.
        site_packages: All directories of modules for its version, first wins.
        cuda: The CUDA toolkit, if the closure has one.
        host_compiler: The compiler that nvcc calls, if any.
        ninja: Whatever has the program ninja, if anything.
        program: The program itself, where one is known.
        torch_cuda: The CUDA version that the torch in use was built for; None without.
        on_top: The virtual environment that the user has put on top, where one is active.
    """

    root: StorePath
    interpreter: Interpreter | None
    site_packages: tuple[SitePackages, ...]
    cuda: CudaToolkit | None
    host_compiler: HostCompiler | None
    ninja: Choice | None
    program: Program | None = None
    torch_cuda: str | None = None
    on_top: OnTop | None = None


def classify(
    closure: Closure,
    probe: Probe,
    *,
    python: str | None = None,
    python_required: bool = True,
    cuda: str | None = None,
    cuda_required: bool = False,
    program: str | None = None,
) -> Inventory:
    """Sort the closure by the selection rules (docs/architecture.md).

    Args:
        closure: The closure.
        probe: The notes on its store objects.
        python: The Python version ``X.Y`` to take; None to find it out.
        python_required: Whether a closure without Python is an error.
        cuda: The CUDA version ``X.Y`` to take; None for the one of the closure's nvcc.
        cuda_required: Whether a closure without nvcc is an error.
        program: What the program is called, where one is known.

    Raises:
        PythonNotFound: there is no interpreter.
        PythonAmbiguous: there are several, and nothing says which.
        PythonUnsupported: the program runs on another Python than CPython.
        PythonWithoutModules: the modules that are there are another version's.
        EnvironmentWithoutPython: the root is an environment without Python, and one is required.
        CudaNotFound: no toolkit where one is wanted.
    """
    is_wanted = has_python(closure, probe) or python_required or python is not None
    interpreter = choose_interpreter(closure, probe, python) if is_wanted else None
    site_packages = order_site_packages(closure, probe, interpreter) if interpreter else ()
    sites = tuple(part.directory for part in site_packages)
    torch = _find_torch(probe, sites)
    evidence = Evidence(torch and torch.cuda, parse_named_cuda(store_name(closure.root)))
    toolkit = choose_toolkit(probe, cuda, required=cuda_required, sites=sites, evidence=evidence)
    return Inventory(
        root=closure.root,
        interpreter=interpreter,
        site_packages=site_packages,
        cuda=toolkit,
        host_compiler=choose_host_compiler(probe, toolkit),
        ninja=choose_ninja(probe),
        program=_find_program(probe, program),
        torch_cuda=evidence.torch,
    )


def _find_program(probe: Probe, name: str | None) -> Program | None:
    launcher = probe.launcher
    if name is None or launcher is None or not launcher.steps:
        return None
    return Program(name, launcher.steps[0].file, launcher.carried)


def _find_torch(probe: Probe, sites: Iterable[str]) -> Torch | None:
    """Find the torch that is imported: the first on the path."""
    held = {
        f"{found.path}/lib/python{version}/site-packages": found.torch
        for found in probe.objects
        for version in found.site_packages
        if found.torch is not None
    }
    return next((held[site] for site in sites if site in held), None)


def tell_source(closure: Closure) -> Iterator[Finding]:
    """Tell that Nix could not list a closure, and who did instead."""
    if closure.origin is Origin.STAND_IN:
        failure = closure.failure
        yield Code.NIX_FAILED.found(
            f"Nix is there and cannot list the closure: {closure.source} was taken, which is of "
            "the whole Flox environment, without order and references",
            tuple(failure.reason.splitlines()) if failure else (),
            failure.remedy if failure else "ask on the machine that it was recorded on",
            severity=Severity.WARNING,
        )


def find_ambiguities(inventory: Inventory, *, linked: bool) -> tuple[Finding, ...]:
    """Name the choices that could have gone another way, and what does not work with them.

    Args:
        inventory: What the closure offers.
        linked: Whether the layout is ``linked``.
    """
    toolkit = inventory.cuda
    return (
        *_tell_on_top(inventory.on_top),
        *(_tell_several_compilers(toolkit) if toolkit else ()),
        *(_tell_distributions(toolkit) if toolkit and not linked else ()),
    )


def _tell_on_top(on_top: OnTop | None) -> Iterator[Finding]:
    if on_top is None:
        return
    if on_top.kept:
        yield Code.PYTHON_VIRTUALENV_KEPT.found(
            f"{on_top.path} is kept, with its own modules: it was made with the program's Python",
            (),
            "`deactivate` it, and activate again, for the modules of the program",
        )
    elif on_top.fits:
        yield Code.PYTHON_VIRTUALENV_REPLACED.found(
            f"the program's modules come before those of {on_top.path}",
            (),
            "to keep it, set `keep-virtualenv = true` under [python] in nixenv.toml",
            severity=Severity.NOTE,
        )
    else:
        yield Code.PYTHON_VIRTUALENV_REPLACED.found(
            f"{on_top.path} is not kept: it was made with another Python than the program's",
            (on_top.python or "which is gone",),
            "`deactivate` it, and make it again with the program's Python",
        )


def _tell_several_compilers(toolkit: CudaToolkit) -> Iterator[Finding]:
    guessed = {Reason.NEAREST_WHOLE, Reason.HIGHEST_WHOLE, Reason.HIGHEST_VERSION}
    if toolkit.others and guessed.intersection(toolkit.reasons):
        yield Code.CUDA_SEVERAL_COMPILERS.found(
            summary=f"several nvcc in the closure; took CUDA {toolkit.version} of {toolkit.nvcc}: "
            + because(toolkit.reasons[:1]),
            evidence=toolkit.others,
            remedy="choose with `--cuda X.Y`, or with `version` under [cuda] in the profile",
        )


def _tell_distributions(toolkit: CudaToolkit) -> Iterator[Finding]:
    if toolkit.of_wheels and not toolkit.in_one_place:
        yield Code.CUDA_DISTRIBUTIONS.found(
            summary=f"CUDA {toolkit.version} comes as Python distributions, each a part of it: in "
            "layout store nvcc does not find the rest, such as cicc, and compiles nothing",
            evidence=toolkit.homes,
            remedy="take `--layout linked`, which makes one toolkit root of them",
        )
