"""One table of a profile: its keys are taken one by one, and what is left is unknown."""

import re
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.places import Layout
from nixenv.road.names import NAMES, find_names, find_variables, is_made_of_names, suggest_name
from nixenv.road.variables import LIBRARY_PATH_OF_LOADER, RESERVED, is_variable_name
from nixenv.text import suggest
from nixenv.versions import MINOR_VERSION

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

PATH_PARTS = ("nvcc", "ninja", "host-compiler", "cuda-tools")
"""What may follow the interpreter on PATH."""

_TOML_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    list: "a list",
    dict: "a table",
}

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_RELEASE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,9}")


class ProfileInvalid(NixenvError):
    """A profile that is not what the schema wants."""

    file: str
    key: str
    detail: str
    line: int | None

    def _texts(self) -> tuple[str, str]:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f"{place}: {self.key}" if self.key else place
        return f"{where}: {self.detail}", "correct it there"


class Table:
    """A TOML table.

    Args:
        document: What it holds.
        file: Its file, or a built-in profile's name, for messages.
        prefix: The names of the tables that it is in, each with a dot.
    """

    def __init__(self, document: "Mapping[str, Any]", file: str, prefix: str = "") -> None:
        """Begin with all keys left."""
        self._left = dict(document)
        self._known: list[str] = []
        self._file = file
        self._prefix = prefix

    def invalid(self, key: str, detail: str) -> ProfileInvalid:
        """Make the error for a key."""
        return ProfileInvalid(self._file, f"{self._prefix}{key}", detail, None)

    def table(self, key: str) -> "Table":
        """Take a table; one that is not there is empty."""
        return Table(self._take(key, dict, "a table") or {}, self._file, f"{key}.")

    def boolean(self, key: str, default: bool) -> bool:  # noqa: FBT001 -- a value
        """Take a boolean."""
        value = self._take(key, bool, "true or false")
        return default if value is None else bool(value)

    def string(self, key: str, default: str | None = None) -> str | None:
        """Take a string, which is not empty."""
        value = self._take(key, str, "a string")
        if value == "":
            raise self.invalid(key, "is empty")
        return default if value is None else str(value)

    def version(
        self, key: str, default: str | None, pattern: "re.Pattern[str]" = MINOR_VERSION
    ) -> str | None:
        """Take a version ``X.Y``."""
        value = self.string(key)
        if value is not None and not pattern.fullmatch(value):
            raise self.invalid(key, f"wants a version X.Y, not {value!r}")
        return value or default

    def layout(self, key: str, default: str | None) -> str | None:
        """Take a layout."""
        value = self.string(key)
        if value is not None and value not in [*Layout]:
            raise self.invalid(key, f"wants {' or '.join(Layout)}, not {value!r}")
        return value or default

    def root(self, key: str, default: str | None) -> str | None:
        """Take a root: an absolute path, or one below the Flox environment."""
        value = self.string(key)
        if value is None:
            return default
        self._refuse_variables(key, value)
        if not value.startswith(("/", "{flox_env}")) or {*find_names(value)} - {"flox_env"}:
            raise self.invalid(
                key, f"wants an absolute path, or one that begins with {{flox_env}}, not {value!r}"
            )
        return value

    def parts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Take a list of `PATH_PARTS`."""
        values = self._take(key, list, "a list of strings")
        for value in values or ():
            if value not in PATH_PARTS:
                raise self.invalid(key, f"knows {', '.join(PATH_PARTS)}, not {value!r}")
        return default if values is None else tuple(dict.fromkeys(values))

    def require_version(self, key: str, present: str) -> None:
        """Take the least version of nixenv, and refuse what this one is too old for."""
        wanted = self.string(key)
        if wanted is None:
            return
        if not _RELEASE.fullmatch(wanted):
            raise self.invalid(key, f"wants a version of nixenv, such as 0.1, not {wanted!r}")
        if _release(present) < _release(wanted):
            raise self.invalid(key, f"it needs nixenv {wanted} or newer, and this is {present}")

    def variables(self) -> tuple[str, ...]:
        """List the keys, where each is the name of a variable that a profile may set."""
        for key in self._left:
            if not is_variable_name(key):
                raise self.invalid(key, "is no name of an environment variable")
            if key in RESERVED or key.startswith("__nixenv"):
                raise self.invalid(key, "is not for a profile to set")
        return tuple(self._left)

    def text(self, key: str) -> str:
        """Take a value with names in it (`nixenv.road.names`)."""
        value = self._value(key)
        for name in find_names(value):
            if name not in NAMES:
                known = ", ".join(f"{{{name}}}" for name in NAMES)
                detail = f"has an unknown name {{{name}}}; known are {known}"
                raise self.invalid(key, f"{detail}; as it stands, write {{{{{name}}}}}")
        self._refuse_variables(key, value)
        if key == LIBRARY_PATH_OF_LOADER and not is_made_of_names(value):
            raise self.invalid(
                key,
                "libraries are loaded from there: each entry must begin with a name, such as "
                f"{{library_dirs}}, and hold no `..`, not {value!r}",
            )
        return value

    def entries(self, key: str) -> str:
        """Take entries of a path list, separated by colons."""
        value = self.text(key)
        if not all(value.split(":")):
            raise self.invalid(key, f"wants entries separated by colons, none empty, not {value!r}")
        return value

    def subdirectory(self, key: str) -> str:
        """Take a directory below the cache directory."""
        value = self._value(key)
        self._refuse_variables(key, value)
        parts = value.split("/")
        is_plain = not {"", ".", ".."}.intersection(parts)
        if not is_plain or find_names(value) or key == LIBRARY_PATH_OF_LOADER:
            raise self.invalid(key, f"wants a plain path below the cache directory, not {value!r}")
        return value

    def removed(self, key: str) -> str:
        """Take the mark of a variable that is to be unset."""
        if not self._take(key, bool, "true or false"):
            raise self.invalid(key, "wants true; to leave the variable alone, leave it out")
        return key

    def refuse_unknown(self) -> None:
        """Refuse what was not taken."""
        for key in self._left:
            known = f"{', '.join(self._known)}{suggest(key, self._known)}"
            raise self.invalid(key, f"is no key of a profile; known here: {known}")

    def _take(self, key: str, kind: type, wanted: str) -> "Any":
        self._known.append(key)
        value = self._left.pop(key, None)
        if value is not None and type(value) is not kind:
            raise self.invalid(key, f"wants {wanted}, not {_toml_type(value)}")
        return value

    def _value(self, key: str) -> str:
        value = str(self._take(key, str, "a string") or "")
        if "\0" in value:
            raise self.invalid(key, "holds a NUL, which no environment variable can")
        return value

    def _refuse_variables(self, key: str, value: str) -> None:
        for name in find_variables(value):
            advice = suggest_name(name, key)
            if advice:
                detail = f"no shell reads it, and ${name} would be handed on as it stands"
                raise self.invalid(key, f"{detail}: {advice}")


def find_line(text: str, key: str) -> int | None:
    """Find the line of a key in TOML; None where it stands nowhere, or more than once.

    >>> find_line("[cuda]\\nversion = '12'\\n[python]\\nversion = 3", "python.version")
    4
    """
    lines = []
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = f"{header[1]}."
            name = header[1]
        else:
            name = table + line.partition("=")[0]
        if "".join(name.split()).replace('"', "").replace("'", "") == "".join(key.split()):
            lines.append(number)
    return lines[0] if len(lines) == 1 else None


def _release(version: str) -> tuple[int, ...]:
    match = _RELEASE.match(version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _toml_type(value: object) -> str:
    return _TOML_TYPES.get(type(value), "a date or time")
