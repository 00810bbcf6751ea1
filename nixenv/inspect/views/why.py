"""Why something is in the closure, for a person's eyes."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from nixenv.inspect.views.lines import capture, line, section, size_text
from nixenv.inspect.why import Explanation, Presence
from nixenv.text import printable


def show_presence(presence: Presence, *, colour: bool) -> str:
    """Write the explanations as text."""
    return capture(lambda console: _print_presence(presence, console), colour=colour)


def _print_presence(presence: Presence, console: Console) -> None:
    for explanation in presence.explanations:
        section(console, explanation.path, explanation_lines(explanation))
    if presence.left_out:
        text = f"{presence.left_out} more store paths match; name one of them more exactly"
        line(console, Text(printable(text)))


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Say why a store object is in the closure, and what it takes."""
    yield f"meant, because {explanation.reason}"
    if explanation.nar_size is None:
        yield "size and references not known: there was no Nix to ask"
        return
    own, whole = size_text(explanation.nar_size), size_text(explanation.closure_size)
    yield f"{own}; {whole} with all that it needs"
    if len(explanation.chain) == 1:
        yield "it is the root"
    elif explanation.chain:
        yield "shortest chain from the root:"
        yield f"     {explanation.chain[0]}"
        yield from (f"  -> {path}" for path in explanation.chain[1:])
    else:
        yield "nothing leads from the root to it"
    if explanation.referrers:
        yield f"direct referrers ({len(explanation.referrers)}):"
        yield from (f"  {path}" for path in explanation.referrers)
