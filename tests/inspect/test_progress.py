"""The bar of a long look: for a person at a terminal, and for nobody else."""

import os
import pty
import re
import subprocess
import sys

import pytest

LOOK = """\
import sys, time
from nixenv.inspect.views import progress
progress._PATIENCE = {patience}
with progress.show_progress(2, is_shown=sys.stderr.isatty()) as step:
    step("the closure")
    time.sleep(0.5)
    step("the machine")
print("done")
"""


def on_terminal(patience: float) -> str:
    """Run a look whose stderr is a terminal."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", LOOK.format(patience=patience)]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    assert done.stdout == "done\n"
    os.write(theirs, b"|")
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    return shown.removesuffix("|")


def test_a_bar_for_who_waits() -> None:
    """It names the stage, and is gone at the end."""
    shown = on_terminal(0.1)
    assert "nixenv: the closure" in shown
    erased = shown.rpartition("\x1b[2K")[2]
    assert re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", erased).strip() == ""


def test_no_bar_for_who_is_served_at_once() -> None:
    """It would only flicker."""
    assert "nixenv" not in on_terminal(60)


@pytest.mark.parametrize("patience", [0.1, 60])
def test_no_bar_where_nobody_looks(patience: float) -> None:
    """A log file gets no control characters."""
    command = [sys.executable, "-c", LOOK.format(patience=patience)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
