"""How the programs speak: the result to stdout, all else to stderr, errors to exit codes."""

import os
import sys
from typing import NoReturn

import click

from nixenv.errors import NixenvError, NixError, OutputFailed, RootError, UsageError

# The first class that fits decides.
_EXIT_CODES: tuple[tuple[type[NixenvError], int], ...] = (
    (UsageError, 2),
    (RootError, 3),
    (NixError, 4),
    (NixenvError, 1),
)


def exit_code(error: NixenvError) -> int:
    """Map an error to its documented exit code."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


def run_program(program: str, command: click.Command) -> NoReturn:
    """Run a command line, and exit with the documented code."""
    try:
        command.main(prog_name=program)
    except NixenvError as error:
        say(program, f"error: {error}")
        sys.exit(exit_code(error))
    sys.exit(0)


def say(program: str, text: str) -> None:
    """Tell the user something that is no result."""
    click.echo(f"{program}: {text}", err=True)


def emit(text: str) -> None:
    """Write the result: all of it, once, as the very bytes that it stands for.

    Raises:
        OutputFailed: it cannot be written.
    """
    left = os.fsencode(text)
    try:
        while left:
            left = left[os.write(1, left) :]
    except OSError as error:
        raise OutputFailed("standard output", error.strerror or str(error)) from error
