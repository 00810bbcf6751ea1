"""tcsh."""

import os
import re
from collections.abc import Mapping

from nixenv.road.plan import Environment, MakeDirectory, resolve
from nixenv.shells.posix import make_directories

# All but control characters, the quote, the backslash, the blank (a backquoted eval collapses them)
# and "!", which tcsh takes for history even between single quotes. Bytes beyond ASCII stay as they
# are: in a UTF-8 locale an octal escape means a character, not a byte.
_PLAIN = re.compile(rb"[^\x00-\x21\x27\x5c\x7f]+")


def render(environment: Environment, environ: Mapping[str, str]) -> str:
    """Write one line for tcsh: ``eval "`nixenv export --shell tcsh`"``, or source it from a file.

    tcsh has no functions and its loops cannot be evaluated from a string, so the values are final
    ones, worked out from ``environ``; a variable that the user set is left alone.
    """
    statements = []
    paths = [quote(o.path) for o in environment.operations if isinstance(o, MakeDirectory)]
    if paths:
        missing = " || ".join(f"! -d {path}" for path in paths)
        make = quote(make_directories(('"$@"',)))
        statements.append(f"if ({missing}) sh -c {make} sh {' '.join(paths)}")
    for name, value in resolve(environment, environ).items():
        if value is None:
            statements.append(f"unsetenv {name}")
        elif environ.get(name) != value:
            statements.append(f"setenv {name} {quote(value)}")
    return "".join(f"{statement} ; " for statement in statements).rstrip() + "\n"


def quote(value: str) -> str:
    """Quote any value as one word, on one line and without blanks.

    Single quotes hold what is plain, ``$'…'`` (tcsh 6.19) the rest as octal escapes.
    """
    raw = os.fsencode(value)
    words = []
    position = 0
    while position < len(raw):
        plain = _PLAIN.match(raw, position)
        if plain:
            words.append(f"'{os.fsdecode(plain[0])}'")
            position = plain.end()
        else:
            words.append(f"$'\\{raw[position]:03o}'")
            position += 1
    return "".join(words) or "''"
