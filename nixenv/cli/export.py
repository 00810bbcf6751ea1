"""``nixenv export``."""

import os

import click

from nixenv import request
from nixenv.cli.options import binary_argument, selection_of, selection_options
from nixenv.console import emit, patience, say_findings
from nixenv.shells import SHELLS


@click.command()
@binary_argument
@selection_options
@click.option(
    "--shell",
    type=click.Choice(SHELLS),
    default="bash",
    show_default=True,
    help="What to write.",
)
def export(shell: str, timeout: float | None, **options: str | None) -> None:
    """Write the environment as shell code, to be evaluated: e=$(nixenv export) && eval "$e"."""
    waiting = patience("nixenv", timeout)
    text, prepared = request.export(selection_of(options), shell, os.environ, waiting)
    say_findings("nixenv", prepared.findings)
    emit(text)
