"""Time whole processes, interleaved, so that a busy moment falls on all of them alike."""

import os
import subprocess
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
    """Run all commands in turn, `rounds` times, after one round that does not count.

    Raises:
        RuntimeError: a command failed that may not.
    """
    seconds: dict[str, list[float]] = {command.name: [] for command in commands}
    memory = dict.fromkeys(seconds, 0)
    failed = dict.fromkeys(seconds, False)
    for number in range(rounds + 1):
        for command in commands:
            command.prepare()
            elapsed, resident, status = _run(command)
            if status and not command.may_fail:
                raise RuntimeError(f"{command.name} ended with status {status}")
            if number:
                seconds[command.name].append(elapsed)
                memory[command.name] = max(memory[command.name], resident)
                failed[command.name] = bool(status)
    return {n: Timing(tuple(seconds[n]), memory[n], failed[n]) for n in seconds}


def _run(command: Command) -> tuple[float, int, int]:
    start = time.perf_counter()
    process = subprocess.Popen(
        command.argv,
        env=dict(command.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if command.may_fail else None,
    )
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return elapsed, usage.ru_maxrss * 1024, process.returncode
