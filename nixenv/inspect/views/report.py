"""The report for a person's eyes: the verdict first, then the findings, then the facts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from nixenv.evidence.machine import Machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.components import Group
from nixenv.inspect.report import (
    Member,
    Module,
    Report,
    Verdict,
    describe_occasion,
    find_cause,
)
from nixenv.inspect.views.lines import capture, line, next_lines, section, size_text
from nixenv.road.choice import Choice, because
from nixenv.road.classify import Inventory
from nixenv.road.host_compiler import HostCompiler
from nixenv.storepath import store_name
from nixenv.text import printable

_VERDICTS = {
    Verdict.BROKEN: "bold red",
    Verdict.WARNINGS: "bold yellow",
    Verdict.WORKS: "bold green",
}
_SEVERITIES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.NOTE: "cyan",
}
_GROUPS = {Group.PYTHON: "Python", Group.CUDA: "CUDA", Group.OTHER: "the rest"}

# So many lines of evidence, entries of a list: who wants more asks for all.
_FEW = 5


def show_report(report: Report, *, colour: bool, full: bool = False) -> str:
    """Write the report as text. Lines are never wrapped: a path must survive copy and paste.

    Args:
        report: The report.
        colour: Whether to use colours.
        full: Whether to list everything, instead of a few of each kind.
    """
    return capture(lambda console: _print_report(report, console, full=full), colour=colour)


def _print_report(report: Report, console: Console, *, full: bool) -> None:
    _print_summary(report, console)
    for finding in report.findings:
        _print_finding(finding, console, full=full)
    for title, lines in _facts(report, full=full):
        section(console, title, lines)
    if not full:
        hint = "--all lists everything; --html FILE is for a browser; `nixenv inspect NAME` shows"
        line(console, Text(f"{hint} one thing close up", style="dim"))


def _print_summary(report: Report, console: Console) -> None:
    name = report.root.program or store_name(report.root.path)
    head = Text(f"{printable(name)}: ", style="bold")
    line(console, head.append(str(report.verdict), style=_VERDICTS[report.verdict]))
    cause = find_cause(report.findings)
    told = [f"because {cause.summary}"] if cause else []
    for text in (*told, *next_lines(report.next_step)):
        line(console, Text(printable(text)))
    counts = Counter(finding.severity for finding in report.findings)
    told = [f"{counts[s]} {s}{'s' if counts[s] > 1 else ''}" for s in Severity if counts[s]]
    if told:
        line(
            console,
            Text(f"{', '.join(told)}; `nixenv explain CODE` says what each means", style="dim"),
        )
    line(console, Text())


def _print_finding(finding: Finding, console: Console, *, full: bool) -> None:
    head = Text(str(finding.severity), style=_SEVERITIES[finding.severity])
    head.append(f"  {finding.code}", style="bold")
    line(console, head)
    line(console, Text(f"  {printable(finding.summary)}"))
    for text in _few(finding.evidence, full=full):
        line(console, Text(f"    {printable(text)}"))
    for text in next_lines(finding.remedy):
        line(console, Text(f"  {printable(text)}"))
    line(console, Text())


def _facts(report: Report, *, full: bool) -> Iterator[tuple[str, Iterable[str]]]:
    yield "Program", _root_lines(report)
    if report.inventory is not None:
        yield from _inventory_sections(report, report.inventory, full=full)
    if report.members:
        yield f"Closure: {len(report.members)} store paths", _size_lines(report.members)
    if report.machine is not None:
        yield "Machine", _machine_lines(report.machine)
    yield "Report", _occasion_lines(report)
    if report.variables:
        title = f"Variables (profile {report.profile}, layout {report.layout})"
        yield title, _variable_lines(report, full=full)


def _occasion_lines(report: Report) -> Iterator[str]:
    yield f"made: {describe_occasion(report.made)}"
    if report.made.command:
        yield f"by: {report.made.command}"
    if report.recorded is not None:
        yield f"of a snapshot of {describe_occasion(report.recorded)}"


def _root_lines(report: Report) -> Iterator[str]:
    yield report.root.path
    yield f"found: {report.root.how}"
    if report.source is not None:
        yield f"closure: {report.source}"


def _inventory_sections(
    report: Report, inventory: Inventory, *, full: bool
) -> Iterator[tuple[str, Iterable[str]]]:
    interpreter, toolkit = inventory.interpreter, inventory.cuda
    if interpreter is None:
        yield "Python", ("none in the closure",)
    else:
        yield (
            f"Python {interpreter.version}",
            (interpreter.executable, f"because {because(interpreter.reasons)}"),
        )
    yield f"site-packages: {len(report.modules)}, first wins", _module_lines(report, full=full)
    if toolkit is None:
        yield "CUDA", ("none in the closure",)
        return
    yield (
        f"CUDA {toolkit.version}",
        (
            f"nvcc: {toolkit.nvcc}/bin/nvcc",
            f"because {because(toolkit.reasons)}",
            _choice_line("host compiler", inventory.host_compiler),
            _choice_line("ninja", inventory.ninja),
        ),
    )
    yield "include directories", _few(toolkit.include_dirs, full=full)
    yield "library directories", _few(toolkit.library_dirs, full=full)
    yield "stub directories, for linking only", _few(toolkit.stub_dirs, full=full)


def _choice_line(name: str, choice: Choice | HostCompiler | None) -> str:
    return f"{name}: {choice.path}, {choice.reason}" if choice else f"{name}: none"


def _module_lines(report: Report, *, full: bool) -> Iterator[str]:
    return _few(tuple(map(_module_line, report.modules)), full=full)


def _module_line(module: Module) -> str:
    held = ", ".join(f"{found.name} {found.version}" for found in module.distributions)
    place = "" if module.own else " [rest of the closure]"
    return f"{held or '(no distribution)'}{place}  {module.directory}"


def _size_lines(members: Sequence[Member]) -> Iterator[str]:
    if any(member.nar_size is None for member in members):
        yield "sizes are not known: there was no Nix to ask"
        return
    for group, name in _GROUPS.items():
        sizes = [member.nar_size or 0 for member in members if member.group is group]
        yield f"{size_text(sum(sizes))} in {len(sizes)} store paths for {name}"


def _machine_lines(machine: Machine) -> Iterator[str]:
    driver = machine.driver
    yield f"driver: {driver.version or 'none found'}"
    yield from (gpu.description for gpu in driver.gpus)
    if not driver.gpus:
        yield "GPU: none found"
    yield f"libcuda.so.1: {driver.libcuda or 'none found'}"


def _variable_lines(report: Report, *, full: bool) -> Iterator[str]:
    for name, value in report.variables.items():
        if value is None:
            yield f"{name}: unset"
        elif name in report.overridden:
            yield f"{name}={value}  (yours; ours would be {report.overridden[name]})"
        elif full or value.count(":") < _FEW or not value.startswith("/"):
            yield f"{name}={value}"
        else:
            entries = value.split(":")
            yield f"{name}: {len(entries)} entries, the first {entries[0]}"


def _few(lines: Sequence[str], *, full: bool) -> Iterator[str]:
    shown = lines if full or len(lines) <= _FEW + 1 else lines[:_FEW]
    yield from shown
    if len(shown) < len(lines):
        yield f"... and {len(lines) - len(shown)} more"
