"""Judge what was seen of a program's closure and of the machine. Pure."""

import os
from collections.abc import Collection, Iterator, Mapping

from attrs import evolve

from nixenv.errors import NixenvError
from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding
from nixenv.inspect.diagnosis.consequences import leave_out_consequences
from nixenv.inspect.diagnosis.cuda import check_cuda
from nixenv.inspect.diagnosis.cuda_compiler import find_refused_variables
from nixenv.inspect.diagnosis.environment import check_environment, is_active
from nixenv.inspect.diagnosis.farms import check_farms
from nixenv.inspect.diagnosis.gpu import check_gpu
from nixenv.inspect.diagnosis.harm import weigh_for
from nixenv.inspect.diagnosis.limits import check_limits
from nixenv.inspect.diagnosis.network import check_network
from nixenv.inspect.diagnosis.python import check_launcher, check_python
from nixenv.inspect.diagnosis.python_shell import check_shell
from nixenv.inspect.diagnosis.server import check_server
from nixenv.inspect.diagnosis.store import check_store, find_lost
from nixenv.inspect.diagnosis.surroundings import check_surroundings
from nixenv.inspect.report import (
    Report,
    choose_next_step,
    list_members,
    list_modules,
    rank_findings,
    reach_verdict,
)
from nixenv.inspect.survey import Survey
from nixenv.request import take_back
from nixenv.road.classify import find_ambiguities
from nixenv.road.cuda import CudaNotFound
from nixenv.road.named import tell_left_out
from nixenv.road.plan import VariableTooLong
from nixenv.road.python import (
    EnvironmentWithoutPython,
    PythonAmbiguous,
    PythonNotFound,
    PythonUnsupported,
    PythonWithoutModules,
)
from nixenv.road.root import Root
from nixenv.storepath import StorePath, store_name

# Why the road stopped, as a finding's code.
_CODES: Mapping[type[NixenvError], Code] = {
    PythonNotFound: Code.PYTHON_NOT_FOUND,
    EnvironmentWithoutPython: Code.PYTHON_NOT_FOUND,
    PythonAmbiguous: Code.PYTHON_AMBIGUOUS,
    PythonUnsupported: Code.PYTHON_UNSUPPORTED,
    PythonWithoutModules: Code.PYTHON_OTHER_MODULES,
    CudaNotFound: Code.CUDA_NOT_FOUND,
    VariableTooLong: Code.VALUE_TOO_LONG,
}


def judge(seen: Survey, *, with_sizes: bool = True) -> Report:
    """Judge what was seen, and report on it.

    Args:
        seen: What was seen.
        with_sizes: Whether to work out what each store object needs with all that it refers to,
            which takes seconds for tens of thousands.
    """
    material = seen.material
    lost = find_lost(material.closure, material.probe)
    told = leave_out_consequences(_check(_without_earlier(seen), lost), lost)
    findings = rank_findings(told, weigh_for(_list_own(seen)))
    return Report(
        verdict=reach_verdict(findings),
        next_step=choose_next_step(findings),
        root=material.root,
        source=material.closure.source,
        profile=material.profile.name,
        layout=seen.layout,
        inventory=seen.inventory,
        modules=list_modules(seen.inventory, seen.contents.sites) if seen.inventory else (),
        members=list_members(
            material.closure, material.probe, seen.contents.graph, with_sizes=with_sizes
        ),
        variables=seen.variables,
        overridden=seen.overridden,
        machine=seen.machine,
        findings=findings,
        recorded=seen.recorded,
    )


def _list_own(seen: Survey) -> Iterator[SiteListing]:
    """Give what the program's own directories of modules hold; where none is its own, all."""
    parts = seen.inventory.site_packages if seen.inventory else ()
    own = {part.directory for part in parts if part.own} or {part.directory for part in parts}
    return (site for site in seen.contents.sites if site.directory in own)


def _without_earlier(seen: Survey) -> Survey:
    """Judge the machine as this program's activation will leave it: it takes another's back."""
    if seen.machine is None or seen.earlier is None:
        return seen
    variables = take_back(seen.machine.variables)
    return seen._replace(machine=evolve(seen.machine, variables=variables))


def _explain_stop(error: NixenvError) -> Finding:
    code = _CODES.get(type(error), Code.ENVIRONMENT_IMPOSSIBLE)
    return code.found(error.summary, tuple(error.evidence), error.remedy)


def _check(seen: Survey, lost: Collection[StorePath]) -> Iterator[Finding]:
    material, contents = seen.material, seen.contents
    # Of what is equally bad and harmful, what makes the rest doubtful comes first.
    yield from check_store(material.closure, material.probe, seen.nix_store)
    yield from map(_explain_stop, seen.stops)
    yield from check_farms(seen.farms)
    if seen.machine is not None:
        yield from _check_machine(seen, seen.machine, lost)
    if seen.inventory is not None:
        yield from find_ambiguities(seen.inventory, linked=seen.layout == "linked")
    yield from check_cuda(
        material.probe,
        seen.inventory,
        contents.files,
        contents.sites,
        seen.machine,
        linked=seen.layout == "linked",
    )
    if seen.inventory is not None:
        yield from check_launcher(material.probe)
        yield from tell_left_out(seen.inventory, material.profile, seen.before.get("FLOX_ENV"))
        yield from check_python(
            seen.inventory,
            contents.sites,
            seen.variables,
            seen.machine.architecture if seen.machine else "x86_64",
        )


def _check_machine(
    seen: Survey, machine: Machine, lost: Collection[StorePath]
) -> Iterator[Finding]:
    root = seen.material.root.path
    if seen.inventory is not None:
        yield from check_shell(seen.inventory, seen.variables, machine, seen.export_command, lost)
    torch_cuda = seen.inventory.torch_cuda if seen.inventory else None
    codes = seen.contents.files.gpu_codes
    yield from check_gpu(machine, seen.toolkit_version, store_name(root), torch_cuda, codes)
    yield from check_server(machine)
    if seen.toolkit_version is not None:
        yield from check_limits(machine)
        yield from check_network(machine)
    yield from check_environment(
        seen.variables,
        machine,
        os.path.dirname(root),
        store_name(root),
        seen.export_command,
        _toolkit_names(seen),
        earlier=seen.earlier,
    )
    if is_active(seen.variables, machine.variables):
        yield from check_surroundings(
            seen.variables,
            machine,
            os.path.dirname(root),
            seen.toolkit_version,
            seen.export_command,
            codes,
            find_refused_variables(seen.inventory, machine) if seen.inventory else (),
        )


def _toolkit_names(seen: Survey) -> frozenset[str]:
    """Name the files in the toolkit's include and library directories."""
    toolkit = seen.inventory.cuda if seen.inventory else None
    files = seen.contents.files
    directories = {*toolkit.include_dirs, *toolkit.library_dirs} if toolkit else set()
    return frozenset(
        name
        for listing in (*files.headers, *files.libraries)
        if listing.directory in directories
        for name in listing.names
    )


def judge_failure(
    root: Root, profile: str, layout: str, failure: Finding, machine: Machine | None
) -> Report:
    """Report on a root of which Nix gave no closure: why it did not, and the machine."""
    gpu = check_gpu(machine, None, store_name(root.path), None) if machine else ()
    findings = rank_findings((failure, *gpu))
    return Report(
        verdict=reach_verdict(findings),
        next_step=choose_next_step(findings),
        root=root,
        profile=profile,
        layout=layout,
        machine=machine,
        findings=findings,
    )
