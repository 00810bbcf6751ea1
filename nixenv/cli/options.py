"""The options that several commands have."""

import os
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nixenv.places import Layout
from nixenv.process import parse_limit
from nixenv.request import Selection, list_inherited_settings
from nixenv.road.profile import BUILT_IN
from nixenv.text import mask_urls
from nixenv.versions import MINOR_VERSION, PYTHON_VERSION

if TYPE_CHECKING:
    import re

    from click.shell_completion import CompletionItem

Command = Callable[..., None]


def _version(pattern: "re.Pattern[str]") -> Callable[..., str | None]:
    """Check a version where it is given. ParamType takes a type argument in later clicks alone."""

    def check(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value is not None and not pattern.fullmatch(value):
            raise click.BadParameter(f"{value!r} is not a version (expected X.Y)")
        return value

    return check


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else parse_limit(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def complete_files(
    _ctx: click.Context, _param: click.Parameter, typed: str
) -> "list[CompletionItem]":
    """Have the shell complete a file's name."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 -- when Tab is pressed

    return [CompletionItem(typed, type="file")]


def _complete_profiles(
    ctx: click.Context, param: click.Parameter, typed: str
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem  # noqa: PLC0415 -- when Tab is pressed

    named = [CompletionItem(name) for name in BUILT_IN if name.startswith(typed)]
    return named or complete_files(ctx, param, typed)


def selection_options(command: Command) -> Command:
    """Add the options that say which closure, and which of its choices."""
    decorators = (
        click.option(
            "--root",
            metavar="PATH",
            shell_complete=complete_files,
            envvar="NIXENV_ROOT",
            show_envvar=True,
            help="Take this store path, or what this link leads to, such as $FLOX_ENV.",
        ),
        click.option(
            "--from",
            "snapshot",
            metavar="FILE",
            shell_complete=complete_files,
            help="Replay a snapshot; ask neither Nix nor disk.",
        ),
        click.option(
            "--profile",
            metavar="NAME|FILE",
            shell_complete=_complete_profiles,
            envvar="NIXENV_PROFILE",
            show_envvar=True,
            help=f"One of {', '.join(BUILT_IN)}, or a file.",
        ),
        click.option(
            "--python",
            metavar="X.Y",
            callback=_version(PYTHON_VERSION),
            help="The Python version to take; 3.13t is a free-threaded one.",
        ),
        click.option(
            "--cuda",
            metavar="X.Y",
            callback=_version(MINOR_VERSION),
            help="The CUDA version to take.",
        ),
        click.option(
            "--cache-dir",
            metavar="DIR",
            shell_complete=complete_files,
            help="Where writable directories lie; else $FLOX_ENV_CACHE, else ~/.cache/nixenv.",
        ),
        click.option(
            "--layout",
            type=click.Choice([layout.value for layout in Layout]),
            envvar="NIXENV_LAYOUT",
            show_envvar=True,
            help="Where the values point: into the store (unless the profile says otherwise), or "
            "to farms of links in the cache directory.",
        ),
        click.option(
            "--timeout",
            metavar="SECONDS",
            callback=_seconds,
            envvar="NIXENV_TIMEOUT",
            show_envvar=True,
            help="How long to wait for Nix, or for another nixenv; as long as it takes, unless "
            "given (inspect: 10).",
        ),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def binary_argument(command: Command) -> Command:
    """Add the program to look up."""
    return click.argument("binary", required=False)(command)


def selection_of(options: dict[str, Any]) -> Selection:
    """Make the request of the options, without what another environment's variables say.

    A snapshot has its own root: that of the environment is for live requests.
    """
    source = click.get_current_context().get_parameter_source
    inherited = list_inherited_settings(os.environ)
    foreign = {
        name
        for name in options
        if source(name) is ParameterSource.ENVIRONMENT and f"NIXENV_{name.upper()}" in inherited
    }
    if options["snapshot"] and source("root") is ParameterSource.ENVIRONMENT:
        foreign.add("root")
    return Selection(**{name: None if name in foreign else options[name] for name in options})


def typed_command() -> str:
    """Write the command as it was typed, for what is read later and elsewhere."""
    return mask_urls(shlex.join(["nixenv", *sys.argv[1:]]))
