"""A proof for a person's eyes, a step at a time. Pure."""

from collections.abc import Iterable

from nixenv.inspect.views.lines import next_lines
from nixenv.prove.steps import Proof, State, Step
from nixenv.text import printable

_MARKS = {State.PASSED: "ok  ", State.FAILED: "FAIL", State.NOT_TRIED: "--  "}

# Of what a compiler says, so many lines: all of it is in --json.
_FEW_LINES = 12


def show_step(step: Step) -> str:
    """Write a step: a line, and where it failed the command and the tool's own words."""
    seconds = f"  ({step.seconds:.1f} s)" if step.seconds >= 0.05 else ""
    lines = [f"{_MARKS[step.state]}  {step.name}{seconds}"]
    if step.state is State.FAILED and step.command:
        lines.append(f"        $ {step.command}")
    told = step.detail.splitlines()
    lines += [f"        {line}" for line in told[:_FEW_LINES]]
    if len(told) > _FEW_LINES:
        lines.append(f"        and {len(told) - _FEW_LINES} lines more; --json has them")
    return _written(lines)


def show_end(proof: Proof) -> str:
    """Write what comes behind the steps: how many there were, and what explains the failures."""
    failed = [step for step in proof.steps if step.state is State.FAILED]
    tried = sum(step.state is not State.NOT_TRIED for step in proof.steps)
    lines = ["", f"{tried - len(failed)} of {tried} steps passed" + _left_out(proof)]
    explained = {step.finding.code: step for step in failed if step.finding is not None}
    for code, step in explained.items():
        if step.finding is not None:
            lines += ["", f"{code} explains `{step.name}`: {step.finding.summary}"]
            lines += [f"    {line}" for line in step.finding.evidence]
            lines += [f"  {line}" for line in next_lines(step.finding.remedy)]
    unexplained = [step.name for step in failed if step.finding is None]
    if unexplained:
        lines += ["", f"inspect finds nothing that explains: {'; '.join(unexplained)}"]
    return _written(lines)


def _left_out(proof: Proof) -> str:
    left_out = sum(step.state is State.NOT_TRIED for step in proof.steps)
    return f", {left_out} could not be tried here" if left_out else ""


def _written(lines: Iterable[str]) -> str:
    return "".join(f"{printable(line)}\n" for line in lines)
