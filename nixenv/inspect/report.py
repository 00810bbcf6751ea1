"""What ``nixenv inspect`` says of an environment: verdict, findings and facts. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from attrs import field, frozen

from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.evidence.graph import Graph, closure_sizes
from nixenv.evidence.machine import Machine
from nixenv.evidence.occasion import Occasion
from nixenv.findings import Finding, Severity
from nixenv.inspect.components import Group, group_of
from nixenv.plain import to_plain
from nixenv.road.classify import Inventory
from nixenv.road.probe import Probe
from nixenv.road.query import Closure
from nixenv.road.root import Root
from nixenv.storepath import StorePath, store_name

SCHEMA = 3
"""The schema of ``inspect --json``."""


class Verdict(StrEnum):
    """How it stands with the environment, in one word or three."""

    WORKS = "works"
    WARNINGS = "works with warnings"
    BROKEN = "broken"


@frozen
class Module:
    """One site-packages directory and the distributions in it."""

    directory: str
    own: bool
    distributions: tuple[Distribution, ...]


@frozen
class Member:
    """One store object of the closure.

    Attributes:
        path: Its store path.
        name: The name in it.
        group: What it is there for.
        nar_size: Its own bytes; None when Nix was not asked.
        closure_size: The bytes of all that it needs, itself included; None likewise, and where
            nobody wants to know.
    """

    path: StorePath
    name: str
    group: Group
    nar_size: int | None
    closure_size: int | None


@frozen(kw_only=True)
class Report:
    """Everything that a person or a program is told.

    Attributes:
        verdict: How it stands.
        next_step: The one thing to do next; empty when there is nothing to do.
        root: The root, and how it was found.
        source: Where the closure came from; None where there is none.
        profile: The profile's name.
        layout: ``store`` or ``linked``.
        inventory: What the closure offers; None when it could not be told.
        modules: The site-packages directories in their order, with their distributions.
        members: The store objects of the closure, in its order.
        variables: The variables as they would be set; None for unset.
        overridden: Of those that are the user's own, what they would be without.
        machine: The machine under it; None where it was not recorded.
        findings: What to know about it, worst first.
        made: When, where and by what the report was made.
        recorded: The same of the snapshot that it was made from; None where it is of here and now.
    """

    verdict: Verdict
    next_step: str
    root: Root
    source: str | None = None
    profile: str
    layout: str
    inventory: Inventory | None = None
    modules: tuple[Module, ...] = ()
    members: tuple[Member, ...] = ()
    variables: Mapping[str, str | None] = field(factory=dict)
    overridden: Mapping[str, str] = field(factory=dict)
    machine: Machine | None = None
    findings: tuple[Finding, ...]
    made: Occasion = field(factory=Occasion)
    recorded: Occasion | None = None


def reach_verdict(findings: Sequence[Finding]) -> Verdict:
    """Give the verdict that the worst finding decides."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.BROKEN
    return Verdict.WARNINGS if Severity.WARNING in severities else Verdict.WORKS


def rank_findings(
    findings: Iterable[Finding], harm: Callable[[Finding], int] = lambda _: 0
) -> tuple[Finding, ...]:
    """Put the worst first.

    Args:
        findings: The findings; what is equally bad stays in the order of the checks.
        harm: Of one severity, what comes first has the lesser number.
    """
    order = list(Severity)
    return tuple(sorted(findings, key=lambda found: (order.index(found.severity), harm(found))))


def find_cause(findings: Iterable[Finding]) -> Finding | None:
    """Take the finding that the verdict rests on: the worst; a note decides nothing."""
    worst = next(iter(rank_findings(findings)), None)
    return None if worst is None or worst.severity is Severity.NOTE else worst


def choose_next_step(findings: Iterable[Finding]) -> str:
    """Take the remedy of the worst finding; a note asks for nothing."""
    return next(
        (
            finding.remedy
            for finding in rank_findings(findings)
            if finding.remedy and finding.severity is not Severity.NOTE
        ),
        "",
    )


def list_modules(inventory: Inventory, sites: Iterable[SiteListing]) -> tuple[Module, ...]:
    """Join the site-packages directories with what they hold."""
    held = {site.directory: site.distributions for site in sites}
    return tuple(
        Module(part.directory, part.own, held.get(part.directory, ()))
        for part in inventory.site_packages
    )


def list_members(
    closure: Closure, probe: Probe, graph: Graph | None, *, with_sizes: bool
) -> tuple[Member, ...]:
    """List the store objects of a closure, with sizes where they are known.

    Args:
        closure: The closure.
        probe: The notes on its store objects.
        graph: What refers to what, and its size; None where it is not known.
        with_sizes: Whether the size of each one's closure is wanted.
    """
    noted = {found.path: found for found in probe.objects}
    known = {r.path: r.nar_size for r in graph.registrations} if graph else {}
    sizes = closure_sizes(graph) if graph and with_sizes else {}
    return tuple(
        Member(
            path,
            store_name(path),
            group_of(path, noted.get(path)),
            known.get(path),
            sizes.get(path),
        )
        for path in closure.paths
    )


def describe_occasion(occasion: Occasion) -> str:
    """Say in a line when and where something was looked at, and by which versions."""
    place = f" on {occasion.host}" if occasion.host else ""
    nix = f", Nix {occasion.nix}" if occasion.nix else ""
    time = occasion.time.replace("T", " ").replace("+00:00", " UTC")
    return f"{time}{place}, nixenv {occasion.nixenv}{nix}"


def to_document(answer: object) -> dict[str, object]:
    """Give a report, or what `inspect` answers to another question, as plain JSON data."""
    return {"schema": SCHEMA, **to_plain(answer)}
