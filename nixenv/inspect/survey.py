"""Look at a program's closure and at the machine: facts, of which nothing is judged here."""

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from attrs import evolve

from nixenv.errors import NixenvError, NixError
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import SiteListing, probe_distributions
from nixenv.evidence.graph import Graph, query_graph
from nixenv.evidence.machine import Machine, probe_machine, select_variables
from nixenv.evidence.occasion import Occasion
from nixenv.evidence.toolkit_files import ToolkitFiles, probe_toolkit_files, query_gpu_codes
from nixenv.inspect.serving import look_at_server
from nixenv.linked.inspection import FarmState, look_at_farms
from nixenv.places import Layout
from nixenv.process import PATIENT, Meanwhile, Patience
from nixenv.request import (
    Material,
    Selection,
    choose_cache_dir,
    choose_layout,
    gather,
    plan,
    replay,
    stay_with_active,
    take_back,
)
from nixenv.road.classify import Inventory
from nixenv.road.cuda import CudaNotFound
from nixenv.road.nix import find_nix_store
from nixenv.road.plan import Default, Environment, VariableTooLong, compute, resolve
from nixenv.road.profile import Profile
from nixenv.road.python import Interpreter
from nixenv.road.record import ActivationRecord, read_record
from nixenv.snapshot import Request

# libcufft.so.11, and not libcufft.so or libcufft.so.11.3.3.83.
_SONAME = re.compile(r".+\.so\.[0-9]+")

STAGES = 5
"""How many times `look`, with the machine, and `judgement` call ``step``."""

Step = Callable[[str], object]
"""Called with the name of each stage before it begins."""


class Survey(NamedTuple):
    """All that was seen of a closure, and of the machine.

    Attributes:
        material: The closure, and the probe's notes on it.
        contents: What the second looks found.
        before: The variables as they are, or as the snapshot recorded them; without what an earlier
            activation has set, if that was another program's.
        earlier: The record of that activation.
        machine: The machine; None where the snapshot left it out.
        inventory: What the closure offers; None when it could not be told.
        environment: The environment; None likewise.
        farms: The farms of layout ``linked``, where they can be looked at.
        stops: Why the road went no further, or why `export` would refuse what came of it.
        nix_store: How to call nix-store by hand.
        export_command: How to ask for the environment by hand.
        layout: ``store`` or ``linked``.
        request: What was asked for; None where a snapshot left it out.
        recorded: When, where and by what the snapshot was taken, if this is of one that says so.
    """

    material: Material
    contents: Contents
    before: Mapping[str, str]
    earlier: ActivationRecord | None = None
    machine: Machine | None = None
    inventory: Inventory | None = None
    environment: Environment | None = None
    farms: tuple[FarmState, ...] = ()
    stops: tuple[NixenvError, ...] = ()
    nix_store: str = "nix-store"
    export_command: str = "nixenv export"
    layout: str = Layout.STORE
    request: Request | None = None
    recorded: Occasion | None = None

    @property
    def variables(self) -> dict[str, str | None]:
        """The variables as they would be set; None for unset."""
        return compute(self.environment, self.before) if self.environment else {}

    @property
    def overridden(self) -> dict[str, str]:
        """The values of ours that the user's own take the place of."""
        held = take_back(self.before)
        return {
            operation.name: operation.value
            # Of several for one name the first counts.
            for operation in reversed(self.environment.operations if self.environment else ())
            if isinstance(operation, Default)
            if held.get(operation.name) and held[operation.name] != operation.value
        }

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter."""
        return self.inventory.interpreter if self.inventory else None

    @property
    def python_version(self) -> str | None:
        """The Python version ``X.Y``."""
        return self.interpreter.version if self.interpreter else None

    @property
    def toolkit_version(self) -> str | None:
        """The CUDA version ``X.Y``."""
        return self.inventory.cuda.version if self.inventory and self.inventory.cuda else None


def look(
    selection: Selection,
    environ: Mapping[str, str],
    step: Step = lambda _stage: None,
    patience: Patience = PATIENT,
    *,
    gathered: Material | None = None,
    with_machine: bool = True,
) -> Survey:
    """Look at a program's closure and at the machine. The road goes as far as it can.

    Args:
        selection: The request.
        environ: The environment as it is now. A replay takes the one that the snapshot recorded.
        step: Called with the name of each stage before it begins.
        patience: How long to wait for Nix, and who is told meanwhile.
        gathered: The closure, where the caller has asked for it already.
        with_machine: Whether to look at the machine; a replay shows what the snapshot has of it.

    Raises:
        NixenvError: there is no closure to look at. That it is no whole one is told by the result.
    """
    if selection.snapshot is not None:
        seen = _look_at_snapshot(selection, environ)
        return seen if with_machine else seen._replace(machine=None, recorded=None)
    step("closure")
    material = gathered or gather(selection, environ, patience)
    selection = stay_with_active(selection, material, environ)
    step("contents")
    before, earlier = _without_earlier(material, environ)
    seen = Survey(material, _look_closer(material, before, patience), before, earlier)
    step("environment")
    seen = _ask_nvcc(_go_on(seen, selection, before), environ)
    request = _request(selection, seen.material.profile, environ)
    seen = seen._replace(
        layout=request.layout,
        request=request,
        export_command=_export_command(selection),
        nix_store=find_nix_store(environ) or "nix-store",
    )
    if not with_machine:
        return seen
    step("machine")
    return seen._replace(machine=look_at_machine(seen.material.profile, environ, seen))


def _without_earlier(
    material: Material, environ: Mapping[str, str]
) -> tuple[Mapping[str, str], ActivationRecord | None]:
    """Give the variables as this program's activation will have them, which takes another's back.

    Its own is left as it is: somebody may have activated with other options than are given now.
    """
    record = read_record(environ)
    if record is None or record.root == material.root.path:
        return environ, None
    return take_back(environ), record


def _look_at_snapshot(selection: Selection, environ: Mapping[str, str]) -> Survey:
    material, snapshot = replay(selection, environ)
    now = {} if snapshot.machine is None else snapshot.machine.variables
    before, earlier = _without_earlier(material, now)
    layout = choose_layout(selection, material.profile)
    seen = Survey(material, snapshot.contents, before, earlier, snapshot.machine, layout=layout)
    if snapshot.request is not None:
        selection, seen = _ask_again(selection, seen, snapshot.request)
    # The farms are those of another machine.
    return _go_on(seen, selection, before or environ)._replace(farms=(), recorded=snapshot.taken)


def _ask_nvcc(seen: Survey, environ: Mapping[str, str]) -> Survey:
    """Ask the nvcc that was chosen what it compiles for."""
    toolkit = seen.inventory.cuda if seen.inventory else None
    if toolkit is None:
        return seen
    codes = query_gpu_codes(f"{toolkit.home}/bin/nvcc", environ)
    files = evolve(seen.contents.files, gpu_codes=codes)
    return seen._replace(contents=evolve(seen.contents, files=files))


def _request(selection: Selection, profile: Profile, environ: Mapping[str, str]) -> Request:
    cache_dir = None
    with contextlib.suppress(NixenvError):  # which the plan has met as well, and said
        cache_dir = choose_cache_dir(selection, environ)
    return Request(
        profile,
        choose_layout(selection, profile),
        cache_dir,
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
    told = None if layout == choose_layout(Selection(), material.profile) else layout
    command = _export_command(Selection(layout=told, python=python, cuda=cuda))
    return asked, seen._replace(
        material=material, layout=layout, request=request, export_command=command
    )


def _look_closer(material: Material, environ: Mapping[str, str], patience: Patience) -> Contents:
    """Take the second looks at the store objects of a closure: while Nix is asked, if it is."""
    probe = material.probe
    cpath, library_path = environ.get("CPATH", ""), environ.get("LIBRARY_PATH", "")
    seen: list[tuple[tuple[SiteListing, ...], ToolkitFiles]] = []

    def look(listen: Callable[[], object]) -> None:
        sites = probe_distributions(probe, listen)
        seen.append((sites, probe_toolkit_files(probe, cpath, library_path, listen)))

    graph = _query_graph(material, environ, patience, look)
    if not seen:
        look(lambda: None)
    sites, files = seen[0]
    return Contents(sites, files, graph)


def _query_graph(
    material: Material, environ: Mapping[str, str], patience: Patience, meanwhile: Meanwhile
) -> Graph | None:
    store_dir = os.path.dirname(material.root.path)
    try:
        # What Nix warns of it has said to the first question already.
        quietly = patience._replace(hear=PATIENT.hear)
        return query_graph(material.closure.paths, store_dir, environ, quietly, meanwhile)
    except NixError:
        return None  # the sizes are not known, then; that Nix is missing is said elsewhere


def _go_on(seen: Survey, selection: Selection, environ: Mapping[str, str]) -> Survey:
    """Classify and plan, as far as that goes."""
    try:
        inventory, environment, farms = plan(seen.material, selection, environ)
    except CudaNotFound as error:
        # Python may be in order all the same.
        profile = seen.material.profile._replace(cuda=None, cuda_required=False)
        lenient = seen._replace(material=seen.material._replace(profile=profile), stops=(error,))
        return _go_on(lenient, selection._replace(cuda=None), environ)
    except NixenvError as error:
        return seen._replace(stops=(*seen.stops, error))
    seen = seen._replace(inventory=inventory, environment=environment)
    if farms is not None:
        seen = seen._replace(farms=look_at_farms(inventory, farms))
    try:
        resolve(environment, seen.before)
    except VariableTooLong as error:
        return seen._replace(stops=(*seen.stops, error))
    return seen


def look_at_machine(
    profile: Profile, environ: Mapping[str, str], seen: Survey | None = None
) -> Machine:
    """Look at the machine, as far as the environment has to do with it.

    Args:
        profile: The profile of the request.
        environ: The environment.
        seen: What was seen of the closure; None where there is none.
    """
    variables = seen.variables if seen else {}
    set_to = {name: value for name, value in variables.items() if value is not None}
    # SGLANG_PORT is what sglang listens on; other ports may be those of servers that it talks to.
    server = re.sub(r"[^A-Z0-9]", "_", (profile.binary or "").upper())
    machine = probe_machine(
        # What another program's activation has set, this one's will take back.
        seen.before if seen else environ,
        names=tuple(variables),
        python=seen.python_version if seen else None,
        directories={name: set_to[name] for name in profile.cache if name in set_to},
        ports={port: set_to[port] for port in (f"{server}_PORT",) if port in set_to},
        host=set_to.get(f"{server}_HOST", ""),
        modules={
            module
            for site in (seen.contents.sites if seen else ())
            for found in site.distributions
            for module in found.modules
        },
        libraries=_loaded_names(seen),
        interpreter=seen.interpreter.executable if seen and seen.interpreter else None,
    )
    return evolve(
        machine,
        server=look_at_server(profile.binary, {**environ, **set_to}),
        variables=select_variables(environ, variables),
    )


def _loaded_names(seen: Survey | None) -> frozenset[str]:
    """Name the toolkit's libraries as the loader knows them: ``libcufft.so.11``."""
    toolkit = seen.inventory.cuda if seen and seen.inventory else None
    directories = set(toolkit.library_dirs) if toolkit else set()
    return frozenset(
        name
        for listing in (seen.contents.files.libraries if seen else ())
        if listing.directory in directories
        for name in listing.names
        if _SONAME.fullmatch(name)
    )


def _export_command(selection: Selection) -> str:
    """Spell out the command that sets the environment which is looked at."""
    options = {
        "--root": selection.root,
        "--profile": selection.profile,
        "--python": selection.python,
        "--cuda": selection.cuda,
        "--cache-dir": selection.cache_dir,
        "--layout": selection.layout,
    }
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["nixenv", "export", *filter(None, [selection.binary]), *given])
