"""``sglang-serve``: build the server's command from SGLANG_* variables, and become it."""

import os
from collections.abc import Mapping
from typing import NoReturn

import click

from nixenv import __version__
from nixenv.commandline import run_command_line
from nixenv.console import emit
from nixenv.errors import NixenvError
from nixenv.ports import find_port_trouble
from nixenv.sglang.arguments import format_command
from nixenv.sglang.envfile import locate_env_file, read_env_file
from nixenv.sglang.launch import plan_launch, server_environment
from nixenv.sglang.model import Resolution, requested_model

PROGRAM = "sglang-serve"


class PortUnavailable(NixenvError):
    """The server could not listen where it is told to."""

    host: str
    port: int
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"port {self.port} of {self.host} cannot be listened on: {self.detail}",
            f"`ss -ltnp 'sport = :{self.port}'` shows who has it; "
            "stop that, or set SGLANG_PORT or SGLANG_HOST to another",
        )


class ServerNotStarted(NixenvError):
    """The system would not start the interpreter."""

    program: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.program} could not be started: {self.detail}",
            "activate the environment that holds SGLang (`nixenv inspect sglang` shows its "
            "interpreter), or set SGLANG_PYTHON to that interpreter",
        )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--print-cmd", is_flag=True, help="Write the command to stdout, then run it.")
@click.option("--dry-run", is_flag=True, help="Write the command to stdout, and run nothing.")
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli(*, print_cmd: bool, dry_run: bool) -> None:
    """Serve the model that sglang-resolve-model found; --dry-run finds it by itself.

    The process becomes `pythonX.Y -m sglang.launch_server ...`, so signals reach the
    server. Written commands can be pasted into a shell; API keys in them are masked.

    Variables that become flags of the server: SGLANG_MODEL, SGLANG_HOST, SGLANG_PORT,
    SGLANG_SERVED_NAME, SGLANG_PREFERRED_SAMPLING_PARAMS (JSON), SGLANG_ATTENTION_BACKEND,
    SGLANG_DTYPE, SGLANG_TP_SIZE, SGLANG_DISABLE_CUDA_GRAPH (1 or 0), SGLANG_NNODES,
    SGLANG_NODE_RANK, SGLANG_DIST_INIT_ADDR, SGLANG_API_KEY_FILE (a file), and SGLANG_EXTRA_ARGS
    (any other flags). SGLANG_PREFLIGHT=1 sees first that the port is free; SGLANG_PYTHON is the
    interpreter, SGLANG_MODEL_ENV_FILE the .env file.

    \b
    Exit codes: 0 done; 1 no usable .env file, no free port, or no interpreter; 2 usage, a
    variable's value included; from then on, the server's own.
    """
    resolution = find_resolution(os.environ, dry_run=dry_run)
    launch = plan_launch(resolution, os.environ)
    if launch.preflight and not dry_run:
        require_free_port(launch.host, launch.port)
    if print_cmd or dry_run:
        emit(f"{format_command(launch.command)}\n")
    if not dry_run:
        become_server(launch.command, server_environment(resolution, os.environ))


def find_resolution(environ: Mapping[str, str], *, dry_run: bool) -> Resolution:
    """Read what sglang-resolve-model left; where it left nothing, a dry run finds it by itself.

    Raises:
        EnvFileUnusable: there is no usable file.
        NixenvError: as `resolve_model` does.
    """
    requested = requested_model(environ)
    file = locate_env_file(requested, environ)
    if dry_run and not os.path.lexists(file):
        from nixenv.sglang.resolving import resolve_model  # noqa: PLC0415 -- a server does without

        return resolve_model(environ).resolution
    return read_env_file(file, requested)


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
    run_command_line(PROGRAM, cli)


if __name__ == "__main__":
    main()
