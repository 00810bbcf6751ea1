"""Lines of text for a person's eyes: never wrapped, and with nothing in them that acts."""

import io
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from nixenv.text import printable, split_code


def capture(show: Callable[[Console], None], *, colour: bool) -> str:
    """Give what ``show`` prints, with colours or without."""
    console = Console(file=io.StringIO(), force_terminal=colour, no_color=not colour)
    with console.capture() as captured:
        show(console)
    return captured.get()


def section(console: Console, title: str, lines: Iterable[str]) -> None:
    """Print a title, indented lines and an empty one."""
    line(console, Text(printable(title), style="bold"))
    for text in lines:
        line(console, Text(f"  {printable(text)}"))
    line(console, Text())


def line(console: Console, text: Text) -> None:
    """Print a line as it is: a path must survive copy and paste."""
    console.print(text, soft_wrap=True)


def next_lines(remedy: str) -> tuple[str, ...]:
    """Say what to do next; what is to be pasted at the end has a line of its own.

    >>> next_lines("add to the manifest: `gcc = {}`")
    ('next: add to the manifest:', '  gcc = {}')
    >>> next_lines("`unset CC`")
    ('next: unset CC',)
    """
    *before, (last, is_code) = split_code(remedy) or (("", False),)
    if not is_code:
        return (f"next: {remedy}",) if remedy else ()
    if not before:
        return (f"next: {last}",)
    return (f"next: {remedy[: -len(last) - 2].rstrip()}", f"  {last}")


def size_text(size: int | None) -> str:
    """Write a number of bytes as people count them: ``1.2 GB``."""
    return "size not known" if size is None else decimal(size)
