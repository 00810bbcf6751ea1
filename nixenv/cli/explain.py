"""``nixenv explain``."""

import click

from nixenv.console import emit
from nixenv.findings import Code
from nixenv.inspect.diagnosis.table import find_code, load_table, render_list, render_meaning


def _complete_codes(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    return [code for code in Code if code.startswith(typed)]


@click.command()
@click.argument("code", required=False, shell_complete=_complete_codes)
def explain(code: str | None) -> None:
    """Say what a finding means, how it is found out and what cures it.

    CODE is the finding's name, as `inspect` shows it; without one, all of them are listed.
    """
    table = load_table()
    emit(render_list(table) if code is None else render_meaning(table, find_code(code)))
