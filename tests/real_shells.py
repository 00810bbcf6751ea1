"""Evaluate text in a real shell and see what became of the environment."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

# How each shell sources a file, and how it evaluates a command's output, as its users write it.
SOURCE = {
    "bash": ("bash", "--norc", "--noprofile", "-c", ". $TEXT_FILE; exec env -0"),
    "dash": ("dash", "-c", ". $TEXT_FILE; exec env -0"),
    "zsh": ("zsh", "-f", "-c", ". $TEXT_FILE; exec env -0"),
    "fish": ("fish", "--no-config", "-c", "source $TEXT_FILE; exec env -0"),
    "tcsh": ("tcsh", "-f", "-c", "source $TEXT_FILE; exec env -0"),
}
EVAL = {
    "bash": ("bash", "--norc", "--noprofile", "-c", 'eval "$(cat $TEXT_FILE)"; exec env -0'),
    "dash": ("dash", "-c", 'eval "$(cat $TEXT_FILE)"; exec env -0'),
    "zsh": ("zsh", "-f", "-c", 'eval "$(cat $TEXT_FILE)"; exec env -0'),
    "fish": ("fish", "--no-config", "-c", "cat $TEXT_FILE | source; exec env -0"),
    "tcsh": ("tcsh", "-f", "-c", 'eval "`cat $TEXT_FILE`"; exec env -0'),
}
SHELLS = tuple(SOURCE)

# What `nixenv export --shell` calls the language of each.
LANGUAGE = {"bash": "bash", "dash": "sh", "zsh": "zsh", "fish": "fish", "tcsh": "tcsh"}

SEARCH_PATH = os.pathsep.join(filter(None, (os.environ.get("TEST_NIX_BIN"), "/usr/bin", "/bin")))
"""PATH in the shells. Not the default one: Debian's zsh takes that for none and sets its own.

Before the machine's own programs comes the Nix that is to be tested: scripts/nix_matrix.sh.
"""

# In the C locale fish re-encodes every variable that it inherits, with or without us.
_SURROUNDINGS = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}

# Set by the shells themselves, by env and by the call.
_NOISE = frozenset(
    [
        "TEXT_FILE",
        "HOME",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "HOST",
        "HOSTTYPE",
        "VENDOR",
        "OSTYPE",
        "MACHTYPE",
        "GROUP",
        "LOGNAME",
        "USER",
        "LS_COLORS",
        "NLSPATH",
        "LANG",
    ]
)


def require_tool(name: str) -> str:
    """Give the path of a tool; a test that cannot run has failed."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: `make test` installs what the tests need"
    return found


def evaluate(
    argv: tuple[str, ...], text: str, environ: Mapping[str, str], directory: Path
) -> dict[str, str]:
    """Give the environment in which a program runs after ``text``.

    Anything on stderr is a failure: no shell may even grumble. It runs in ``directory``, where it
    finds the file `text`; what the shell keeps for itself goes to a home of its own, `home`.
    """
    file = directory / "text"
    home = directory / "home"
    home.mkdir(exist_ok=True)
    file.write_bytes(os.fsencode(text))
    done = subprocess.run(
        [require_tool(argv[0]), *argv[1:]],
        env={**_SURROUNDINGS, **environ, "TEXT_FILE": str(file), "HOME": str(home)},
        cwd=directory,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    pairs = (os.fsdecode(item).split("=", 1) for item in done.stdout.rstrip(b"\0").split(b"\0"))
    return {name: value for name, value in pairs if name not in _NOISE}
