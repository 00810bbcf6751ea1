"""What becomes of LD_PRELOAD when a program of the closure starts: asked by starting one."""

import re
from collections.abc import Mapping

from attrs import frozen

from nixenv.evidence.tools import ask_version
from nixenv.process import Outcome, describe_status

_SHOWN = 200

# glibc's loader, elf/rtld.c. That of musl says nothing, and ends.
_REFUSAL = re.compile(
    r"ld\.so: object '(?P<file>.+)' from LD_PRELOAD cannot be preloaded \((?P<reason>.+)\): ignored"
)


@frozen
class Refusal:
    """A file in LD_PRELOAD that the loader does not load, while the program goes on without it.

    Attributes:
        file: What LD_PRELOAD names.
        reason: Why it is not loaded, in the loader's words.
    """

    file: str
    reason: str


@frozen
class Preloads:
    """What becomes of LD_PRELOAD.

    Attributes:
        refused: What is not loaded.
        failure: Why no program starts with it; empty when they do.
    """

    refused: tuple[Refusal, ...] = ()
    failure: str = ""


def try_preloads(environ: Mapping[str, str], program: str) -> Preloads:
    """Have a program tell its version, with LD_PRELOAD and, where that fails, without.

    Args:
        environ: The variables.
        program: The closure's interpreter, say: whose loader is asked.
    """
    if not environ.get("LD_PRELOAD"):
        return Preloads()
    outcome = _start(environ, program)
    if outcome is None or outcome.status == 0:
        return Preloads(parse_refusals(outcome.stderr) if outcome else ())
    without = _start({**environ, "LD_PRELOAD": ""}, program)
    if without is None or without.status != 0:
        return Preloads()  # it is not for LD_PRELOAD that it fails
    words = outcome.stderr.strip().splitlines() or [describe_status(outcome.status)]
    return Preloads(failure=words[-1][:_SHOWN])


def parse_refusals(text: str) -> tuple[Refusal, ...]:
    """Read off what a program wrote to stderr what its loader left out. Pure.

    >>> parse_refusals(
    ...     "ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded "
    ...     "(cannot open shared object file): ignored."
    ... )
    (Refusal(file='/x.so', reason='cannot open shared object file'),)
    """
    # A wrapper and what it starts say it each.
    found = (Refusal(m["file"], m["reason"]) for m in _REFUSAL.finditer(text))
    return tuple(dict.fromkeys(found))


def _start(environ: Mapping[str, str], program: str) -> Outcome | None:
    try:
        return ask_version(program, environ)
    except (OSError, ValueError):
        return None
