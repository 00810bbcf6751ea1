"""The whole road for one request: what the command line and the hook ask for.

Each station can be called by itself; this module only joins them, by the selection rules of
docs/architecture.md. The environment is an argument.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module

from nixenv.errors import RootError, UsageError
from nixenv.places import (
    CacheDirUnknown,
    Layout,
    find_cache_dir,
    find_private_directory,
    find_store_dir,
    make_private_directory,
)
from nixenv.process import PATIENT, Listen, Patience
from nixenv.road.profile import BUILT_IN, Profile, load_profile
from nixenv.road.query import Closure, list_expected, query_closure
from nixenv.road.root import ProgramNotFound, Root, find_named_root, find_program_root
from nixenv.road.variables import RECORD_VARIABLE
from nixenv.typed import NamedTuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from nixenv import stations
    from nixenv.findings import Finding
    from nixenv.road.classify import Inventory
    from nixenv.road.farms import Farms
    from nixenv.road.plan import Environment
    from nixenv.road.probe import Head, Probe
    from nixenv.snapshot import Snapshot
else:

    class _Late:
        """The later stations, imported when the first of them is used: that is while Nix works.

        docs/architecture.md, "What makes a first activation quick", has what it saves.
        """

        def __getattr__(self, name: str) -> object:
            return getattr(import_module("nixenv.stations"), name)

    stations = _Late()


class NothingSelected(UsageError):
    """No program, root or snapshot, and a profile that names no program."""

    profile: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"no program to look up: the profile {self.profile} names neither one nor a root",
            "name one (`nixenv export PROGRAM`), or --root PATH, or `binary` or `root` in the "
            "profile",
        )


class ProfileAsProgram(RootError):
    """A built-in profile is named where a program is wanted."""

    profile: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"no program {self.profile!r} on PATH: it is the name of a profile",
            f"write `--profile {self.profile}`; an environment of several packages is named with "
            "--root",
        )


class FloxEnvMissing(UsageError):
    """The profile's root is in the Flox environment, and there is none."""

    profile: str
    root: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"the profile {self.profile} takes the root {self.root}, and FLOX_ENV is not set",
            "activate the Flox environment, or name a root: --root PATH",
        )


class SelectionContradicts(UsageError):
    """Two parts of a request that cannot both hold."""

    detail: str

    def _texts(self) -> tuple[str, str]:
        return (self.detail, "drop one of the two")


DEFAULT_PROFILE = "sglang"
"""The profile when nothing says which."""

OTHER_PROFILE = "python-cuda"
"""The profile of a program or root that no built-in one is for."""

FARMS = "nixenv/linked"
"""Where the farms of layout ``linked`` lie, below the cache directory."""

PROJECT_PROFILE = "nixenv.toml"
"""The file in ``$FLOX_ENV_PROJECT`` that is the profile when it exists."""


class Selection(NamedTuple):
    """What a request says.

    Attributes:
        binary: The program to look up on PATH.
        root: The store path to take instead, or a link to one, before the profile's.
        snapshot: The snapshot file to replay instead.
        profile: A built-in profile's name, or a file.
        python: The Python version ``X.Y``, before the profile's.
        cuda: The CUDA version ``X.Y``, before the profile's.
        cache_dir: The directory of the profile's cache directories, and of the farms.
        layout: ``store`` or ``linked``; None for the profile's, else the first.
    """

    binary: str | None = None
    root: str | None = None
    snapshot: str | None = None
    profile: str | None = None
    python: str | None = None
    cuda: str | None = None
    cache_dir: str | None = None
    layout: str | None = None


class Material(NamedTuple):
    """What was found out about the closure, live or from a snapshot.

    Attributes:
        root: The root.
        closure: Its closure.
        probe: The notes on its store objects.
        profile: The profile of the request.
    """

    root: Root
    closure: Closure
    probe: "Probe"
    profile: Profile


class Prepared(NamedTuple):
    """An environment that can be had, and what it rests on.

    Attributes:
        inventory: What the closure offers.
        environment: The environment: first what takes an earlier activation back, then its own.
        lasting: The same, but for what takes an earlier one back.
        record: The activation record, which it sets.
        farms: The farms that it relies on, there or not; None in layout ``store``.
        findings: What the user should know of the choices that were made.
        material: What it was made from.
        can_be_kept: Whether it is as it would be in another shell that asks for the same.
    """

    inventory: "Inventory"
    environment: "Environment"
    lasting: "Environment"
    record: str
    farms: "Farms | None"
    findings: "tuple[Finding, ...]"
    material: Material
    can_be_kept: bool


def find_root(selection: Selection, environ: Mapping[str, str]) -> tuple[Root, Profile]:
    """Find the root of a request that is not a replay, and its profile.

    Raises:
        RootError: there is no such root.
        UsageError: nothing names one.
        ProfileInvalid, Unreadable: the profile cannot be used.
    """
    profile = load_profile(_choose_profile(selection, selection.binary, environ))
    return _find_root(selection, profile, environ), profile


def _find_root(selection: Selection, profile: Profile, environ: Mapping[str, str]) -> Root:
    binary, root = profile.binary, profile.root
    store_dir, flox_env = find_store_dir(environ), environ.get("FLOX_ENV")
    if selection.root is not None:
        how = "named with --root"
        return find_named_root(selection.root, selection.binary, store_dir, binary, how)
    if root is not None:
        if "{flox_env}" in root and not flox_env:
            raise FloxEnvMissing(profile.name, root)
        named = root.replace("{flox_env}", flox_env or "")
        how = f"named by the profile {profile.name}"
        return find_named_root(named, selection.binary, store_dir, binary, how)
    program = binary if selection.binary is None else selection.binary
    if program is None:
        raise NothingSelected(profile.name)
    named_by = profile.name if selection.binary is None else None
    try:
        return find_program_root(program, search_path(environ), store_dir, flox_env, named_by)
    except ProgramNotFound as error:
        if program in BUILT_IN and BUILT_IN[program].binary != program:
            raise ProfileAsProgram(program) from error
        raise


def search_path(environ: Mapping[str, str]) -> str:
    """Give PATH without the directories that an earlier activation put there.

    Their programs are not meant: ``python3`` would be the interpreter that it chose.
    """
    return take_back(environ).get("PATH", "")


def take_back(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Give the variables as they are without what an earlier activation has set."""
    if not environ.get(RECORD_VARIABLE):
        return environ
    return stations.apply(_plan_undo(environ), environ)


def stay_with_active(
    selection: Selection, material: Material, environ: Mapping[str, str]
) -> Selection:
    """Take layout and cache directory of the environment that is active, if it is this root's.

    Whoever looks at what a shell has means what is in use there. What the request names itself
    stays, and nothing is named that is so anyway.
    """
    record = stations.read_record(environ)
    if record is None or record.root != material.root.path:
        return selection
    usual_cache_dir = None
    with contextlib.suppress(CacheDirUnknown):
        usual_cache_dir = find_cache_dir(environ)
    is_usual = record.layout == choose_layout(Selection(), material.profile)
    layout = None if is_usual or record.layout not in [*Layout] else record.layout
    cache_dir = None if record.cache == usual_cache_dir else record.cache
    return selection._replace(
        layout=selection.layout or layout, cache_dir=selection.cache_dir or cache_dir
    )


def list_inherited_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """List the settings that an outer environment was activated with, and that are not for here.

    A project that has a profile of its own does as that says.
    """
    if not environ.get(RECORD_VARIABLE) or find_project_profile(environ) is None:
        return ()
    record = stations.read_record(environ)
    return () if record is None else stations.list_inherited(record, environ)


def gather(
    selection: Selection,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    start: tuple[Root, Profile] | None = None,
) -> Material:
    """Go as far as the probe: find the root, query its closure, look at its store objects.

    Args:
        selection: The request.
        environ: The environment.
        patience: How long to wait for Nix, and who is told meanwhile.
        start: What `find_root` gave, where it has been called.

    Raises:
        NixenvError: whatever of it fails; faults of single store objects are kept in the probe.
    """
    if selection.snapshot is not None:
        return replay(selection, environ)[0]
    root, profile = start or find_root(selection, environ)
    program, flox_env = root.file or root.program, environ.get("FLOX_ENV")
    store_dir = find_store_dir(environ)

    @cache
    def probe_head() -> "Head":
        return stations.probe_head(root.path, program, flox_env)

    def look_ahead(listen: Listen) -> None:
        """Look at what will most likely be in the closure, until Nix has told it."""
        head = probe_head()
        if flox_env:
            stations.look_further(head, list_expected(flox_env, root.path, store_dir), listen)

    closure = query_closure(root.path, store_dir, environ, patience, look_ahead)
    probe = stations.probe_closure(closure, program, flox_env, probe_head())
    return Material(root, closure, probe, profile)


def plan(
    material: Material, selection: Selection, environ: Mapping[str, str]
) -> "tuple[Inventory, Environment, Farms | None]":
    """Go on from the probe: classify and plan.

    Layout ``linked`` has farms: where they lie is part of the plan, to build them is not.

    Raises:
        NixenvError: whatever of it fails.
    """
    profile = material.profile
    inventory = stations.classify(
        material.closure,
        material.probe,
        python=selection.python or profile.python,
        python_required=profile.python_required,
        cuda=selection.cuda or profile.cuda,
        cuda_required=profile.cuda_required,
        program=material.root.program,
    )
    if inventory.interpreter is not None:
        on_top = stations.find_on_top(environ, inventory.interpreter, keep=profile.keep_virtualenv)
        inventory = inventory._replace(on_top=on_top)
    cache_dir = choose_cache_dir(selection, environ)
    farms = None
    if choose_layout(selection, profile) == Layout.LINKED:
        from nixenv.road.farms import place_farms  # noqa: PLC0415 -- hashlib; only this layout

        farms = place_farms(inventory, find_private_directory(cache_dir, FARMS))
    own = _place_caches(profile, cache_dir)
    flox_env = environ.get("FLOX_ENV")
    environment = stations.plan_environment(inventory, own, cache_dir, farms, flox_env)
    return inventory, environment, farms


def choose_layout(selection: Selection, profile: Profile) -> str:
    """Say which layout is meant: the one that was asked for, else the profile's, else store."""
    return selection.layout or profile.layout or Layout.STORE


def choose_cache_dir(selection: Selection, environ: Mapping[str, str]) -> str:
    """Say where writable state goes: where the request says, else where the environment does.

    Raises:
        CacheDirUnknown: neither does.
    """
    return os.path.abspath(selection.cache_dir or find_cache_dir(environ))


def _place_caches(profile: Profile, cache_dir: str) -> Profile:
    """Name the profile's cache directories so that each is the user's own."""
    places = {
        name: os.path.relpath(find_private_directory(cache_dir, subdirectory), cache_dir)
        for name, subdirectory in profile.cache.items()
    }
    return profile._replace(cache=places)


def prepare(
    selection: Selection,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    start: tuple[Root, Profile] | None = None,
    gathered: Material | None = None,
) -> Prepared:
    """Go as far as the environment. Nothing is written yet.

    Args:
        selection: The request.
        environ: The environment.
        patience: How long to wait for Nix, and who is told meanwhile.
        start: What `find_root` gave, where it has been called.
        gathered: What `gather` gave, likewise.

    Raises:
        NixenvError: whatever of it fails; a value that is too long for Linux, too.
    """
    material = gathered or gather(selection, environ, patience, start)

    stations.require_complete(material.probe)
    undo, before = _plan_undo(environ), take_back(environ)
    inventory, planned, farms = plan(material, selection, before)
    earlier = stations.read_record(environ)
    here = environ.get("FLOX_ENV", "")
    python, cache_dir = _find_python(inventory, farms), choose_cache_dir(selection, before)
    layout = choose_layout(selection, material.profile)
    told = (material.root.path, material.profile.name, python, here, cache_dir, layout)
    record = stations.make_record(planned, told, before, earlier)
    text = stations.format_record(record)
    lasting = stations.Environment((*planned, stations.Set(RECORD_VARIABLE, text)))
    environment = stations.Environment((*undo, *lasting))
    stations.resolve(environment, environ)
    is_own = earlier.environment == here if earlier else not environ.get(RECORD_VARIABLE)
    return Prepared(
        inventory,
        environment,
        lasting,
        text,
        farms,
        (
            *stations.tell_source(material.closure),
            *stations.find_ambiguities(inventory, linked=farms is not None),
            *_tell_left_out(inventory, material.profile, environ),
        ),
        material,
        is_own and stations.holds_all(record, planned),
    )


def _tell_left_out(
    inventory: "Inventory", profile: Profile, environ: Mapping[str, str]
) -> "Iterator[Finding]":
    """Tell of values that are left out; what nobody can miss is for `inspect` to show."""
    for finding in stations.tell_left_out(inventory, profile, environ.get("FLOX_ENV")):
        if finding.severity != stations.Severity.NOTE:
            yield finding


def _find_python(inventory: "Inventory", farms: "Farms | None") -> str:
    """Give the interpreter that sees the modules; nothing where the closure has none."""
    if inventory.interpreter is None:
        return ""
    if farms is None or farms.virtualenv is None:
        return inventory.interpreter.executable
    return f"{farms.virtualenv}/bin/python{inventory.interpreter.version}"


def _plan_undo(environ: Mapping[str, str]) -> "Environment":
    """Plan to take back what an earlier activation has set in this environment."""
    record = stations.read_record(environ)
    operations = () if record is None else stations.plan_undo(record, environ)
    return stations.Environment(operations)


def build(prepared: Prepared, patience: Patience = PATIENT) -> None:
    """Build the farms that an environment relies on, where it has any.

    Raises:
        NixenvError: one cannot be built.
    """
    if prepared.farms is None:
        return
    from nixenv.linked.farm_record import find_problems  # noqa: PLC0415 -- only this layout

    farms = prepared.farms.directories
    if any(map(find_problems, farms)):
        from nixenv.linked.build import build_farms  # noqa: PLC0415 -- most activations do without

        with contextlib.suppress(OSError):  # the farms say what is wrong
            make_private_directory(os.path.dirname(os.path.dirname(farms[0])))
        build_farms(prepared.inventory, prepared.farms, patience)


def make_directories(environment: "Environment") -> None:
    """Make an environment's directories for whoever does without its text.

    In a pod without coreutils the text finds no mkdir either. One that cannot be made is for the
    program that wants it to complain of.
    """
    for operation in environment.operations:
        if isinstance(operation, stations.MakeDirectory):
            with contextlib.suppress(OSError):
                make_private_directory(operation.path)


def export(
    selection: Selection,
    shell: str,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    start: tuple[Root, Profile] | None = None,
) -> tuple[str, Prepared]:
    """Go the whole way, to the text for a shell; the farms are built then.

    Args:
        selection: The request.
        shell: The shell, or format, of the text.
        environ: The environment.
        patience: How long to wait, and who is told meanwhile.
        start: What `find_root` gave, where it has been called.

    Raises:
        NixenvError: whatever of it fails.
    """
    prepared = prepare(selection, environ, patience, start)

    text = stations.render(prepared.environment, shell, environ)
    build(prepared, patience)
    return text, prepared


def replay(selection: Selection, environ: Mapping[str, str]) -> "tuple[Material, Snapshot]":
    """Take the material from the snapshot that the request names, and give that as well.

    Raises:
        NixenvError: it cannot be read, or is not what the request asks for.
    """
    file = selection.snapshot or ""
    if selection.root is not None:
        raise SelectionContradicts("--root and --from each name the root")
    from nixenv.snapshot import load_snapshot  # noqa: PLC0415 -- cattrs; only replays need it

    snapshot = load_snapshot(file)
    program = os.path.basename(selection.binary) if selection.binary else snapshot.program
    if snapshot.program and program != snapshot.program:
        detail = f"{file} is a snapshot of {snapshot.program}, not of {program}"
        raise SelectionContradicts(detail)
    profile = load_profile(_choose_profile(selection, program, environ))
    launcher = snapshot.probe.launcher
    recorded = launcher.steps[0].file if launcher and launcher.steps else None
    root = Root(snapshot.closure.root, snapshot.program, f"recorded in {file}", file=recorded)
    return Material(root, snapshot.closure, snapshot.probe, profile), snapshot


def find_project_profile(environ: Mapping[str, str]) -> str | None:
    """Find the project's own profile, where the environment is one of that project.

    `flox activate -r` makes the current directory the project, be it one that was just cloned. The
    hook has the same rule.
    """
    project = environ.get("FLOX_ENV_PROJECT")
    if not project or not environ.get("FLOX_ENV", "").startswith(f"{project}/.flox/"):
        return None
    file = f"{project}/{PROJECT_PROFILE}"
    return file if os.path.lexists(file) else None


def _choose_profile(selection: Selection, binary: str | None, environ: Mapping[str, str]) -> str:
    """Say which profile to load: a built-in one's name, or a file."""
    if selection.profile is not None:
        return selection.profile
    project = find_project_profile(environ)
    if project is not None:
        return project
    if binary is not None:
        return _find_profile_for(os.path.basename(binary).__eq__)
    if selection.root is not None:
        # As find_named_root follows it, but for what is wrong with it, which that will say.
        programs = os.path.join(os.path.realpath(selection.root), "bin")
        return _find_profile_for(lambda name: os.path.lexists(os.path.join(programs, name)))
    return DEFAULT_PROFILE


def _find_profile_for(is_there: Callable[[str], bool]) -> str:
    """Give the one built-in profile whose program is there; python3 is that of several."""
    programs = [profile.binary for profile in BUILT_IN.values()]
    fit = [
        name
        for name, profile in BUILT_IN.items()
        if (program := profile.binary) and programs.count(program) == 1 and is_there(program)
    ]
    return fit[0] if len(fit) == 1 else OTHER_PROFILE
