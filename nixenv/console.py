"""How the programs speak: the result to stdout, all else to stderr, errors to exit codes."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn

from nixenv.errors import NixenvError, NixError, OutputFailed, RootError, UsageError
from nixenv.process import DEADLY_SIGNALS, REMIND_AFTER, Patience

if TYPE_CHECKING:
    from nixenv.findings import Finding

# The first class that fits decides.
_EXIT_CODES: tuple[tuple[type[NixenvError], int], ...] = (
    (UsageError, 2),
    (RootError, 3),
    (NixError, 4),
    (NixenvError, 1),
)


class Terminated(BaseException):
    """A signal says that this program is to end; whatever is under way is undone on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def die_of_signals(run: Callable[[], object]) -> None:
    """Run something so that a signal ends it in good order: nothing is left behind, no traceback.

    The process then dies of that very signal, as its parent expects.
    """
    for deadly in DEADLY_SIGNALS:
        if signal.getsignal(deadly) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(deadly, _terminate)
    number = None
    try:
        run()
    except Terminated as terminated:
        number = terminated.number
    if number is None:
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _terminate(number: int, _frame: object) -> None:
    # Others that follow, as from a terminal that closes, do not disturb the way out.
    for deadly in DEADLY_SIGNALS:
        signal.signal(deadly, signal.SIG_IGN)
    raise Terminated(number)


def exit_code(error: NixenvError) -> int:
    """Map an error to its documented exit code."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


def run_program(program: str, run: Callable[[], object]) -> NoReturn:
    """Run a program's body, and exit with the documented code."""
    try:
        run()
    except NixenvError as error:
        say(program, f"error: {error}")
        sys.exit(exit_code(error))
    except OSError as error:
        # Of the streams, or of a working directory that is gone: everything else is put in words
        # where it happens.
        say(program, f"error: {error.filename or 'the system refuses'}: {error.strerror or error}")
        sys.exit(1)
    # All is written and flushed; to take the interpreter down in good order takes milliseconds
    # (docs/architecture.md, "What makes a first activation quick").
    os._exit(0)


def say(program: str, text: str) -> None:
    """Tell the user something that is no result; nothing in it acts on a terminal."""
    lines = f"{program}: {text}".split("\n")
    if not all(map(str.isprintable, lines)):
        from nixenv.text import printable  # noqa: PLC0415 -- few have need of it

        lines = list(map(printable, lines))
    pass_on("\n".join(lines) + "\n")


def patience(program: str, limit: float | None) -> Patience:
    """Wait as the user says, and pass on what Nix says; after a while tell what is waited for.

    Args:
        program: Our own name.
        limit: For how many seconds; None for as long as it takes.
    """
    ends = "--timeout SECONDS or NIXENV_TIMEOUT sets a limit"
    if limit is not None:
        ends = f"giving up after {limit:g} s"

    def remind(awaited: str) -> None:
        say(program, f"still waiting for {awaited}, {REMIND_AFTER:g} s so far; {ends}")

    return Patience(limit, pass_on, remind)


def say_findings(program: str, findings: "Iterable[Finding]") -> None:
    """Tell the user what to know about a result."""
    for finding in findings:
        say(program, f"{finding.severity}: {finding.summary}\n  next: {finding.remedy}")


def pass_on(text: str) -> None:
    """Write text to stderr as it is, where there is a stderr."""
    with contextlib.suppress(OSError):  # nobody is there to be told
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def emit(text: str) -> None:
    """Write the result: all of it, once, as the very bytes that it stands for.

    Raises:
        OutputFailed: it cannot be written.
        SystemExit: nobody reads it any more.
    """
    left = os.fsencode(text)
    try:
        while left:
            left = left[os.write(1, left) :]
    except BrokenPipeError:
        sys.exit(1)  # who reads has seen enough: nobody is there to be told
    except OSError as error:
        raise OutputFailed("standard output", error.strerror or str(error)) from error
