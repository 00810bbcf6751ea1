"""Look at everything that may be wrong: what ``inspect`` does before it shows anything.

The road goes as far as it can here. Where it stops, that is a finding, and what was found out until
then is judged all the same.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from attrs import evolve

from nixenv.errors import NixenvError, NixError
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import probe_distributions
from nixenv.evidence.graph import Graph, query_graph
from nixenv.evidence.machine import Machine, probe_machine
from nixenv.evidence.nix_trouble import explain_nix_failure
from nixenv.evidence.toolkit_files import probe_toolkit_files
from nixenv.findings import Code, Finding
from nixenv.inspect.diagnosis.consequences import leave_out_consequences
from nixenv.inspect.diagnosis.cuda import check_cuda
from nixenv.inspect.diagnosis.environment import check_environment
from nixenv.inspect.diagnosis.gpu import check_gpu
from nixenv.inspect.diagnosis.python import check_python
from nixenv.inspect.diagnosis.python_shell import check_shell
from nixenv.inspect.diagnosis.store import check_store, find_lost
from nixenv.inspect.report import (
    Report,
    choose_next_step,
    judge,
    list_members,
    list_modules,
    rank_findings,
)
from nixenv.linked.inspection import inspect_farms
from nixenv.places import LAYOUTS, find_cache_dir
from nixenv.process import PATIENT, Patience
from nixenv.request import Material, Selection, find_root, gather, plan, replay
from nixenv.road.classify import Inventory, find_ambiguities
from nixenv.road.cuda import CudaNotFound
from nixenv.road.farms import Farms
from nixenv.road.nix import find_nix_store
from nixenv.road.plan import Environment, VariableTooLong, compute, resolve
from nixenv.road.profile import Profile
from nixenv.road.python import PythonAmbiguous, PythonNotFound
from nixenv.road.root import Root
from nixenv.snapshot import Request, Snapshot
from nixenv.storepath import StorePath, store_name

STAGES = 5
"""How many times `examine` calls ``step``."""

# Why the road stopped, as a finding's code.
_CODES: Mapping[type[NixenvError], Code] = {
    PythonNotFound: Code.PYTHON_NOT_FOUND,
    PythonAmbiguous: Code.PYTHON_AMBIGUOUS,
    CudaNotFound: Code.CUDA_NOT_FOUND,
    VariableTooLong: Code.VALUE_TOO_LONG,
}

Step = Callable[[str], object]
"""Called with the name of each stage before it begins."""


class Survey(NamedTuple):
    """All that was seen of a closure, and of the machine.

    Attributes:
        material: The closure, and the probe's notes on it.
        contents: What the second looks found.
        before: The variables as they are, or as the snapshot recorded them.
        machine: The machine; None where the snapshot left it out.
        inventory: What the closure offers; None when it could not be told.
        environment: The environment; None likewise.
        farms: The farms of layout ``linked``, where they can be looked at.
        trouble: Why the road stopped, where it did.
        nix_store: How to call nix-store by hand.
        export_command: How to ask for the environment by hand.
        layout: ``store`` or ``linked``.
        request: What was asked for; None where a snapshot left it out.
    """

    material: Material
    contents: Contents
    before: Mapping[str, str]
    machine: Machine | None = None
    inventory: Inventory | None = None
    environment: Environment | None = None
    farms: Farms | None = None
    trouble: tuple[Finding, ...] = ()
    nix_store: str = "nix-store"
    export_command: str = "nixenv export"
    layout: str = LAYOUTS[0]
    request: Request | None = None

    @property
    def variables(self) -> dict[str, str | None]:
        """The variables as they would be set; None for unset."""
        return compute(self.environment, self.before) if self.environment else {}

    @property
    def toolkit_version(self) -> str | None:
        """The CUDA version ``X.Y``."""
        return self.inventory.cuda.version if self.inventory and self.inventory.cuda else None


class Examination(NamedTuple):
    """What is to be said, and what it rests on.

    Attributes:
        report: What is to be said.
        survey: What was seen; None when Nix gave no closure.
        error: Why it did not.
    """

    report: Report
    survey: Survey | None
    error: NixError | None = None


def examine(
    selection: Selection,
    environ: Mapping[str, str],
    step: Step = lambda _stage: None,
    patience: Patience = PATIENT,
) -> Examination:
    """Look at a program's closure and at the machine, and judge them.

    Args:
        selection: The request.
        environ: The environment as it is now. A replay takes the one that the snapshot recorded.
        step: Called with the name of each stage before it begins.
        patience: How long to wait for Nix, and who is told meanwhile.

    Raises:
        RootError, UsageError, ProfileInvalid, SnapshotInvalid, Unreadable: there is nothing to
            look at.
    """
    try:
        seen = survey(selection, environ, step, patience)
    except NixError as error:
        root, profile = find_root(selection, environ)
        report = _report_stop(selection, root, profile, error, environ)
        return Examination(report, None, error)
    if selection.snapshot is None:
        step("machine")
        seen = add_machine(seen, environ)
    step("judgement")
    return Examination(_report(seen), seen)


def survey(
    selection: Selection,
    environ: Mapping[str, str],
    step: Step = lambda _stage: None,
    patience: Patience = PATIENT,
) -> Survey:
    """Look at a program's closure; judge nothing. A snapshot may have the machine as well.

    Raises:
        NixenvError: there is no closure to look at. That it is no whole one is told by the result.
    """
    if selection.snapshot is not None:
        material, snapshot = replay(selection, environ)
        before = {} if snapshot.machine is None else snapshot.machine.variables
        layout = selection.layout or LAYOUTS[0]
        seen = Survey(material, snapshot.contents, before, snapshot.machine, layout=layout)
        if snapshot.request is not None:
            selection, seen = _ask_again(selection, seen, snapshot.request)
        # The farms are those of another machine.
        return _go_on(seen, selection, before or environ)._replace(farms=None)
    step("closure")
    material = gather(selection, environ, patience)
    step("contents")
    seen = Survey(material, _look_closer(material, environ, patience), environ)
    step("environment")
    seen = _go_on(seen, selection, environ)
    request = _request(selection, seen.material.profile, environ)
    return seen._replace(
        layout=request.layout,
        request=request,
        export_command=_export_command(selection),
        nix_store=find_nix_store(environ) or "nix-store",
    )


def _request(selection: Selection, profile: Profile, environ: Mapping[str, str]) -> Request:
    cache_dir = selection.cache_dir
    if cache_dir is None:
        with contextlib.suppress(NixenvError):  # which the plan has met as well, and said
            cache_dir = find_cache_dir(environ)
    return Request(
        profile,
        selection.layout or LAYOUTS[0],
        None if cache_dir is None else os.path.abspath(cache_dir),
        selection.python,
        selection.cuda,
    )


def _ask_again(selection: Selection, seen: Survey, request: Request) -> tuple[Selection, Survey]:
    """Ask for what the snapshot's sender asked for, where this request does not say otherwise."""
    layout = selection.layout or request.layout
    python, cuda = selection.python or request.python, selection.cuda or request.cuda
    cache_dir = selection.cache_dir or request.cache_dir
    asked = selection._replace(layout=layout, python=python, cuda=cuda, cache_dir=cache_dir)
    material = seen.material
    if selection.profile is None:
        material = material._replace(profile=request.profile)
    # The rest of what was given there, files and directories, is for its sender to know.
    command = _export_command(Selection(layout=layout, python=python, cuda=cuda))
    return asked, seen._replace(
        material=material, layout=layout, request=request, export_command=command
    )


def add_machine(seen: Survey, environ: Mapping[str, str]) -> Survey:
    """Look at the machine as well."""
    return seen._replace(machine=_look_at_machine(seen, seen.material.profile, environ))


def take_snapshot(
    selection: Selection,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    *,
    with_machine: bool,
) -> Snapshot:
    """Look at a program's closure, and record what is seen.

    Raises:
        NixenvError: there is no closure to look at.
    """
    seen = survey(selection, environ, patience=patience)
    if with_machine and selection.snapshot is None:
        seen = add_machine(seen, environ)
    material, contents = seen.material, seen.contents
    if not with_machine:
        # What CPATH and LIBRARY_PATH add is of the machine as well.
        files = evolve(contents.files, given_headers=(), given_libraries=())
        contents = evolve(contents, files=files)
    return Snapshot(
        material.root.program,
        material.closure,
        material.probe,
        contents,
        seen.machine if with_machine else None,
        seen.request if with_machine else None,
    )


def _look_closer(material: Material, environ: Mapping[str, str], patience: Patience) -> Contents:
    """Take the second looks at the store objects of a closure."""
    return Contents(
        probe_distributions(material.probe),
        probe_toolkit_files(
            material.probe, environ.get("CPATH", ""), environ.get("LIBRARY_PATH", "")
        ),
        _query_graph(material, environ, patience),
    )


def _query_graph(
    material: Material, environ: Mapping[str, str], patience: Patience
) -> Graph | None:
    store_dir = os.path.dirname(material.root.path)
    try:
        # What Nix warns of it has said to the first question already.
        quietly = patience._replace(hear=PATIENT.hear)
        return query_graph(material.closure.paths, store_dir, environ, quietly)
    except NixError:
        return None  # the sizes are not known, then; that Nix is missing is said elsewhere


def _go_on(seen: Survey, selection: Selection, environ: Mapping[str, str]) -> Survey:
    """Classify and plan, as far as that goes."""
    try:
        inventory, environment, farms = plan(seen.material, selection, environ)
    except CudaNotFound as error:
        # Python may be in order all the same.
        profile = seen.material.profile._replace(cuda=None, cuda_required=False)
        lenient = seen._replace(
            material=seen.material._replace(profile=profile), trouble=(_stopped(error),)
        )
        return _go_on(lenient, selection._replace(cuda=None), environ)
    except NixenvError as error:
        return seen._replace(trouble=(*seen.trouble, _stopped(error)))
    return seen._replace(inventory=inventory, environment=environment, farms=farms)


def _stopped(error: NixenvError) -> Finding:
    code = _CODES.get(type(error), Code.ENVIRONMENT_IMPOSSIBLE)
    return code.found(error.summary, tuple(error.evidence), error.remedy)


def _look_at_machine(seen: Survey | None, profile: Profile, environ: Mapping[str, str]) -> Machine:
    """Look at the machine, as far as the environment has to do with it."""
    variables = seen.variables if seen else {}
    set_to = {name: value for name, value in variables.items() if value is not None}
    # SGLANG_PORT is what sglang listens on; other ports may be those of servers that it talks to.
    server = re.sub(r"[^A-Z0-9]", "_", (profile.binary or "").upper())
    return probe_machine(
        environ,
        names=tuple(variables),
        python=seen.inventory.interpreter.version if seen and seen.inventory else None,
        directories={name: set_to[name] for name in profile.cache if name in set_to},
        ports={port: set_to[port] for port in (f"{server}_PORT",) if port in set_to},
        host=set_to.get(f"{server}_HOST", ""),
        modules={
            module
            for site in (seen.contents.sites if seen else ())
            for found in site.distributions
            for module in found.modules
        },
    )


def _export_command(selection: Selection) -> str:
    """Spell out the command that sets the environment which is looked at."""
    options = {
        "--root": selection.root,
        "--profile": selection.profile,
        "--python": selection.python,
        "--cuda": selection.cuda,
        "--cache-dir": selection.cache_dir,
        "--layout": selection.layout if selection.layout != LAYOUTS[0] else None,
    }
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["nixenv", "export", *filter(None, [selection.binary]), *given])


def _report(seen: Survey) -> Report:
    material = seen.material
    lost = find_lost(material.closure, material.probe)
    findings = rank_findings(leave_out_consequences(_check(seen, lost), lost))
    return Report(
        verdict=judge(findings),
        next_step=choose_next_step(findings),
        root=material.root,
        source=material.closure.source,
        profile=material.profile.name,
        layout=seen.layout,
        inventory=seen.inventory,
        modules=list_modules(seen.inventory, seen.contents.sites) if seen.inventory else (),
        members=list_members(material.closure, material.probe, seen.contents.graph),
        variables=seen.variables,
        machine=seen.machine,
        findings=findings,
    )


def _check(seen: Survey, lost: Collection[StorePath]) -> Iterator[Finding]:
    material, contents = seen.material, seen.contents
    # What comes first is the next step, where it is no worse than others: first what makes the rest
    # doubtful, last what a program may well live with.
    yield from check_store(material.closure, material.probe, seen.nix_store)
    yield from seen.trouble
    if seen.farms is not None:
        yield from inspect_farms(seen.farms)
    if seen.environment is not None:
        try:
            resolve(seen.environment, seen.before)
        except VariableTooLong as error:
            yield _stopped(error)
    if seen.machine is not None:
        yield from _check_machine(seen, seen.machine, lost)
    yield from check_cuda(
        material.probe, seen.inventory, contents.files, contents.sites, seen.machine
    )
    if seen.inventory is not None:
        yield from find_ambiguities(seen.inventory)
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
    torch_cuda = next((s.torch_cuda for s in seen.contents.sites if s.torch_cuda), None)
    yield from check_gpu(machine, seen.toolkit_version, store_name(root), torch_cuda)
    yield from check_environment(
        seen.variables,
        machine,
        os.path.dirname(root),
        store_name(root),
        seen.export_command,
        _toolkit_names(seen),
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


def _report_stop(
    selection: Selection,
    root: Root,
    profile: Profile,
    error: NixError,
    environ: Mapping[str, str],
) -> Report:
    """Report on a root without a closure: the reason, and the machine."""
    machine = _look_at_machine(None, profile, environ)
    findings = rank_findings(
        (
            explain_nix_failure(error, root.path, environ),
            *check_gpu(machine, None, store_name(root.path), None),
        )
    )
    return Report(
        verdict=judge(findings),
        next_step=choose_next_step(findings),
        root=root,
        source=None,
        profile=profile.name,
        layout=selection.layout or LAYOUTS[0],
        inventory=None,
        modules=(),
        members=(),
        variables={},
        machine=machine,
        findings=findings,
    )
