"""What a step of a launcher hands to the next: a program, its arguments and its variables. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from nixenv.typed import NamedTuple

UNKNOWN = "\0"
"""Stands, in a value or an argument, for text that nobody can know before the program runs.

No variable and no argument can hold a NUL, so nothing else looks like it. As a whole argument it
stands for any number of them: what the user gives.
"""

LONGEST = 131_071
"""Linux passes on no longer value (``nixenv.road.plan.VARIABLE_LIMIT``)."""


class Run(NamedTuple):
    """A program about to be started.

    Attributes:
        file: Its path, links not followed.
        arguments: What it is given, without its own name.
        name: Its own name, ``argv[0]``: Python finds its environment by that.
        variables: What it is passed; in an empty environment, what the launcher has set.
        literals: Those of them that were set to a value as it stands there.
    """

    file: str
    arguments: tuple[str, ...]
    name: str
    variables: Mapping[str, str] = MappingProxyType({})
    literals: Mapping[str, str] = MappingProxyType({})


class Stop(NamedTuple):
    """Why a step is the last one.

    Attributes:
        detail: What it was that could not be read, for a person.
    """

    detail: str


class Scope:
    """The variables while a launcher is read: what is exported is passed on.

    Only here something changes: a script assigns one variable after another.
    """

    def __init__(self, run: Run) -> None:
        """Begin with what was passed to the launcher."""
        self.values = dict(run.variables)
        self.literals = dict(run.literals)
        self.exported = {"PATH", *run.variables}

    def get(self, name: str) -> str | None:
        """Give a variable's value; None where it is unset."""
        return self.values.get(name)

    def assign(self, name: str, value: str, *, literal: bool = False) -> None:
        """Give a variable a value, which nobody knows where it would be too long to pass on."""
        if len(value) > LONGEST:
            value, literal = UNKNOWN, False
        self.values[name] = value
        self.literals.pop(name, None)
        if literal:
            self.literals[name] = value

    def export(self, name: str) -> None:
        """Let a variable be passed on."""
        self.exported.add(name)

    def unset(self, name: str) -> None:
        """Remove a variable."""
        self.values.pop(name, None)
        self.literals.pop(name, None)
        self.exported.discard(name)

    def prefix(self, name: str, separator: str, value: str) -> None:
        """Put a value in front of a list, where it is moved to if it is in the list."""
        kept = self._without(name, separator, value)
        self.assign(name, value + separator + kept if kept else value)

    def suffix(self, name: str, separator: str, value: str) -> None:
        """Put a value at the end of a list, likewise."""
        kept = self._without(name, separator, value)
        self.assign(name, kept + separator + value if kept else value)

    def _without(self, name: str, separator: str, value: str) -> str:
        held = separator + self.values.get(name, "") + separator
        found = separator + value + separator
        return held.replace(found, separator, 1).removeprefix(separator).removesuffix(separator)

    def start(self, file: str, arguments: tuple[str, ...], name: str) -> Run:
        """Start a program with what is exported."""
        passed = {key: value for key, value in self.values.items() if key in self.exported}
        literals = {key: value for key, value in self.literals.items() if key in self.exported}
        return Run(file, arguments, name, passed, literals)


def list_entries(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Give the entries of a path list, without empty ones: they mean the current directory."""
    return tuple(filter(None, variables.get(name, "").split(":")))
