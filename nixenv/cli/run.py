"""``nixenv run``: start a command in the environment, without a shell."""

import errno
import os
import signal
import sys
from typing import NoReturn

import click

from nixenv import request
from nixenv.cli.options import binary_argument, selection_of, selection_options
from nixenv.console import name_failure, patience, say, say_findings, tell_failure
from nixenv.process import Patience
from nixenv.road.plan import apply

# As env(1) and the shells have them.
_OWN_FAILURE = 125
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


class _RunMisused(click.UsageError):
    exit_code = _OWN_FAILURE


class _Run(click.Command):
    """What follows the first ``--`` is the command's; an error in what precedes it is ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        place = args.index("--") if "--" in args else len(args)
        try:
            left = super().parse_args(ctx, args[:place])
        except click.UsageError as error:
            message = error.format_message().rstrip(".")
            if place == len(args):
                message += "; the command is written behind `--`"
            raise _RunMisused(message, ctx) from error
        ctx.obj = args[place + 1 :]
        if not ctx.obj:
            raise _RunMisused("no command: write it behind `--`", ctx)
        return left

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARGUMENT...]"]


@click.command(cls=_Run)
@binary_argument
@selection_options
@click.pass_obj
def run(command: list[str], /, timeout: float | None, **options: str | None) -> NoReturn:
    """Run a command in the environment, such as: nixenv run -- python3 -m sglang.launch_server.

    No shell reads the command, and it takes nixenv's place: its signals and its exit status
    are its own. 125: nixenv itself failed, and nothing was started; 126: the command cannot be
    executed; 127: there is no such command.
    """
    try:
        environ = _prepare(options, patience("nixenv", timeout))
    except Exception as error:  # noqa: BLE001 -- as `run_program` has it
        tell_failure("nixenv", name_failure(error), _OWN_FAILURE)
        sys.exit(_OWN_FAILURE)
    _become(command, environ)


def _prepare(options: dict[str, str | None], waiting: Patience) -> dict[str, str]:
    prepared = request.prepare(selection_of(options), os.environ, waiting)
    say_findings("nixenv", prepared.findings)
    request.build(prepared, waiting)
    request.make_directories(prepared.environment)
    return apply(prepared.environment, os.environ)


def _become(command: list[str], environ: dict[str, str]) -> NoReturn:
    # Python ignores these two for itself; a program expects to die of them.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        _execute(command, environ)
    except OSError as error:
        say("nixenv", f"error: {command[0]!r} cannot be run: {error.strerror or error}")
        sys.exit(_NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE)


def _execute(command: list[str], environ: dict[str, str]) -> NoReturn:
    if not command[0]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        os.execvpe(command[0], command, environ)
    except OSError as error:
        if error.errno != errno.ENOEXEC or not error.filename:
            raise
        # A script without a first line that names its interpreter, which execvp(3) gives to sh.
        os.execve("/bin/sh", ["/bin/sh", error.filename, *command[1:]], environ)
