"""Compiled wrappers of nixpkgs' makeBinaryWrapper: their recipe, which is text in them. Pure."""

import re
from collections.abc import Iterator

from nixenv.road.launcher.state import Run, Scope, Stop
from nixenv.road.launcher.syntax import Unreadable, split_words
from nixenv.text import decode

_RECIPE = re.compile(rb"makeCWrapper (?:[^\n\0]*\\\n)*[^\n\0]*")

# How many values a flag takes.
_TAKES = {
    **dict.fromkeys(("--prefix", "--suffix"), 3),
    **dict.fromkeys(("--set", "--set-default"), 2),
    **dict.fromkeys(("--add-flag", "--add-flags", "--append-flag", "--append-flags"), 1),
    **dict.fromkeys(("--unset", "--chdir", "--argv0"), 1),
    "--inherit-argv0": 0,
}


def find_recipe(binary: bytes) -> str | None:
    r"""Find the recipe in a binary; None where there is none.

    It is one string of the C source, with the command that made it (``make-binary-wrapper.sh``,
    ``docstring``)::

        # The C-code for this binary wrapper has been generated using the following command:


        makeCWrapper '/nix/store/…-python3-3.12.12/bin/python3.12' \
            --inherit-argv0 \
            --set 'NIX_PYTHONPATH' '/nix/store/…-python3-3.12.12-env/lib/python3.12/site-packages' \
            --set 'PYTHONNOUSERSITE' 'true'

    ``--resolve-argv0`` is left out of it; each value is written by bash's ``${value@Q}``.
    """
    match = _RECIPE.search(binary)
    return decode(match[0]) if match else None


def follow_recipe(recipe: str, run: Run) -> Run | Stop:
    """Do what the recipe says, on paper: give what the wrapper starts."""
    try:
        words = split_words(recipe)
        name = target = words[1]
        flags = tuple(_split_flags(words[2:]))
    except (Unreadable, IndexError, KeyError):
        return Stop("the recipe of this compiled wrapper cannot be read")
    scope = Scope(run)
    before: list[str] = []
    after: list[str] = []
    for flag, values in flags:
        match flag:
            case "--add-flag":
                before.extend(values)
            case "--add-flags":
                before.extend(values[0].split())
            case "--append-flag":
                after.extend(values)
            case "--append-flags":
                after.extend(values[0].split())
            case "--argv0":
                name = values[0]
            case "--inherit-argv0":
                name = run.name
            case _:
                _set(scope, flag, values)
    scope.exported.update(scope.values)
    return scope.start(target, (*before, *run.arguments, *after), name)


def _set(scope: Scope, flag: str, values: tuple[str, ...]) -> None:
    match flag:
        case "--set":
            scope.assign(*values, literal=True)
        case "--set-default" if scope.get(values[0]) is None:
            scope.assign(*values, literal=True)
        case "--unset":
            scope.unset(*values)
        case "--prefix":
            scope.prefix(*values)
        case "--suffix":
            scope.suffix(*values)


def _split_flags(words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    rest = list(words)
    while rest:
        flag = rest.pop(0)
        takes = _TAKES[flag]
        values = tuple(rest[:takes])
        if len(values) < takes:
            raise IndexError
        del rest[:takes]
        yield flag, values
