"""The sections of the page, each a function of its part of the report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from packaging.utils import canonicalize_name

from nixenv.evidence.machine import Machine
from nixenv.evidence.occasion import Occasion
from nixenv.findings import Finding
from nixenv.inspect.components import Group
from nixenv.inspect.page.markup import Child, advice, code, element, listed, prose
from nixenv.inspect.page.tables import (
    Column,
    Kind,
    cell,
    data_section,
    lines_of,
    row,
    scrollable,
    section,
    size_cell,
    value_parts,
)
from nixenv.inspect.report import Member, Module, Report, Verdict, describe_occasion, find_cause
from nixenv.inspect.views.lines import size_text
from nixenv.road.choice import Choice, because
from nixenv.road.classify import Inventory
from nixenv.road.host_compiler import HostCompiler

_GROUPS = {Group.PYTHON: "Python", Group.CUDA: "CUDA", Group.OTHER: "Rest"}
_LOOKS = {Verdict.WORKS: "good", Verdict.WARNINGS: "warning", Verdict.BROKEN: "error"}
# Evidence beyond so many lines is folded away, and left out.
_SHOWN = 3
_FOLDED = 1_000
# On paper, as page.css has it.
_PRINTED = 100


def summary(report: Report) -> Element:
    """What one must know: the verdict, what it rests on, what to do, and of which program."""
    look, cause = _LOOKS[report.verdict], find_cause(report.findings)
    return element(
        "header",
        element("p", "nixenv inspect", class_="tool"),
        element("h1", report.root.program or report.root.path),
        element(
            "div",
            element("p", _icon(look), report.verdict.capitalize(), class_="verdict"),
            *([element("p", *prose(cause.summary), class_="cause")] if cause else []),
            *_next(report.next_step),
            class_=f"card {look}",
        ),
        element("dl", *_facts(report), class_="facts"),
    )


def links(linked: Iterable[Element]) -> Element:
    """Links to the sections."""
    titles = ((part.get("id", ""), part.findtext("h2", "").strip()) for part in linked)
    anchors = (element("a", title, href=f"#{name}") for name, title in titles)
    return element("nav", *anchors, aria_label="Sections")


def findings(found: Sequence[Finding]) -> Element:
    """The findings, as they come: worst first."""
    counts = Counter(finding.severity for finding in found)
    told = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items())
    return section(
        "findings",
        "Findings",
        element("p", told or "None: nothing to know about it."),
        *map(_finding, found),
    )


def sizes(members: Sequence[Member]) -> Element:
    """Where the bytes are: the sums of each group; the script draws the map, in their colours."""
    known = [size for member in members if (size := member.nar_size) is not None]
    if not known:
        text = "Sizes are not known: there was no Nix to ask, or it did not answer."
        return section("sizes", "Sizes", element("p", text))
    columns = (Column("Group"), Column("Objects", Kind.SIZE), Column("Size", Kind.SIZE))
    rows = [_group_row(group, members) for group in _GROUPS]
    rows.append(_sum_row("All", known, class_="total"))
    unknown = len(members) - len(known)
    return section(
        "sizes",
        "Sizes",
        scrollable("sizes", columns, rows),
        *([element("p", f"The size of {unknown} more is not known.")] if unknown else []),
        element("div", id="treemap"),
    )


def largest_first(members: Iterable[Member]) -> list[Member]:
    """Put the store objects in order; those of unknown size are last, behind the empty ones."""
    return sorted(members, key=lambda m: 1 if m.nar_size is None else -m.nar_size)


def objects(members: Sequence[Member]) -> Element:
    """The store objects of the closure, which come largest first."""
    columns = (
        Column("Name"),
        Column("Group"),
        Column("Own size", Kind.SIZE, order="descending"),
        Column("Closure size", Kind.SIZE),
        Column("Store path", Kind.CODE),
    )
    rows = [(m.name, _GROUPS[m.group], m.nar_size, m.closure_size, m.path) for m in members]
    note = f"On paper only the first {_PRINTED} are shown; the page holds all of them."
    paper = [element("p", note, class_="paper")] if len(rows) > _PRINTED else []
    return data_section("objects", "Store objects", columns, rows, *paper)


def distributions(modules: Sequence[Module], members: Sequence[Member]) -> Element:
    """The Python distributions in their order of precedence."""
    titles = ("Distribution", "Version", "Wins", "Modules")
    winners: dict[str, str] = {}
    rows = []
    for module in modules:
        own = "the program's own" if module.own else "rest of the closure"
        for found in module.distributions:
            name = canonicalize_name(found.name)
            wins = "yes" if name not in winners else f"no, {winners[name]} comes first"
            winners.setdefault(name, found.version)
            rows.append((found.name, found.version, wins, own, module.directory))
    columns = (*map(Column, titles), Column("Directory", Kind.CODE))
    places: dict[str, int] = {member.path: number for number, member in enumerate(members)}
    return data_section("distributions", "Python distributions", columns, rows, places=places)


def cuda(inventory: Inventory) -> Element:
    """The CUDA toolkit, and what builds with it."""
    toolkit = inventory.cuda
    if toolkit is None:
        return section("cuda", "CUDA", element("p", "None in the closure.", class_="none"))
    facts = [
        *_fact("Version", toolkit.version),
        *_fact("nvcc", _path(toolkit.nvcc), f"because {because(toolkit.reasons)}"),
        *_fact("Host compiler", *_chosen(inventory.host_compiler)),
        *_fact("ninja", *_chosen(inventory.ninja)),
        *_fact("Not chosen", *map(_path, toolkit.others)),
    ]
    kinds = {
        "include": toolkit.include_dirs,
        "library": toolkit.library_dirs,
        "stubs": toolkit.stub_dirs,
    }
    rows = [(kind, path) for kind, paths in kinds.items() for path in paths]
    columns = (Column("Kind"), Column("Directory", Kind.CODE))
    return data_section(
        "cuda", "CUDA directories", columns, rows, element("dl", *facts, class_="facts")
    )


def variables(
    wanted: Mapping[str, str | None], machine: Machine | None, overridden: Mapping[str, str]
) -> Element:
    """The variables as they would be set, beside what they are; those that differ come first.

    Args:
        wanted: As they would be set.
        machine: As they are.
        overridden: Of those that are the user's own, what they would be without.
    """
    if not wanted:
        return section("variables", "Variables", element("p", "None.", class_="none"))
    titles = ["Variable", "As it should be"]
    told = []
    if machine is None:
        rows = [_variable_row(n, value, overridden.get(n)) for n, value in wanted.items()]
    else:
        titles.append("As it is")
        now = machine.variables
        ordered = sorted(wanted.items(), key=lambda item: now.get(item[0]) == item[1])
        rows = [_variable_row(n, value, overridden.get(n), now.get(n)) for n, value in ordered]
        differing = sum(now.get(name) != value for name, value in wanted.items())
        text = f"{differing} of {len(wanted)} differ from what they should be."
        told.append(element("p", text if differing else "All are as they should be."))
    table = scrollable("variables", [*map(Column, titles)], rows)
    return section("variables", "Variables", *told, table, count=len(rows))


def machine(looked_at: Machine | None) -> Element:
    """The machine as it was when the page was made."""
    if looked_at is None:
        return section("machine", "Machine", element("p", "Not looked at.", class_="none"))
    return section("machine", "Machine", element("dl", *_machine_facts(looked_at), class_="facts"))


def _facts(report: Report) -> Iterator[Element]:
    root, inventory, members = report.root, report.inventory, report.members
    yield from _fact("Root", _path(root.path), f"found: {root.how}")
    if inventory is not None:
        interpreter = inventory.interpreter
        if interpreter is None:
            yield from _fact("Python", "none")
        else:
            yield from _fact(
                f"Python {interpreter.version}",
                _path(interpreter.path),
                f"because {because(interpreter.reasons)}",
            )
        toolkit = inventory.cuda
        yield from _fact("CUDA", toolkit.version if toolkit else "none")
    told = [member.nar_size for member in members if member.nar_size is not None]
    size = [size_text(sum(told))] if told else []
    source = [report.source] if report.source else []
    yield from _fact("Closure", f"{len(members)} store objects", *size, *source)
    yield from _fact("Profile", report.profile, f"layout {report.layout}")
    yield from _occasion_fact("Made", report.made)
    if report.recorded is not None:
        yield from _occasion_fact("Of a snapshot of", report.recorded)


def _occasion_fact(name: str, occasion: Occasion) -> Iterator[Element]:
    command = [code(occasion.command)] if occasion.command else []
    return _fact(name, describe_occasion(occasion), *command)


def _machine_facts(looked_at: Machine) -> Iterator[Element]:
    driver = looked_at.driver
    avx2 = {True: "with AVX2", False: "without AVX2", None: "AVX2: not known"}[looked_at.avx2]
    yield from _fact("Processor", f"{looked_at.architecture}, {avx2}")
    yield from _fact("GPUs", *([gpu.description for gpu in driver.gpus] or ["none seen"]))
    yield from _fact("Driver", driver.version or "not known", driver.failure)
    yield from _fact("libcuda.so.1", _path(driver.libcuda))
    for name, path in looked_at.programs.items():
        yield from _fact(name, _path(path))
    for directory in looked_at.directories:
        state = directory.problem or "can be written"
        yield from _fact(directory.variable, _path(directory.path), state)
    for port in looked_at.ports:
        yield from _fact(port.variable, str(port.port), port.problem or "free")


def _finding(finding: Finding) -> Element:
    severity = finding.severity
    parts = [
        element(
            "h3",
            element("span", _icon(severity), severity.capitalize(), class_="severity"),
            " ",
            element("code", finding.code),
        ),
        element("p", *prose(finding.summary)),
        *_evidence(finding.evidence),
        *_next(finding.remedy),
        element("p", *prose(f"`nixenv explain {finding.code}` says more"), class_="documented"),
    ]
    return element("article", *parts, class_=f"card {severity}")


def _next(step: str) -> Iterator[Element]:
    if step:
        yield element("p", element("strong", "Next: "), *advice(step), class_="next")


def _evidence(lines: Sequence[str]) -> Iterator[Element]:
    shown = len(lines) if len(lines) <= _SHOWN + 1 else _SHOWN
    if lines:
        yield listed(lines[:shown])
    if lines[shown:]:
        told = element("summary", f"{len(lines) - shown} more")
        yield element("details", told, *lines_of(lines[shown:], _FOLDED))


def _group_row(group: Group, members: Iterable[Member]) -> Element:
    known = [m.nar_size for m in members if m.group is group and m.nar_size is not None]
    swatch = element("span", class_=f"swatch {group}")
    return _sum_row(element("span", swatch, _GROUPS[group]), known)


def _sum_row(head: Child, known: Sequence[int], **attributes: str) -> Element:
    count = cell(str(len(known)), class_="number")
    return row(cell(head), count, size_cell(sum(known)), **attributes)


def _variable_row(name: str, wanted: str | None, ours: str | None, *now: str | None) -> Element:
    """Make a row of a variable as it should be, and as it is where that is known."""
    instead = () if ours is None else (element("p", "yours; ours would be ", code(ours)),)
    differs = bool(now) and now != (wanted,)
    mark: tuple[Child, ...] = (element("strong", "differs", class_="mark"), " ") if differs else ()
    return row(
        cell(element("code", name)),
        cell(*value_parts(wanted), *instead, class_="path", data_label="should be"),
        *(cell(*mark, *value_parts(value), class_="path", data_label="is") for value in now),
        **({"class_": "differs"} if differs else {}),
    )


def _fact(name: str, *texts: Child) -> Iterator[Element]:
    told = [text for text in texts if text != ""]
    if told:
        yield element(
            "div",
            element("dt", name),
            *(element("dd", text) for text in told),
        )


def _chosen(choice: Choice | HostCompiler | None) -> Sequence[Child]:
    return ("none",) if choice is None else (_path(choice.path), f"because {choice.reason}")


def _path(path: str | None) -> Child:
    return "none" if path is None else code(path)


def _icon(name: str) -> Element:
    return element("svg", element("use", href=f"#icon-{name}"), class_="icon", aria_hidden="true")
