"""The virtual environment that a user has put on top of the program's Python."""

import os
from collections.abc import Mapping

from nixenv.places import FARM_RECORD
from nixenv.road.disk import find_file, read_head
from nixenv.road.launcher.script import parse_home
from nixenv.road.python import Interpreter
from nixenv.text import decode
from nixenv.typed import NamedTuple


class OnTop(NamedTuple):
    """A virtual environment that is active, and is none of nixenv's.

    Attributes:
        path: Its directory.
        python: The interpreter that it was made with, behind all links; None where that is gone.
        fits: Whether that is the program's.
        kept: Whether its PYTHONPATH, VIRTUAL_ENV and place on PATH are left to it.
    """

    path: str
    python: str | None
    fits: bool
    kept: bool


def find_on_top(
    environ: Mapping[str, str], interpreter: Interpreter, *, keep: bool
) -> OnTop | None:
    """Find the user's own virtual environment by VIRTUAL_ENV; None where there is none.

    Args:
        environ: The environment.
        interpreter: The program's.
        keep: Whether the profile wants it kept, where it was made with that interpreter.
    """
    path = environ.get("VIRTUAL_ENV", "")
    if not path.startswith("/"):
        return None
    try:
        head = read_head(f"{path}/pyvenv.cfg")
        if head is None or os.path.lexists(f"{path}/{FARM_RECORD}"):
            return None
        home, _ = parse_home(decode(head))
        python = _find_base(home or f"{path}/bin", interpreter.version)
    except OSError:
        return None  # one that is closed to this user is not used by this user
    ours = {
        os.path.realpath(file) for file in (interpreter.executable, interpreter.base_executable)
    }
    fits = python in ours
    return OnTop(path, python, fits, kept=keep and fits)


def _find_base(home: str, version: str) -> str | None:
    names = (f"python{version}", "python3", "python")
    return next((found for name in names if (found := find_file(f"{home}/{name}"))), None)
