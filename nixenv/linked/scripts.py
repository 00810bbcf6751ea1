"""The console scripts of a virtual environment made of links, as pip writes them."""

import os
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

from nixenv.linked.farm import File
from nixenv.linked.tree import Conflict

# Entry points specification: importable.module:object.attribute [extras]
_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE = re.compile(rf"(?P<module>{_NAME})\s*:\s*(?P<object>{_NAME})\s*(?:\[.*\])?")
_SCRIPT_NAME = re.compile(r"(?!\.)[^\s/]+")

# Before 5.1 Linux reads 127 bytes of a script's first line, and white space ends the path in it.
_SHEBANG_LIMIT = 127
_PLAIN_PATH = re.compile(r"[^\s\ud800-\udfff]+")

# Bytes of entry_points.txt; those with thousands of plugins have a hundred thousand.
_LONGEST = 1 << 20

Carried = tuple[tuple[str, str], ...]
"""Variables that the program's launcher sets, and their values."""


def plan_scripts(
    metadata_directories: Iterable[str],
    python: str,
    taken: Mapping[str, str],
    carried: Carried = (),
) -> tuple[list[File], list[Conflict]]:
    """Write the console scripts as pip does; the first of a name wins, and after what is taken.

    Args:
        metadata_directories: The ``.dist-info`` directories of the distributions.
        python: The interpreter of the virtual environment.
        taken: The paths that are something else already, and what.
        carried: What each script sets where it is unset: it takes the place of the launcher.
    """
    scripts = []
    disputed = []
    owners = dict(taken)
    for metadata in metadata_directories:
        owner = os.path.join(metadata, "entry_points.txt")
        for entry_point in _read_entry_points(Path(metadata)):
            path = f"bin/{entry_point.name}"
            reference = _REFERENCE.fullmatch(entry_point.value)
            if reference is None or not _SCRIPT_NAME.fullmatch(entry_point.name):
                continue
            if path in owners:
                disputed.append(Conflict(path, owners[path], (owner,)))
                continue
            owners[path] = owner
            text = _write_script(python, reference["module"], reference["object"], carried)
            scripts.append(File(path, text, executable=True))
    return scripts, disputed


def _read_entry_points(metadata: Path) -> Iterable[EntryPoint]:
    file = metadata / "entry_points.txt"
    if not os.path.isfile(file) or os.path.getsize(file) > _LONGEST:
        return ()
    try:
        entry_points = PathDistribution(metadata).entry_points
    except (OSError, ValueError, TypeError):
        return ()  # a file that importlib cannot read gives nobody a script
    return (
        *entry_points.select(group="console_scripts"),
        *entry_points.select(group="gui_scripts"),
    )


def _write_script(python: str, module: str, target: str, carried: Carried) -> str:
    variables = "".join(f"os.environ.setdefault({n!a}, {v!a})\n" for n, v in carried)
    setting = f"import os\n\n{variables}\n" if variables else ""
    return f"""\
{_write_shebang(python)}
{setting}import sys

from {module} import {target.partition(".")[0]}

if __name__ == "__main__":
    sys.exit({target}())
"""


def _write_shebang(python: str) -> str:
    shebang = f"#!{python}"
    if _PLAIN_PATH.fullmatch(python) and len(os.fsencode(shebang)) <= _SHEBANG_LIMIT:
        return shebang
    # To a shell, `exec` of the interpreter beside the script; to Python, a string.
    name = os.path.basename(python)
    return f"""\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/{name}" "$0" "$@"
' '''"""
