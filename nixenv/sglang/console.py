"""How both programs speak: the result to stdout, all else to stderr, errors to exit codes."""

import os
import sys
from typing import NoReturn

import click

from nixenv.cli import exit_code
from nixenv.errors import NixenvError, OutputFailed


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


def emit(line: str) -> None:
    """Write the result as the very bytes that it stands for.

    Raises:
        OutputFailed: it cannot be written.
    """
    try:
        click.echo(os.fsencode(line))
    except OSError as error:
        raise OutputFailed("standard output", error.strerror or str(error)) from error
