"""``nixenv inspect``."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click
from attrs import evolve

from nixenv.cli.options import complete_files, selection_of, selection_options, typed_command
from nixenv.console import emit, patience, say
from nixenv.errors import NixError, RootError
from nixenv.evidence.graph import ReferencesUnknown
from nixenv.evidence.occasion import note_occasion
from nixenv.files import write_atomically
from nixenv.inspect.comparison import Inspected, compare
from nixenv.inspect.examination import Examination, examine
from nixenv.inspect.page.render import render_page
from nixenv.inspect.report import Report, Verdict, to_document
from nixenv.inspect.subject import describe_subject
from nixenv.inspect.survey import STAGES, Survey, look
from nixenv.inspect.views.comparison import show_comparison
from nixenv.inspect.views.progress import show_progress
from nixenv.inspect.views.report import show_report
from nixenv.inspect.views.subject import show_subject
from nixenv.inspect.views.why import show_presence
from nixenv.inspect.why import explain_presence
from nixenv.places import find_store_dir
from nixenv.process import Patience
from nixenv.request import (
    Material,
    NothingSelected,
    Selection,
    SelectionContradicts,
    find_root,
    gather,
    search_path,
)
from nixenv.road.root import Root, find_program_root
from nixenv.storepath import enclosing_store_path

# Seconds. Whoever looks for what is wrong is not to wait for it without end.
_PATIENCE = 10.0


@click.command(epilog="`nixenv explain CODE` says what a finding means and how it is fixed.")
@click.argument("names", nargs=-1, metavar="[BINARY] [NAME]")
@selection_options
@click.option("--why", metavar="NAME", help="Why a store path or distribution is in the closure.")
@click.option(
    "--diff",
    nargs=2,
    metavar="A B",
    help="What changed between two roots or snapshots.",
)
@click.option(
    "--html",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write the report as one page, for a browser.",
)
@click.option("--all", "full", is_flag=True, help="List everything, instead of a few of each kind.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for a program.")
@click.option(
    "--no-machine",
    "without_machine",
    is_flag=True,
    help="Leave the machine out, and its name: for a report that others will read.",
)
@click.option("--check", is_flag=True, help="Exit 1 if there is a finding of severity error.")
def inspect(
    names: tuple[str, ...],
    *,
    why: str | None,
    diff: tuple[str, str] | None,
    html: str | None,
    full: bool,
    as_json: bool,
    check: bool,
    without_machine: bool,
    timeout: float | None,
    **options: str | None,
) -> None:
    """Find out what is wrong with an environment.

    BINARY is a program of the store that PATH finds; NAME is anything in its closure, to
    look at it more closely: a distribution, module, header, library, program or store path.
    """
    if len(names) > 2:
        raise click.UsageError("one BINARY and one NAME are all that it takes")
    _refuse_two({"NAME": names or None, "--diff": diff})
    _refuse_two({"--why": why, "--diff": diff, "--html": html})
    _refuse_two({"--html": html, "--json": as_json or None})
    _refuse_two({"--diff": diff, "--check": check or None})
    waiting = patience("nixenv", _PATIENCE if timeout is None else timeout)
    if diff is not None:
        _show_difference(diff, options, waiting, as_json=as_json)
        return
    examine_it = partial(
        _examine,
        options,
        waiting,
        with_machine=not without_machine,
        with_sizes=html is not None or (as_json and why is None),
    )
    name, examined = _examine_names(names, options, waiting, examine_it)
    _refuse_two({"NAME": name, "--why": why, "--html": html})
    if name is not None:
        _show_subject(name, examined, as_json=as_json)
    elif why is not None:
        _show_presence(why, examined, as_json=as_json)
    else:
        made = note_occasion(
            typed_command(),
            os.environ,
            with_host=not without_machine,
            with_nix=options["snapshot"] is None,
        )
        report = evolve(examined.report, made=made)
        _show_report(report, html, full=full, as_json=as_json)
    if check and examined.report.verdict is Verdict.BROKEN:
        sys.exit(1)


def _refuse_two(modes: Mapping[str, object]) -> None:
    given = [mode for mode, value in modes.items() if value is not None]
    if len(given) > 1:
        raise SelectionContradicts(f"{given[0]} and {given[1]} are two questions")


def _examine_names(
    names: tuple[str, ...],
    options: Mapping[str, str | None],
    waiting: Patience,
    examine_it: Callable[..., Examination],
) -> tuple[str | None, Examination]:
    """Say which of the names is NAME, and examine what the other, or none, stands for."""
    if not names:
        return None, examine_it()
    if len(names) == 2:
        return names[1], examine_it(names[0])
    (name,) = names
    if options["snapshot"] is not None:
        examined = examine_it()
        return (None if name == examined.report.root.program else name), examined
    is_binary, binary, gathered = _tell_apart(name, options, waiting)
    return (None if is_binary else name), examine_it(binary, gathered)


def _tell_apart(
    name: str, options: Mapping[str, str | None], waiting: Patience
) -> tuple[bool, str | None, Material | None]:
    """Say whether a name alone is BINARY, which BINARY is meant, and what of it is known already.

    Where a root is named, it is BINARY if it is a program of that. Else it is NAME, unless it is a
    program of the store that is no part of the closure which would be looked at without it: an
    activated environment has the programs of its closure on PATH.
    """
    program = _find_program(name) if _may_be_program(name) else None
    selection = selection_of({**options, "binary": None})
    try:
        root, _ = find_root(selection, os.environ)
    except (RootError, NothingSelected):
        return True, name, None  # which fails as well, or is what was meant
    if root.named is not None:
        is_there = "/" not in name and os.path.lexists(f"{root.path}/bin/{name}")
        return is_there, name if is_there else None, None
    if name == root.program or (program and program.path == root.path):
        return True, None, None
    if program is None:
        return False, None, None
    try:
        gathered = gather(selection, os.environ, waiting)
    except NixError:
        return True, name, None
    is_inside = program.path in gathered.closure.paths
    return (False, None, gathered) if is_inside else (True, name, None)


def _may_be_program(name: str) -> bool:
    """A library, named by its path, may be executable as well."""
    return "/" not in name or os.path.basename(os.path.dirname(os.path.abspath(name))) == "bin"


def _find_program(name: str) -> Root | None:
    try:
        return find_program_root(name, search_path(os.environ), find_store_dir(os.environ))
    except RootError:
        return None


def _examine(
    options: Mapping[str, str | None],
    waiting: Patience,
    binary: str | None = None,
    gathered: Material | None = None,
    *,
    with_machine: bool,
    with_sizes: bool,
) -> Examination:
    selection = selection_of({**options, "binary": binary})
    with show_progress(STAGES, is_shown=sys.stderr is not None and sys.stderr.isatty()) as step:
        return examine(
            selection,
            os.environ,
            step,
            waiting,
            gathered=gathered,
            with_machine=with_machine,
            with_sizes=with_sizes,
        )


def _show_report(report: Report, html: str | None, *, full: bool, as_json: bool) -> None:
    if html is not None:
        _write_page(html, render_page(report))
    elif as_json:
        _emit_json(report)
    else:
        emit(show_report(report, colour=_has_colour(), full=full))


def _show_subject(name: str, examined: Examination, *, as_json: bool) -> None:
    seen = _survey_of(examined)
    subject = describe_subject(
        name,
        seen.material.closure,
        seen.material.probe,
        seen.contents,
        seen.inventory,
        machine=seen.machine,
        findings=examined.report.findings,
    )
    _show(subject, show_subject, as_json=as_json)


def _show_presence(name: str, examined: Examination, *, as_json: bool) -> None:
    seen = _survey_of(examined)
    if seen.contents.graph is None:
        raise ReferencesUnknown(seen.material.closure.source)
    root = seen.material.root.path
    presence = explain_presence(name, seen.contents.graph, root, seen.contents.sites)
    _show(presence, show_presence, as_json=as_json)


def _show_difference(
    sides: tuple[str, str],
    options: Mapping[str, str | None],
    waiting: Patience,
    *,
    as_json: bool,
) -> None:
    before, after = (_inspected(side, options, waiting) for side in sides)
    _show(compare(before, after), show_comparison, as_json=as_json)


def _inspected(side: str, options: Mapping[str, str | None], waiting: Patience) -> Inspected:
    """Look at one side of a comparison: a snapshot's file, or a store path or a link to one."""
    if options["root"] is not None or options["snapshot"] is not None:
        raise SelectionContradicts("--diff names both sides itself")
    seen = look(_select_side(side, options), os.environ, patience=waiting, with_machine=False)
    material = seen.material
    return Inspected(material.closure, material.probe, seen.contents, seen.inventory)


def _select_side(side: str, options: Mapping[str, str | None]) -> Selection:
    store_dir = find_store_dir(os.environ)
    is_stored = enclosing_store_path(os.path.realpath(side), store_dir) is not None
    if os.path.isfile(side) and not is_stored:
        return selection_of({**options, "binary": None, "snapshot": side})
    # An environment, such as $FLOX_ENV, has the program in its bin.
    within = {**os.environ, "PATH": os.path.abspath(os.path.join(side, "bin"))}
    selection = selection_of({**options, "binary": None})
    try:
        root, _ = find_root(selection, within)
    except (RootError, NothingSelected):
        return selection._replace(root=side)
    return selection._replace(root=root.path)


def _survey_of(examined: Examination) -> Survey:
    if examined.survey is None:
        raise examined.error or ReferencesUnknown(examined.report.root.path)
    return examined.survey


def _show(value: Any, show: Callable[..., str], *, as_json: bool) -> None:
    if as_json:
        _emit_json(value)
    else:
        emit(show(value, colour=_has_colour()))


def _write_page(file: str, page: str) -> None:
    if file == "-":
        emit(page)
        return
    write_atomically(file, page, 0o666)
    say("nixenv", f"wrote {file}")


def _emit_json(answer: object) -> None:
    emit(json.dumps(to_document(answer), indent=2) + "\n")


def _has_colour() -> bool:
    # sys.stdout is None where it is closed.
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and "NO_COLOR" not in os.environ
