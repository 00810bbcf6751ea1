"""The command line: from options and os.environ to the road, from its results to the streams."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from nixenv import __version__
from nixenv.console import emit, run_program, say
from nixenv.errors import OutputFailed
from nixenv.versions import MINOR_VERSION

# The stations are imported where they are used: each activation waits for this module.
if TYPE_CHECKING:
    from nixenv.distributions import SiteListing
    from nixenv.environment import Environment
    from nixenv.findings import Finding
    from nixenv.road import Material, Selection
    from nixenv.root import Root

# Click wants the choices before the stations are imported; a test holds them to the modules.
SHELL_CHOICES = ("bash", "zsh", "sh", "fish", "tcsh", "json", "dotenv")
LAYOUT_CHOICES = ("store", "linked")


class _Version(click.ParamType[str]):
    name = "X.Y"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not MINOR_VERSION.fullmatch(value):
            self.fail(f"{value!r} is no version X.Y", param, ctx)
        return value


def _selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which program, and which of its closure's choices."""
    decorators = (
        click.argument("binary", required=False),
        click.option("--root", metavar="PATH", help="Take this store path; look nothing up."),
        click.option(
            "--from",
            "snapshot",
            metavar="FILE",
            help="Replay a snapshot; ask neither Nix nor disk.",
        ),
        click.option(
            "--profile",
            metavar="NAME|FILE",
            envvar="NIXENV_PROFILE",
            show_envvar=True,
            help="sglang, vllm, python-cuda or a file.",
        ),
        click.option("--python", type=_Version(), help="The Python version to take."),
        click.option("--cuda", type=_Version(), help="The CUDA version to take."),
        click.option(
            "--cache-dir",
            metavar="DIR",
            help="Where writable directories lie; else $FLOX_ENV_CACHE, else ~/.cache/nixenv.",
        ),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nixenv", message="%(prog)s %(version)s")
def cli() -> None:
    """The Python and CUDA environment of a program in a Nix store.

    BINARY is looked up on PATH; without one, the profile says what to look up.

    \b
    Exit codes: 0 done; 1 any other failure; 2 usage; 3 program not found, not in the
    store, or a root that does not exist; 4 Nix missing or failed.
    """


_layout_option = click.option(
    "--layout",
    type=click.Choice(LAYOUT_CHOICES),
    default="store",
    show_default=True,
    envvar="NIXENV_LAYOUT",
    show_envvar=True,
    help="Where the values point: into the store, or to farms of links in the cache directory.",
)


@cli.command()
@_selection_options
@_layout_option
@click.option(
    "--shell",
    type=click.Choice(SHELL_CHOICES),
    default="bash",
    show_default=True,
    help="What to write.",
)
@click.option("--activation", metavar="FILE", hidden=True, help="For the hook: keep the text.")
def export(shell: str, activation: str | None, **options: str | None) -> None:
    """Write the environment as shell code, to be evaluated: eval "$(nixenv export)"."""
    from nixenv.road import gather, plan

    selection = _selection(options)
    material = gather(selection, os.environ)

    from nixenv.environment import resolve
    from nixenv.inventory import find_ambiguities
    from nixenv.probe import require_complete
    from nixenv.shells import render

    require_complete(material.probe)
    inventory, environment, farms = plan(material, selection, os.environ)
    resolve(environment, os.environ)  # refuses what is too long, whatever the shell
    text = render(environment, shell, os.environ)
    if farms is not None:
        from nixenv.linked.build import build_farms

        build_farms(inventory, farms)
    _pass_on(material.closure.diagnostics)
    for finding in find_ambiguities(inventory):
        say("nixenv", f"{finding.severity}: {finding.summary}\n  next: {finding.remedy}")
    if activation is not None:
        _make_directories(environment)
        _keep(activation, material.root, environment, farms.directories if farms else ())
    emit(text)


@cli.command()
@_selection_options
@_layout_option
@click.option(
    "--json", "as_json", is_flag=True, help="Write JSON (docs/inspect.md), for a program."
)
def inspect(*, as_json: bool, **options: str | None) -> None:
    """Show what was found, why, and what to know about it."""
    from nixenv.report import diagnose, to_document
    from nixenv.road import plan

    selection = _selection(options)
    material, listings = _gather_all(selection)
    inventory, environment, farms = plan(material, selection, os.environ)
    findings: tuple[Finding, ...] = ()
    if farms is not None:
        from nixenv.linked.inspection import inspect_farms

        findings = inspect_farms(farms)
    report = diagnose(
        material.root,
        material.closure,
        material.probe,
        listings,
        inventory,
        environment,
        material.profile,
        os.environ,
        findings,
    )
    _pass_on(material.closure.diagnostics)
    if as_json:
        import json

        emit(json.dumps(to_document(report), indent=2) + "\n")
    else:
        from nixenv.view import show_report

        emit(show_report(report, colour=_is_terminal() and "NO_COLOR" not in os.environ))


@cli.command()
@_selection_options
@click.option("-o", "--output", metavar="FILE", help="Write there instead of to stdout.")
def snapshot(output: str | None, **options: str | None) -> None:
    """Record the closure and what it holds as one JSON file, to replay with --from."""
    from nixenv.snapshot import Snapshot, dump_snapshot

    material, listings = _gather_all(_selection(options))
    taken = Snapshot(material.root.program, material.closure, material.probe, listings)
    text = dump_snapshot(taken)
    _pass_on(material.closure.diagnostics)
    if output in (None, "-"):
        emit(text)
    else:
        from nixenv.files import write_atomically

        write_atomically(output, text, 0o666)


def main() -> NoReturn:
    """Run the command line, and exit with the documented code."""
    run_program("nixenv", cli)


def _selection(options: dict[str, Any]) -> "Selection":
    from nixenv.road import Selection

    return Selection(**options)


def _gather_all(selection: "Selection") -> "tuple[Material, tuple[SiteListing, ...]]":
    from nixenv.distributions import probe_distributions
    from nixenv.road import gather

    material = gather(selection, os.environ)
    listings = material.listings
    return material, probe_distributions(material.probe) if listings is None else listings


def _make_directories(environment: "Environment") -> None:
    """Make them for the hook: in a pod without coreutils the text finds no mkdir."""
    from nixenv.environment import MakeDirectory

    for operation in environment.operations:
        if isinstance(operation, MakeDirectory):
            with contextlib.suppress(OSError):  # the text tries again, and says what is wrong
                os.makedirs(operation.path, exist_ok=True)


def _keep(
    activation: str, root: "Root", environment: "Environment", needs: tuple[str, ...]
) -> None:
    """Keep the text for the hook's next time. That this fails costs the next time only.

    The hook's key comes on stdin: it holds the profile, which may be long, or not for all eyes.
    """
    from nixenv.activation import keep_activation

    key = os.fsdecode(sys.stdin.buffer.read()).rstrip("\n")
    try:
        keep_activation(activation, key, root, environment, needs)
    except OutputFailed as error:
        say("nixenv", f"warning: this activation is not cached: {error}")


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None: it is closed


def _pass_on(diagnostics: str) -> None:
    if diagnostics:
        click.echo(diagnostics, err=True, nl=not diagnostics.endswith("\n"))
