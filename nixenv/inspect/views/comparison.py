"""What changed between two closures, for a person's eyes."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from nixenv.inspect.comparison import Change, Comparison
from nixenv.inspect.views.lines import capture, line, section, size_text
from nixenv.text import printable

_STYLES = {"+": "green", "-": "red", "~": "yellow"}


def show_comparison(comparison: Comparison, *, colour: bool) -> str:
    """Write the comparison as text: + for added, - for removed, ~ for changed."""
    return capture(lambda console: _print_comparison(comparison, console), colour=colour)


def _print_comparison(comparison: Comparison, console: Console) -> None:
    section(console, "Before", [comparison.roots[0]])
    section(console, "After", [comparison.roots[1]])
    section(console, "Whole", _whole_lines(comparison))
    _print_changes(console, "Python distributions", comparison.distributions)
    _print_changes(console, "CUDA", comparison.components)
    _print_changes(console, "Other store objects", comparison.others)


def _whole_lines(comparison: Comparison) -> Iterator[str]:
    for what, (before, after) in {"Python": comparison.python, "CUDA": comparison.cuda}.items():
        if before == after:
            yield f"{what} {before or 'none'}"
        else:
            yield f"{what} {before or 'none'} -> {after or 'none'}"
    before_members, after_members = comparison.members
    yield f"{before_members} -> {after_members} store paths; {comparison.rebuilt} only rebuilt"
    before_size, after_size = comparison.sizes
    difference = _difference(before_size, after_size)
    yield f"{size_text(before_size)} -> {size_text(after_size)}{difference}"


def _print_changes(console: Console, title: str, changes: Sequence[Change]) -> None:
    line(console, Text(f"{title} ({len(changes)} changed)", style="bold"))
    for change in changes:
        sign = "~" if change.before and change.after else "+" if change.after else "-"
        versions = " -> ".join(
            ", ".join(version or "no version" for version in side)
            for side in (change.before, change.after)
            if side
        )
        difference = _difference(change.size_before, change.size_after)
        told = printable(f"{change.name} {versions}{difference}")
        line(console, Text.assemble((f"  {sign} ", _STYLES[sign]), told))
    line(console, Text())


def _difference(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return ""
    grown = after - before
    return f"  ({'+' if grown >= 0 else '-'}{size_text(abs(grown))})"
