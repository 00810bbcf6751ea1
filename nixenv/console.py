"""How the programs speak: the result to stdout, all else to stderr, errors to exit codes."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence

from nixenv.errors import NixenvError, NixError, OutputFailed, RootError, UsageError
from nixenv.process import DEADLY_SIGNALS, REMIND_AFTER, Patience

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

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


class SystemRefused(NixenvError):
    """The system refuses what is not put in words where it happens.

    That is the streams, or a working directory that is gone.
    """

    what: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (f"{self.what}: {self.detail}", "look at it: `ls -ld .`, `df .`, `ulimit -a`")


class OutOfMemory(NixenvError):
    """The system gives no more memory."""

    def _texts(self) -> tuple[str, str]:
        return (
            "there is not enough memory",
            "free some, or raise the limit: `ulimit -v`, or that of the container",
        )


class Unforeseen(NixenvError):
    """An error that nobody thought of: one of nixenv's own."""

    detail: str
    places: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            f"nixenv itself is at fault: {self.detail}; at:",
            "report it, with the command and these lines",
            self.places,
        )


def run_program(program: str, run: Callable[[], object], *, as_json: bool = False) -> "NoReturn":
    """Run a program's body, and exit with the documented code.

    Args:
        program: Its name.
        run: The body.
        as_json: Whether an error is told as a JSON object.
    """
    try:
        run()
    except Exception as error:  # noqa: BLE001 -- none but ours leaves, whatever there is in a file
        failure = name_failure(error)
        code = exit_code(failure)
        tell_failure(program, failure, code, as_json=as_json)
        sys.exit(code)
    # All is written and flushed; to take the interpreter down in good order takes milliseconds
    # (docs/architecture.md, "What makes a first activation quick").
    os._exit(0)


def name_failure(error: Exception) -> NixenvError:
    """Give one of our own errors for any error."""
    if isinstance(error, NixenvError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory()
    if isinstance(error, OSError):
        what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        return SystemRefused(what or "the system refuses", error.strerror or str(error))
    return Unforeseen(f"{type(error).__name__}: {error}", _places_of(error))


def _places_of(error: Exception) -> list[str]:
    from traceback import extract_tb  # noqa: PLC0415 -- nobody should have need of it

    return [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)[-4:]]


def exit_code(error: NixenvError) -> int:
    """Map an error to its documented exit code."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


def tell_failure(program: str, failure: NixenvError, code: int, *, as_json: bool = False) -> None:
    """Tell the user of an error: in words, or as one JSON object in a line."""
    if not as_json:
        say(program, f"error: {failure}")
        return
    import json  # noqa: PLC0415 -- no activation asks for it

    name = "".join(f"-{c.lower()}" if c.isupper() else c for c in type(failure).__name__)
    told = {
        "code": name.removeprefix("-"),
        "reason": failure.reason,
        "remedy": failure.remedy,
        "exit_code": code,
    }
    pass_on(f"{json.dumps(told)}\n")


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
