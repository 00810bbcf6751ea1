"""The tools that JIT compilers start from PATH, CC and CXX: whether they start at all."""

import shlex
from collections.abc import Iterator, Mapping

from attrs import frozen

from nixenv.process import Outcome, Patience, describe_status, run
from nixenv.road.root import find_executable

# Seconds, and bytes: a compiler that has not told its version by then does not compile either.
_PATIENCE = 5.0
_LONGEST_ANSWER = 1 << 16

_SHOWN = 200


@frozen
class ToolState:
    """A tool, as the shell would find it.

    Attributes:
        name: ``ninja``, or the variable that names a compiler, ``CC`` or ``CXX``.
        command: Its path; what the variable holds, where that leads to no program.
        problem: Why it does not start, in the system's or its own words; empty when it does.
    """

    name: str
    command: str
    problem: str = ""


def try_tools(environ: Mapping[str, str]) -> Iterator[ToolState]:
    """Ask ninja and both compilers for their versions; those that nobody named may be missing."""
    for name, default in (("ninja", "ninja"), ("CC", "gcc"), ("CXX", "c++")):
        given = environ.get(name, "") if name != default else ""
        words = _split(given or default)
        found = find_executable(words[0], environ.get("PATH", "")) if words else None
        if found is not None:
            yield ToolState(name, found, _ask(found, environ))
        elif given:
            yield ToolState(name, given, "there is no such program")


def ask_version(program: str, environ: Mapping[str, str]) -> Outcome:
    """Have a program tell its version, or time out.

    Raises:
        OSError, ValueError: it cannot be started.
    """
    return run((program, "--version"), environ, _LONGEST_ANSWER, Patience(_PATIENCE))


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark without its other half
        return command.split()


def _ask(program: str, environ: Mapping[str, str]) -> str:
    try:
        outcome = ask_version(program, environ)
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error))[:_SHOWN]
    if outcome.status == 0:
        return ""
    words = outcome.stderr.strip().splitlines() or [outcome.cut.value if outcome.cut else ""]
    return f"{describe_status(outcome.status)}: {words[-1]}"[:_SHOWN].rstrip(": ")
