"""Runs a command line that click reads: what click finds wrong in it is told as all else is."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

import click

from nixenv.console import run_program, tell_failure
from nixenv.errors import UsageError


class Misused(UsageError):
    """A command line that click does not take."""

    detail: str
    command: str

    def _texts(self) -> tuple[str, str]:
        return (self.detail, f"`{self.command} --help` lists what it takes")


def run_command_line(program: str, command: click.Command) -> NoReturn:
    """Run a program's command line, and exit with the documented code."""
    as_json = wants_json(sys.argv[1:])

    def run() -> None:
        try:
            command.main(prog_name=program, standalone_mode=False)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context else program
            misused = Misused(_in_words(error.format_message()), path)
            tell_failure(program, misused, error.exit_code, as_json=as_json)
            sys.exit(error.exit_code)

    run_program(program, run, as_json=as_json)


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether a command line asks for JSON, be it one that cannot be read.

    >>> wants_json(["export", "--shell", "json"]), wants_json(["run", "--", "x", "--json"])
    (True, False)
    """
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    shells = (one == "--shell" and two == "json" for one, two in pairwise(own))
    return "--json" in own or "--shell=json" in own or any(shells)


def _in_words(message: str) -> str:
    """Write click's message as ours are: no capital letter, no full stop."""
    return f"{message[:1].lower()}{message[1:].rstrip('.')}"
