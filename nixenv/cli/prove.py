"""``nixenv prove``."""

import json
import os
import sys

import click

from nixenv.cli.options import binary_argument, selection_of, selection_options
from nixenv.console import emit, patience
from nixenv.prove.proof import prove as run_proof
from nixenv.prove.steps import to_document
from nixenv.prove.view import show_end, show_step


@click.command()
@binary_argument
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for a program.")
def prove(*, as_json: bool, timeout: float | None, **options: str | None) -> None:
    """Do what the JIT compilers do, and say what happened.

    Imports the program, compiles, links and loads a kernel, and runs it on each GPU. What cannot be
    tried here is said to be so. Exits 1 when a step failed.
    """
    selection, waiting = selection_of(options), patience("nixenv", timeout)
    if as_json:
        proof = run_proof(selection, os.environ, patience=waiting)
        emit(json.dumps(to_document(proof), indent=2) + "\n")
    else:
        proof = run_proof(selection, os.environ, lambda step: emit(show_step(step)), waiting)
        emit(show_end(proof))
    if proof.failed:
        sys.exit(1)
