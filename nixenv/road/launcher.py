"""Read what nixpkgs' Python wrappers say about a program: its interpreter and its modules.

``wrapPythonProgramsIn`` (nixpkgs, ``wrap.sh``) moves the script to ``bin/.NAME-wrapped``, gives it
the exact interpreter as shebang, and puts before its first statement a call of ``site.addsitedir``
for each site-packages directory of the program, in the program's own order.
"""

import re
from typing import NamedTuple

_SHEBANG = re.compile(r"#!\s*(?P<interpreter>/\S+)")
_SITE_DIRS = re.compile(
    r"site\.addsitedir\(p, k\), \[(?P<items>[^\]]*)\], site\._init_pathinfo\(\)"
)
_ITEM = re.compile(r"'(?P<directory>[^'\\]+)'")


class Wrapper(NamedTuple):
    """What a wrapped Python script says.

    Attributes:
        file: The script's path.
        interpreter: The path in its shebang.
        site_packages: The directories that it adds, in its order; empty when it adds none.
    """

    file: str
    interpreter: str
    site_packages: tuple[str, ...]


def parse_wrapper(file: str, text: str) -> Wrapper | None:
    """Parse the head of a script; None when it is not one of Python.

    It reads, for example::

        #!/nix/store/…-python3-3.12.12/bin/python3.12
        import sys;import site;import functools;sys.argv[0]='…';functools.reduce(lambda k, p:
        site.addsitedir(p, k), ['/nix/store/…/lib/python3.12/site-packages', …],
        site._init_pathinfo());

    (all but the first are one line of the file, before the script's first statement).
    """
    shebang = _SHEBANG.match(text)
    if shebang is None or "python" not in shebang["interpreter"].rpartition("/")[2]:
        return None
    site_dirs = _SITE_DIRS.search(text)
    items = _ITEM.findall(site_dirs["items"]) if site_dirs else ()
    return Wrapper(file, shebang["interpreter"], tuple(items))
