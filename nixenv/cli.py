"""The command line: from options and os.environ to the road, from its results to the streams."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from nixenv import __version__
from nixenv.console import emit, pass_on, run_program, say_findings
from nixenv.road import LAYOUTS
from nixenv.versions import MINOR_VERSION

# The stations are imported where they are used: each activation waits for this module.
if TYPE_CHECKING:
    from nixenv.distributions import SiteListing
    from nixenv.findings import Finding
    from nixenv.road import Material, Selection

# Click wants the choices before the stations are imported; a test holds them to the modules.
SHELL_CHOICES = ("bash", "zsh", "sh", "fish", "tcsh", "json", "dotenv")


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
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
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
def export(shell: str, **options: str | None) -> None:
    """Write the environment as shell code, to be evaluated: eval "$(nixenv export)"."""
    from nixenv import road

    exported = road.export(_selection(options), shell, os.environ)
    pass_on(exported.material.closure.diagnostics)
    say_findings("nixenv", exported.findings)
    emit(exported.text)


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
    pass_on(material.closure.diagnostics)
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
    pass_on(material.closure.diagnostics)
    if output in (None, "-"):
        emit(text)
    else:
        from nixenv.files import write_atomically

        write_atomically(output, text, 0o666)


def main() -> NoReturn:
    """Run the command line, and exit with the documented code."""
    run_program("nixenv", lambda: cli(prog_name="nixenv"))


def _selection(options: dict[str, Any]) -> "Selection":
    from nixenv.road import Selection

    return Selection(**options)


def _gather_all(selection: "Selection") -> "tuple[Material, tuple[SiteListing, ...]]":
    from nixenv.distributions import probe_distributions
    from nixenv.road import gather

    material = gather(selection, os.environ)
    listings = material.listings
    return material, probe_distributions(material.probe) if listings is None else listings


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None: it is closed
