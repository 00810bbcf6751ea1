"""Scripts with a shebang, those of Python above all, and the path files of site-packages. Pure."""

import os
import re
from collections.abc import Iterator

_SHEBANG = re.compile(r"#![ \t]*(?P<interpreter>/[^\s]+)[ \t]*(?P<argument>[^\n]*)")
_MODULES = re.compile(r"site\.addsitedir\(p, k\), \[(?P<items>[^\]]*)\], site\._init_pathinfo\(\)")
_ITEM = re.compile(r"'(?P<directory>[^'\\]+)'")


def parse_shebang(text: str) -> tuple[str, str] | None:
    """Read the interpreter and its one argument off a script's first line.

    The kernel passes all that follows the interpreter as one argument (execve(2)).
    """
    match = _SHEBANG.match(text)
    return (match["interpreter"], match["argument"].strip()) if match else None


def parse_module_list(text: str) -> tuple[str, ...]:
    """Read the module list of a Python script that nixpkgs wrapped; empty where there is none.

    ``wrapPythonProgramsIn`` (``wrap.sh``) puts it before the first statement, as one line::

        import sys;import site;import functools;sys.argv[0]='…';functools.reduce(lambda k, p:
        site.addsitedir(p, k), ['/nix/store/…/lib/python3.12/site-packages', …],
        site._init_pathinfo());
    """
    match = _MODULES.search(text)
    return tuple(_ITEM.findall(match["items"])) if match else ()


def parse_path_lines(directory: str, text: str) -> Iterator[str]:
    """Read the directories off a ``.pth`` file in ``directory``, as ``site.addpackage`` does.

    Lines that begin with ``import`` are code, and are left out.
    """
    for line in text.splitlines():
        name = line.rstrip()
        if name and not name.startswith(("#", "import ", "import\t")) and "\0" not in name:
            yield os.path.normpath(os.path.join(directory, name))


def parse_home(configuration: str) -> tuple[str | None, bool]:
    """Read the base of a virtual environment off its ``pyvenv.cfg`` (PEP 405).

    That is the directory of its interpreter, and whether that one's site-packages count as well,
    which they do unless it says otherwise (``site.venv``)::

        home = /nix/store/…-python3-3.12.12/bin
        include-system-site-packages = false
    """
    keys = {}
    for line in configuration.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            keys[key.strip().lower()] = value.strip()
    return keys.get("home"), keys.get("include-system-site-packages", "true").lower() == "true"
