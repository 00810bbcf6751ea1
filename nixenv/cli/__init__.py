"""The command line: from options and os.environ to the road, from its results to the streams."""

import sys
from importlib import import_module
from typing import NoReturn

import click

from nixenv import __version__
from nixenv.commandline import run_command_line
from nixenv.console import pass_on
from nixenv.text import suggest

COMMANDS = ("export", "run", "prove", "inspect", "explain", "snapshot")
"""The commands, each of them in the module of its name."""


class _Commands(click.Group):
    """Imports a command when it is given: ``export`` has no use for what ``inspect`` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"nixenv.cli.{cmd_name}"), cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            # By itself click writes this to one stream or the other, by its version.
            pass_on(f"{ctx.get_help()}\n")
            sys.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            known = f"there are {', '.join(COMMANDS)}"
            ctx.fail(f"no command {name!r}{suggest(name, COMMANDS) or f': {known}'}")
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nixenv", message="%(prog)s %(version)s")
def cli() -> None:
    """The Python and CUDA environment of a program in a Nix store.

    BINARY is looked up on PATH; without one, the profile says what to look up.

    \b
    Exit codes: 0 done; 1 any other failure, and `inspect --check` with an error
    finding; 2 usage; 3 program not found, not in the store, or a root that does not
    exist; 4 Nix missing, failed or out of time.
    """


def main() -> NoReturn:
    """Run the command line, and exit with the documented code."""
    run_command_line("nixenv", cli)
