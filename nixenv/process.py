"""Run another program: within a limit, up to a cap, and never beyond our own end.

By `os.posix_spawn` and `select.poll`: every first activation would wait milliseconds for the
import of ``subprocess`` (docs/architecture.md has the figures), which cannot hold back signals
while a child is started either.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum

from nixenv.typed import NamedTuple

DEADLY_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""The signals by which people and supervisors end a program."""

REMIND_AFTER = 3.0
"""Seconds after which somebody who waits is told for what."""

# Seconds. A program that fails at once is reported with its words in one message; what one says
# that goes on is passed on as it comes.
_HOLD_BACK = 0.5

# Seconds. One that the kernel holds does not even die, and is left behind.
_DYING = 1.0

_SECONDS = r"[0-9]{1,7}(\.[0-9]{1,3})?"

_CHUNK = 1 << 16

# Bytes that a program can write before anybody reads: what Nix says of 9,000 store paths. Linux
# gives 64 KiB unasked, and this to anybody who asks.
_AHEAD = 1 << 20

# Of what a program writes to stderr so many bytes are kept, the last ones: they say why it failed.
# All of it is passed on as it comes.
_KEPT_WORDS = 1 << 15

# Of a longer command, the beginning and the end are shown.
_SHOWN_WORDS = 4


def _nothing(*_: object) -> None:
    pass


class Patience(NamedTuple):
    """How somebody waits.

    Attributes:
        limit: For how many seconds; None for as long as it takes.
        hear: Called with what the program writes to stderr, in whole lines, as it comes.
        remind: Called once with what is waited for, when that takes more than `REMIND_AFTER`.
    """

    limit: float | None = None
    hear: Callable[[str], object] = _nothing
    remind: Callable[[str], object] = _nothing


Listen = Callable[[], bool]
"""Takes what a program has said so far, and tells whether it may say more, and there is time."""

Meanwhile = Callable[[Listen], object]
"""Called while a program works, with what to call now and then when it takes long. Nobody can write
much more than a megabyte that nobody reads."""

PATIENT = Patience()
"""Waits as long as it takes, and says nothing."""


class Wait:
    """One wait, from now on, measured against somebody's patience."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = time.monotonic()
        self._is_reminded = False

    @property
    def age(self) -> float:
        """How many seconds it has taken so far."""
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """Whether the limit is reached."""
        limit = self._patience.limit
        return limit is not None and self.age >= limit

    @property
    def left(self) -> float | None:
        """How many seconds are left until the limit; None without one."""
        limit = self._patience.limit
        return None if limit is None else limit - self.age

    def until(self, *others: float) -> float | None:
        """Give the seconds until something is due: the reminder, the limit or one of these ages."""
        age = self.age
        due = (self._patience.limit, None if self._is_reminded else REMIND_AFTER, *others)
        return min((then - age for then in due if then and then > age), default=None)

    def remind(self, awaited: Callable[[], str]) -> None:
        """Tell what is waited for, once, when that is due."""
        if self.age >= REMIND_AFTER and not self._is_reminded:
            self._is_reminded = True
            self._patience.remind(awaited())


class Cut(Enum):
    """Why a program was ended before it ended by itself."""

    OUT_OF_TIME = "out of time"
    TOO_MUCH = "too much said"


class Outcome(NamedTuple):
    """What became of a program.

    Attributes:
        stdout: What it wrote there.
        stderr: Likewise, the end of it where it is long. Where it failed within the first moment,
            `Patience.hear` was told nothing.
        status: Its exit status, or minus the number of the signal that killed it.
        cut: Why it was killed here; None where it ended by itself.
    """

    stdout: str
    stderr: str
    status: int
    cut: Cut | None = None


def parse_limit(text: str) -> float:
    """Parse how many seconds to wait.

    >>> parse_limit("2.5")
    2.5

    Raises:
        ValueError: it is not a number of seconds, or not above 0.
    """
    if not re.fullmatch(_SECONDS, text) or not float(text):
        raise ValueError(f"{text!r} is not a number of seconds (expected 0.001 to 9999999)")
    return float(text)


def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    cap: int,
    patience: Patience = PATIENT,
    meanwhile: Meanwhile = _nothing,
) -> Outcome:
    """Run a program with nothing on stdin, and read all that it says.

    Whatever ends this call, the program and what it started are gone: they are a process group of
    their own, and killed together. (One that the kernel holds is left behind.)

    Args:
        argv: The program's path and its arguments.
        environ: Its environment.
        cap: How many bytes it may write to stdout, and to stderr.
        patience: How long to wait for its end, and who is told meanwhile.
        meanwhile: What to do while it works.

    Raises:
        OSError: it cannot be started.
    """
    child = _Child(argv, cap, patience)
    try:
        child.start(environ)
        meanwhile(child.listen)
        return child.wait()
    finally:
        child.end()


def describe_command(argv: Sequence[str]) -> str:
    """Write a command as a person wants to see it: not with some hundred kilobytes of arguments.

    >>> describe_command(("nix-store", "--dump-db", "/a", "/b", "/c"))
    'nix-store --dump-db ... /c'
    """
    return " ".join(argv if len(argv) <= _SHOWN_WORDS else (*argv[:2], "...", argv[-1]))


def describe_status(status: int) -> str:
    """Say how a program ended.

    >>> describe_status(1), describe_status(-15), describe_status(-35)
    ('exit status 1', 'killed by SIGTERM', 'killed by signal 35')
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:  # most real-time signals have no name
        return f"killed by signal {-status}"


@contextlib.contextmanager
def _signals_held_back() -> Iterator[set[int | signal.Signals]]:
    """Let no signal end us while a child comes or goes; give those that were held back before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEADLY_SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Child:
    def __init__(self, argv: Sequence[str], cap: int, patience: Patience) -> None:
        self._argv, self._cap, self._patience = argv, cap, patience
        self._wait = Wait(patience)
        self._pid = 0
        self._status: int | None = None
        self._stdout, self._stderr = bytearray(), bytearray()
        self._open: dict[int, bytearray] = {}
        self._poll = select.poll()
        self._heard = self._forgotten = 0

    def start(self, environ: Mapping[str, str]) -> None:
        (stdout, into_stdout), (stderr, into_stderr) = os.pipe(), os.pipe()
        self._open = {stdout: self._stdout, stderr: self._stderr}
        with contextlib.suppress(OSError):  # it has used up what it may have
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _AHEAD)
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)
        actions = (
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, into_stdout, 1),
            (os.POSIX_SPAWN_DUP2, into_stderr, 2),
        )
        try:
            with _signals_held_back() as others:
                self._pid = os.posix_spawn(
                    self._argv[0],
                    tuple(self._argv),
                    dict(environ),
                    file_actions=actions,
                    setpgroup=0,
                    setsigmask=others,
                    # Python ignores these; no other program expects that.
                    setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
                )
        finally:
            os.close(into_stdout)
            os.close(into_stderr)

    def listen(self) -> bool:
        """Take what it has said so far, and tell whether it may say more, and there is time."""
        if not self._has_said_too_much():
            self._take(0)
        return bool(self._open) and not (self._has_said_too_much() or self._wait.is_over)

    def wait(self) -> Outcome:
        # The limit is of waiting: whoever was at something else did not wait.
        waited = Wait(self._patience)
        while not self._has_ended():
            self._take(self._pause(waited))
            if not self._open:
                # It is about to end, and Linux cannot be asked to wait for that up to a limit.
                time.sleep(min(waited.age / 100, 0.05))
            if self._has_said_too_much():
                return self._outcome(Cut.TOO_MUCH)
            if waited.is_over:
                return self._outcome(Cut.OUT_OF_TIME)
        if self._status == 0:
            self._hear(len(self._stderr))
        return self._outcome()

    def end(self) -> None:
        with _signals_held_back():
            self._close()
            self._kill()

    def _close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)
        self._open = {}

    def _kill(self) -> None:
        if self._pid and not self._is_gone():
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
            deadline = time.monotonic() + _DYING
            while not self._is_gone() and time.monotonic() < deadline:
                time.sleep(0.002)

    def _has_said_too_much(self) -> bool:
        return max(len(self._stdout), self._forgotten + len(self._stderr)) > self._cap

    def _has_ended(self) -> bool:
        return not self._open and self._is_gone()

    def _is_gone(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status is not None

    def _take(self, milliseconds: float | None) -> None:
        """Take what it says within a time, if anything, and keep everybody told."""
        has_said = self._read_within(milliseconds)
        if self._wait.age >= _HOLD_BACK:
            self._hear(self._stderr.rfind(b"\n") + 1)
        if not has_said:
            self._wait.remind(lambda: describe_command(self._argv))
        self._forget()

    def _read_within(self, milliseconds: float | None) -> bool:
        ready = self._poll.poll(milliseconds) if self._open else []
        for descriptor, _ in ready:
            part = os.read(descriptor, _CHUNK)
            self._open[descriptor] += part
            if not part:
                self._poll.unregister(descriptor)
                os.close(descriptor)
                del self._open[descriptor]
        return bool(ready)

    def _pause(self, waited: Wait) -> float | None:
        due = (self._wait.until(_HOLD_BACK), waited.until())
        seconds = min((one for one in due if one is not None), default=None)
        return None if seconds is None else seconds * 1000

    def _forget(self) -> None:
        if len(self._stderr) > 2 * _KEPT_WORDS:
            useless = len(self._stderr) - _KEPT_WORDS
            del self._stderr[:useless]
            self._forgotten += useless
            self._heard = max(self._heard - useless, 0)

    def _hear(self, end: int) -> None:
        if end > self._heard:
            self._patience.hear(os.fsdecode(bytes(self._stderr[self._heard : end])))
            self._heard = end

    def _outcome(self, cut: Cut | None = None) -> Outcome:
        stdout, stderr = (
            os.fsdecode(bytes(said)) for said in (self._stdout, self._stderr[-_KEPT_WORDS:])
        )
        return Outcome(stdout, stderr, -signal.SIGKILL if cut else self._status or 0, cut)
