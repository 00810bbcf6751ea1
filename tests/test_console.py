"""How a program fails: whatever the error, it is one of ours that is told."""

import json
import subprocess
import sys
from typing import TypeAlias

import pytest

Done: TypeAlias = "subprocess.CompletedProcess[str]"


def fail(body: str, *, as_json: bool = False) -> Done:
    code = f"""
import sys
from nixenv.console import run_program
def run():
    {body}
run_program("nixenv", run, as_json={as_json})
"""
    return subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise MemoryError", "there is not enough memory"),
        ("raise OSError(5, 'Input/output error', b'/x')", "/x: Input/output error"),
        ("raise OSError('odd')", "the system refuses: odd"),
        ("run()", "nixenv itself is at fault: RecursionError: maximum recursion depth"),
        ("{}['x' * 1000000]", "nixenv itself is at fault: KeyError: 'xxx"),
    ],
)
def test_an_error_that_is_none_of_ours(body: str, words: str) -> None:
    """It is told as ours are, and no traceback with it."""
    done = fail(body)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nixenv: error: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "\n  next: " in done.stderr
    assert len(done.stderr) < 6000


def test_where_nixenv_is_at_fault_the_places_are_told() -> None:
    """For whoever mends it."""
    assert "<string>:5" in fail("1 / 0").stderr


def test_an_error_as_json() -> None:
    """One object in one line, for a program."""
    done = fail(
        "from nixenv.errors import Unreadable; raise Unreadable('/x', 'a\\nb')", as_json=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert json.loads(done.stderr) == {
        "code": "unreadable",
        "reason": "/x cannot be read: a\nb",
        "remedy": "check the path (`ls -ld /x`), its permissions and who you are (`id`)",
        "exit_code": 1,
    }
