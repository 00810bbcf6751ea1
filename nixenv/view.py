"""The report for a person's eyes, with rich: coloured on a terminal, plain when piped."""

import io
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from nixenv.findings import Severity
from nixenv.report import Module, Report

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show_report(report: Report, *, colour: bool) -> str:
    """Write the report as text. Lines are never wrapped: a path must survive copy and paste."""
    console = Console(file=io.StringIO(), force_terminal=colour, no_color=not colour)
    with console.capture() as captured:
        _print_report(report, console)
    return captured.get()


def _print_report(report: Report, console: Console) -> None:
    inventory = report.inventory
    toolkit = inventory.cuda
    _section(console, "Root", [inventory.root, f"found: {report.root.origin}"])
    _section(console, "Closure", [f"{report.members} store paths", f"source: {report.source}"])
    interpreter = inventory.interpreter
    _section(
        console,
        f"Python {interpreter.version}",
        [interpreter.executable, f"because {interpreter.reason}"],
    )
    _section(
        console,
        f"site-packages ({len(report.modules)} directories, first wins)",
        map(_module_line, report.modules),
    )
    if toolkit is None:
        _section(console, "CUDA", ["none in the closure"])
    else:
        _section(console, f"CUDA {toolkit.version}", [f"nvcc: {toolkit.nvcc}/bin/nvcc"])
        _section(console, "include directories", toolkit.include_dirs)
        _section(console, "library directories", toolkit.library_dirs)
        _section(console, "stub directories (for linking only)", toolkit.stub_dirs)
    tools = {"host compiler": inventory.host_compiler, "ninja": inventory.ninja}
    _section(console, "Build tools", [f"{name}: {path or 'none'}" for name, path in tools.items()])
    _section(
        console,
        f"Variables (profile {report.profile})",
        (
            f"{name}: unset" if value is None else f"{name}={value}"
            for name, value in report.variables.items()
        ),
    )
    _print_findings(report, console)


def printable(text: str) -> str:
    """Show what could move the cursor or be no text at all as escapes, line breaks included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _section(console: Console, title: str, lines: Iterable[str]) -> None:
    _line(console, Text(printable(title), style="bold"))
    for line in lines:
        _line(console, Text(f"  {printable(line)}"))
    _line(console, Text())


def _module_line(module: Module) -> str:
    held = ", ".join(f"{found.name} {found.version}" for found in module.distributions)
    origin = "" if module.own else "  [rest of the closure]"
    return f"{held or '(no distribution)'}{origin}  {module.directory}"


def _print_findings(report: Report, console: Console) -> None:
    _line(console, Text(f"Findings ({len(report.findings)})", style="bold"))
    for finding in report.findings:
        head = Text(f"  {finding.severity}", style=_STYLES[finding.severity])
        _line(console, head.append(f" {finding.code}: {printable(finding.summary)}", style="none"))
        for path in finding.evidence:
            _line(console, Text(f"      {printable(path)}"))
        if finding.remedy:
            _line(console, Text(f"    next: {printable(finding.remedy)}"))


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
