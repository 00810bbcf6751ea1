"""``nixenv explain``."""

import click

from nixenv.console import emit
from nixenv.inspect.diagnosis.table import find_code, load_table, render_list, render_meaning


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Say what a finding means, how it is found out and what cures it.

    CODE is the finding's name, as `inspect` shows it; without one, all of them are listed.
    """
    table = load_table()
    emit(render_list(table) if code is None else render_meaning(table, find_code(code)))
