"""Where things are tried: a scratch directory, the environment, and commands within limits."""

import json
import os
import shlex
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from nixenv import process
from nixenv.prove import inside
from nixenv.prove.steps import Part, State, Step
from nixenv.road.root import find_executable

# Seconds. To import a server takes a minute where its files have yet to come from a network disk.
IMPORT_LIMIT = 300.0
COMMAND_LIMIT = 120.0

# Bytes that a tool may write; of a failure, so many lines are kept.
_OUTPUT_CAP = 1 << 22
_KEPT_LINES = 40

# CUDA's own words, torch's and the loader's, where there is no driver.
_WANTS_DRIVER = (
    *("libcuda.so", "libnvidia-ml.so", "NVIDIA driver", "CUDA driver", "NVML"),
    *("no CUDA-capable device", "No CUDA GPUs", "cuInit"),
)


@frozen
class Workshop:
    """What a trial needs.

    Attributes:
        environ: The variables of the environment that is tried.
        directory: The scratch directory: everything that is made lies in it.
        python: The closure's interpreter; None where it has none.
        has_driver: Whether the machine has an NVIDIA driver to fail for want of.
    """

    environ: Mapping[str, str]
    directory: str
    python: str | None
    has_driver: bool

    def path(self, name: str) -> str:
        """Give the path of something in the scratch directory."""
        return os.path.join(self.directory, name)


def not_tried(part: Part, name: str, why: str) -> Step:
    """Say why something was not tried."""
    return Step(part, name, State.NOT_TRIED, detail=why)


def run_command(
    workshop: Workshop, part: Part, name: str, argv: Sequence[str], makes: Iterable[str] = ()
) -> Step:
    """Run a command; it passes when it ends with status 0 and made what it should.

    Args:
        workshop: Where.
        part: What the step has to do with.
        name: What is tried.
        argv: The command; a program without a slash is looked up on the environment's PATH.
        makes: The names of files that must be there afterwards.
    """
    began = time.monotonic()
    outcome, failure = _run(workshop, argv, COMMAND_LIMIT)
    missing = [file for file in makes if not os.path.exists(workshop.path(file))]
    if outcome is not None and not failure and missing:
        failure = f"it ended with status 0 and made no {missing[0]}"
    return Step(
        part,
        name,
        State.FAILED if failure else State.PASSED,
        time.monotonic() - began,
        shlex.join(argv),
        failure,
    )


def read_answer(workshop: Workshop, argv: Sequence[str]) -> str:
    """Run a command for what it prints; nothing where it fails."""
    outcome, failure = _run(workshop, argv, COMMAND_LIMIT)
    return outcome.stdout if outcome and not failure else ""


def ask_inside(
    workshop: Workshop, task: str, *arguments: str, changes: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], float]:
    """Do a task of `nixenv.prove.inside` in the closure's interpreter.

    Gives what it found out, with ``error`` where it failed, and the seconds that it took.
    """
    began = time.monotonic()
    # A file of its own directory: that, and not the current one, is first on its sys.path.
    script = workshop.path("inside/task.py")
    if not os.path.exists(script):
        os.mkdir(os.path.dirname(script))
        shutil.copyfile(inside.__file__, script)
    where = evolve(workshop, environ={**workshop.environ, **(changes or {})})
    argv = (workshop.python or "python3", script, task, *arguments)
    outcome, failure = _run(where, argv, IMPORT_LIMIT)
    found: dict[str, Any] = {}
    for line in (outcome.stdout if outcome else "").splitlines():
        if line.startswith(inside.RESULT):
            found = json.loads(line.removeprefix(inside.RESULT))
    if "error" in found and outcome is not None:
        found["error"] = _last_lines(outcome.stderr) or found["error"]
    return found or {"error": failure or "it ended without an answer"}, time.monotonic() - began


def judge_inside(
    workshop: Workshop, part: Part, name: str, found: Mapping[str, Any], seconds: float, told: str
) -> Step:
    """Make a step of what was found out inside: passed with ``told``, failed, or not tried."""
    if "skipped" in found:
        return not_tried(part, name, str(found["skipped"]))
    error = str(found.get("error", ""))
    if not error:
        return Step(part, name, State.PASSED, seconds, detail=told)
    if not workshop.has_driver and any(words in error for words in _WANTS_DRIVER):
        return not_tried(part, name, f"there is no NVIDIA driver here: {error.splitlines()[-1]}")
    return Step(part, name, State.FAILED, seconds, detail=error)


def _run(
    workshop: Workshop, argv: Sequence[str], limit: float
) -> tuple[process.Outcome | None, str]:
    """Run a command; give what became of it, and why that is a failure, or nothing."""
    program = find_executable(argv[0], workshop.environ.get("PATH", ""))
    if program is None:
        return None, f"there is no {argv[0]} on PATH"
    environ = {**workshop.environ, "TMPDIR": workshop.directory}
    try:
        outcome = process.run(
            (program, *argv[1:]), environ, _OUTPUT_CAP, process.Patience(limit=limit)
        )
    except OSError as error:
        return None, f"{program} cannot be started: {error.strerror or error}"
    if outcome.cut is process.Cut.OUT_OF_TIME:
        return outcome, f"it took longer than {limit:g} seconds"
    if outcome.cut is process.Cut.TOO_MUCH:
        return outcome, f"it wrote more than {_OUTPUT_CAP >> 20} MiB"
    if outcome.status == 0:
        return outcome, ""
    words = _last_lines(outcome.stderr) or _last_lines(outcome.stdout)
    return outcome, words or f"it said nothing ({process.describe_status(outcome.status)})"


def _last_lines(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-_KEPT_LINES:])
