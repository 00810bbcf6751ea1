"""What ``nixenv inspect`` says: the road's results and the findings on them, as one value. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import asdict, frozen
from packaging.utils import canonicalize_name

from nixenv.closure import Closure
from nixenv.distributions import Distribution, SiteListing
from nixenv.environment import VARIABLE_LIMIT, Environment, resolve, variable_size
from nixenv.findings import Finding, Severity
from nixenv.inventory import Inventory, find_ambiguities
from nixenv.probe import Probe
from nixenv.profile import Profile
from nixenv.python import SitePackages
from nixenv.root import Root

SCHEMA = 1
"""The schema of ``inspect --json``."""

_NEAR_LIMIT = VARIABLE_LIMIT * 3 // 4


@frozen
class Module:
    """One site-packages directory and the distributions in it."""

    directory: str
    own: bool
    distributions: tuple[Distribution, ...]


@frozen
class Report:
    """Everything that a person or a program is told.

    Attributes:
        root: The root, and how it was found.
        source: Where the closure came from.
        members: The number of store paths in the closure.
        profile: The profile's name.
        inventory: What the closure offers.
        modules: The site-packages directories in their order, with their distributions.
        variables: The variables as they would be set; None for unset.
        findings: What to know about it, worst first.
    """

    root: Root
    source: str
    members: int
    profile: str
    inventory: Inventory
    modules: tuple[Module, ...]
    variables: Mapping[str, str | None]
    findings: tuple[Finding, ...]


def diagnose(
    root: Root,
    closure: Closure,
    probe: Probe,
    listings: Sequence[SiteListing],
    inventory: Inventory,
    environment: Environment,
    profile: Profile,
    environ: Mapping[str, str],
    more: Sequence[Finding] = (),
) -> Report:
    """Put the road's results together and look for what should be known about them.

    ``more`` are findings from elsewhere, such as on the farms of layout ``linked``.

    Raises:
        VariableTooLong: see `nixenv.environment.resolve`.
    """
    variables = resolve(environment, environ)
    modules = _match_listings(inventory.site_packages, listings)
    findings = [
        *_find_faults(probe),
        *find_ambiguities(inventory),
        *_find_python(inventory, modules),
        *_find_path_files(modules, listings, variables),
        *_find_cuda(inventory),
        *_find_long_values(variables),
        *more,
    ]
    order = list(Severity)
    return Report(
        root=root,
        source=closure.source,
        members=len(closure.paths),
        profile=profile.name,
        inventory=inventory,
        modules=modules,
        variables=variables,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
    )


def to_document(report: Report) -> dict[str, object]:
    """Give the report as plain JSON data, schema 1."""
    return {"schema": SCHEMA, **asdict(report)}


def _match_listings(
    site_packages: Iterable[SitePackages], listings: Iterable[SiteListing]
) -> tuple[Module, ...]:
    found = {listing.directory: listing.distributions for listing in listings}
    return tuple(
        Module(part.directory, part.own, found.get(part.directory, ())) for part in site_packages
    )


def _find_faults(probe: Probe) -> Iterable[Finding]:
    missing = tuple(fault.path for fault in probe.faults if fault.missing)
    if missing:
        yield Finding(
            "store-object-missing",
            Severity.ERROR,
            f"{len(missing)} members of the closure are not on disk; export refuses",
            missing,
            f"`nix-store --repair-path {missing[0]}`, or reinstall the program",
        )
    unreadable = tuple(f"{f.path}: {f.detail}" for f in probe.faults if not f.missing)
    if unreadable:
        yield Finding(
            "store-object-unreadable",
            Severity.ERROR,
            f"{len(unreadable)} store objects cannot be read; export refuses",
            unreadable,
            "look at their permissions, and at who you are (`id`)",
        )


def _find_python(inventory: Inventory, modules: Sequence[Module]) -> Iterable[Finding]:
    if not modules:
        yield Finding(
            "python-no-modules",
            Severity.WARNING,
            f"no site-packages of Python {inventory.interpreter.version} in the closure",
            remedy="check the version (--python X.Y) and that this is the program you mean",
        )
    if inventory.interpreter.others:
        yield Finding(
            "python-several-interpreters",
            Severity.NOTE,
            f"several interpreters in the closure; took {inventory.interpreter.path}, because "
            f"{inventory.interpreter.reason}",
            inventory.interpreter.others,
            "to take another version, --python X.Y",
        )
    yield from _find_several_versions(modules)


def _find_path_files(
    modules: Sequence[Module],
    listings: Iterable[SiteListing],
    variables: Mapping[str, str | None],
) -> Iterable[Finding]:
    if not variables.get("PYTHONPATH"):
        return  # layout linked: a virtual environment processes them
    used = {module.directory for module in modules}
    path_files = tuple(
        f"{listing.directory}/{name}"
        for listing in listings
        if listing.directory in used
        for name in listing.path_files
    )
    if path_files:
        yield Finding(
            "python-path-file-ignored",
            Severity.WARNING,
            "PYTHONPATH does not process .pth files: what only they reach cannot be imported",
            path_files,
            "take --layout linked, or run the program through its own wrapper: both process them",
        )


def _find_several_versions(modules: Iterable[Module]) -> Iterable[Finding]:
    holders: dict[str, list[tuple[Distribution, str]]] = defaultdict(list)
    for module in modules:
        for distribution in module.distributions:
            holders[canonicalize_name(distribution.name)].append((distribution, module.directory))
    for name, found in holders.items():
        if len({distribution.version for distribution, _ in found}) > 1:
            yield Finding(
                "python-several-versions",
                Severity.NOTE,
                f"{name} is there in several versions; {found[0][0].version} wins, being first",
                tuple(f"{distribution.version}  {where}" for distribution, where in found),
            )


def _find_cuda(inventory: Inventory) -> Iterable[Finding]:
    toolkit = inventory.cuda
    if toolkit is None:
        yield Finding(
            "cuda-none",
            Severity.NOTE,
            "no nvcc in the closure: CUDA_HOME, CPATH and LIBRARY_PATH are left alone",
        )
        return
    wanted = {
        "include directories": toolkit.include_dirs,
        "library directories": toolkit.library_dirs,
        "stub directories (linking with -lcuda needs them)": toolkit.stub_dirs,
        "gcc wrapper (nvcc and triton call a host compiler)": inventory.host_compiler,
        "ninja (flashinfer and tvm-ffi build with it)": inventory.ninja,
    }
    for what, found in wanted.items():
        if not found:
            yield Finding(
                "cuda-part-missing",
                Severity.WARNING,
                f"CUDA {toolkit.version}: no {what} in the closure",
                remedy='add it to the environment (in a Flox manifest with `outputs = "all"`)',
            )


def _find_long_values(variables: Mapping[str, str | None]) -> Iterable[Finding]:
    for name, value in variables.items():
        size = variable_size(name, value or "")
        if size > _NEAR_LIMIT:
            yield Finding(
                "value-near-limit",
                Severity.WARNING,
                f"{name} has {size} bytes; Linux passes on no more than {VARIABLE_LIMIT}",
            )
