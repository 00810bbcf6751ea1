"""``sglang-serve``: build the server's command from SGLANG_* variables, and become it."""

import os
from collections.abc import Mapping
from typing import NoReturn

import click

from nixenv import __version__
from nixenv.console import emit, run_program
from nixenv.ports import find_port_trouble
from nixenv.sglang.envfile import locate_env_file, read_env_file
from nixenv.sglang.errors import PortUnavailable, ServerNotStarted
from nixenv.sglang.launch import format_command, plan_launch, server_environment
from nixenv.sglang.model import requested_model

PROGRAM = "sglang-serve"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--print-cmd", is_flag=True, help="Write the command to stdout, then run it.")
@click.option("--dry-run", is_flag=True, help="Write the command to stdout, and run nothing.")
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli(*, print_cmd: bool, dry_run: bool) -> None:
    """Serve the model that sglang-resolve-model found.

    The process becomes `pythonX.Y -m sglang.launch_server ...`, so signals reach the
    server. Written commands can be pasted into a shell; API keys in them are masked.
    docs/sglang.md has the variables.

    \b
    Exit codes: 0 done; 1 no usable .env file, no free port, or no interpreter; 2 usage, a
    variable's value included; from then on, the server's own.
    """
    requested = requested_model(os.environ)
    resolution = read_env_file(locate_env_file(requested, os.environ), requested)
    launch = plan_launch(resolution, os.environ)
    if launch.preflight and not dry_run:
        require_free_port(launch.host, launch.port)
    if print_cmd or dry_run:
        emit(f"{format_command(launch.command)}\n")
    if not dry_run:
        become_server(launch.command, server_environment(resolution, os.environ))


def require_free_port(host: str, port: int) -> None:
    """Bind every address of the host as the server will, and let go again.

    Raises:
        PortUnavailable: the server could not listen there.
    """
    trouble = find_port_trouble(host, port)
    if trouble is not None:
        raise PortUnavailable(host, port, trouble.strerror or str(trouble)) from trouble


def become_server(command: tuple[str, ...], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the server: its pid, its streams, its signals.

    Raises:
        ServerNotStarted: the system refuses.
    """
    try:
        os.execvpe(command[0], command, environ)
    except OSError as error:
        raise ServerNotStarted(command[0], error.strerror or str(error)) from error


def main() -> NoReturn:
    """Run sglang-serve."""
    run_program(PROGRAM, lambda: cli(prog_name=PROGRAM))


if __name__ == "__main__":
    main()
