"""``nixenv snapshot``."""

import os

import click

from nixenv.cli.options import (
    binary_argument,
    complete_files,
    selection_of,
    selection_options,
    typed_command,
)
from nixenv.console import emit, patience
from nixenv.files import write_atomically
from nixenv.inspect.recording import take_snapshot
from nixenv.snapshot import dump_snapshot


@click.command()
@binary_argument
@selection_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write there instead of to stdout.",
)
@click.option(
    "--machine/--no-machine",
    default=True,
    show_default=True,
    help="Record the machine as well: GPU, driver, and the variables that matter.",
)
def snapshot(
    output: str | None, timeout: float | None, *, machine: bool, **options: str | None
) -> None:
    """Record the closure and what it holds as one JSON file, to replay with --from."""
    waiting = patience("nixenv", timeout)
    taken = take_snapshot(
        selection_of(options),
        os.environ,
        waiting,
        with_machine=machine,
        command=typed_command(),
    )
    text = dump_snapshot(taken)
    if output in (None, "-"):
        emit(text)
    else:
        write_atomically(output, text, 0o666)
