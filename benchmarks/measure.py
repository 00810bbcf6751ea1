"""Time whole processes, interleaved, so that a busy moment falls on all of them alike."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from attrs import frozen


@frozen
class Command:
    """A process to time.

    Attributes:
        name: What the tables call it.
        argv: The program and its arguments.
        environ: Its whole environment.
        prepare: What to do before each run, not timed.
        may_fail: Whether another status than 0 is part of what is measured.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    prepare: Callable[[], None] = lambda: None
    may_fail: bool = False


@frozen
class Timing:
    """What the runs of one command took.

    Attributes:
        seconds: Each run's wall-clock time.
        memory: The largest resident set of it or its children, in bytes.
        failed: Whether it ended with another status than 0.
    """

    seconds: tuple[float, ...]
    memory: int
    failed: bool

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return median(self.seconds)


def time_commands(commands: Sequence[Command], rounds: int) -> dict[str, Timing]:
    """Run all commands in turn, `rounds` times, after one round that is for their memory.

    The order of each round is another: right after a process that wrote much, or freed much, even
    an empty shell takes a fifth longer.

    Raises:
        RuntimeError: a command failed that may not, or GNU time is missing.
    """
    memory = {command.name: _measure_memory(command) for command in commands}
    seconds: dict[str, list[float]] = {command.name: [] for command in commands}
    failed = dict.fromkeys(seconds, False)
    order = random.Random(rounds)
    for _ in range(rounds):
        for command in order.sample(commands, len(commands)):
            start, end, status = _run(command, command.argv)
            seconds[command.name].append(end - start)
            failed[command.name] = status != 0
    return {n: Timing(tuple(seconds[n]), memory[n], failed[n]) for n in seconds}


def _measure_memory(command: Command) -> int:
    """Let GNU time look: a child of our own inherits our high-water mark when it execs."""
    gnu_time = shutil.which("time")
    if gnu_time is None:
        raise RuntimeError("GNU time is missing; Debian and Ubuntu have it in the package time")
    with tempfile.NamedTemporaryFile("r") as kilobytes:
        _run(command, (gnu_time, "--quiet", "-f", "%M", "-o", kilobytes.name, *command.argv))
        return int(kilobytes.read()) * 1024


def _run(command: Command, argv: Sequence[str]) -> tuple[float, float, int]:
    command.prepare()
    start = time.perf_counter()
    status = subprocess.run(
        argv,
        env=dict(command.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if command.may_fail else None,
        check=False,
    ).returncode
    end = time.perf_counter()
    if status and not command.may_fail:
        raise RuntimeError(f"{command.name} ended with status {status}")
    return start, end, status
