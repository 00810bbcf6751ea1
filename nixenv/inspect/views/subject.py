"""One thing of the closure, close up, for a person's eyes."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from nixenv.inspect.subject import Aspect, ObjectFacts, Subject
from nixenv.inspect.views.lines import capture, line, next_lines, section, size_text
from nixenv.inspect.views.why import explanation_lines
from nixenv.text import printable


def show_subject(subject: Subject, *, colour: bool) -> str:
    """Write the description as text."""
    return capture(lambda console: _print_subject(subject, console), colour=colour)


def _print_subject(subject: Subject, console: Console) -> None:
    # First, since they may say that what follows does not hold in this shell.
    for finding in subject.findings:
        title = f"{finding.severity} {finding.code}: {finding.summary}"
        section(
            console,
            title,
            [*(f"  {text}" for text in finding.evidence), *next_lines(finding.remedy)],
        )
    for aspect in subject.aspects:
        _print_aspect(subject.name, aspect, console)
    for facts in subject.objects:
        section(console, facts.path, _object_lines(facts))
    if subject.left_out:
        text = f"{subject.left_out} more store paths match; name one of them more exactly"
        line(console, Text(printable(text)))
    is_code = any(finding.code == subject.name for finding in subject.findings)
    if not subject.aspects and not subject.objects and not is_code:
        section(console, subject.name, ["nothing in the closure is called so"])


def _print_aspect(name: str, aspect: Aspect, console: Console) -> None:
    line(console, Text(printable(f"{aspect.kind} {name}"), style="bold"))
    line(console, Text(f"  decided by {printable(aspect.decided_by)}"))
    has_winner = any(provider.wins for provider in aspect.providers)
    for provider in aspect.providers:
        rank = "wins " if provider.wins else "other" if has_winner else "found"
        told = "; ".join(filter(None, (provider.detail, provider.reason)))
        style = "green" if provider.wins else ""
        line(console, Text.assemble((f"  {rank}  ", style), printable(told)))
        line(console, Text(f"    {printable(provider.path)}"))
        if provider.nar_size is not None:
            line(console, Text(f"    its store object: {size_text(provider.nar_size)}"))
    line(console, Text())


def _object_lines(facts: ObjectFacts) -> Iterator[str]:
    reason, *rest = explanation_lines(facts)
    yield reason
    yield f"group: {facts.group}"
    if facts.holds:
        yield "holds:"
        yield from (f"  {held}" for held in facts.holds)
    yield from rest
