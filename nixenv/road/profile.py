"""Profiles: what an environment wants beyond what the closure says. One TOML schema for all."""

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from nixenv.errors import NixenvError, Unreadable, UsageError
from nixenv.versions import MINOR_VERSION, PYTHON_VERSION


class ProfileNotFound(UsageError):
    """Neither a built-in profile nor a file."""

    name: str
    built_in: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        return (
            f"no profile {self.name!r}: it is no file and no built-in profile",
            f"take one of {', '.join(self.built_in)}, or the path of a TOML file",
        )


class ProfileInvalid(NixenvError):
    """A profile that is not what the schema wants."""

    file: str
    key: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return (
            f"{where}: {self.detail}",
            "correct it there; docs/profiles.md lists the keys and their types",
        )


BUILT_IN: Mapping[str, str | None] = {"python-cuda": None, "sglang": "sglang", "vllm": "vllm"}
"""The profiles that come with nixenv, files of the same format, and the program of each.

With the program known before its profile is read, Nix is asked a few milliseconds earlier.
"""

PATH_PARTS = ("nvcc", "ninja", "host-compiler", "cuda-tools")
"""What may follow the interpreter on PATH."""

RECORD_VARIABLE = "NIXENV_ACTIVATION"
"""The variable with the activation record (`nixenv.road.record`)."""

RESERVED = frozenset(
    (
        RECORD_VARIABLE,
        *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
        *("CUDA_HOME", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "IFS"),
        # What they name runs in every program, shell or Python that starts afterwards.
        *("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "PROMPT_COMMAND"),
        "PYTHONSTARTUP",
    )
)
"""Variables that are no profile's to set: nixenv's own, what shells live by, what runs code."""

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TOML_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    list: "a list",
    dict: "a table",
}

_DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "profiles")


class Profile(NamedTuple):
    """What an environment wants. docs/profiles.md is the reference.

    Attributes:
        name: A built-in profile's name, or the file's path.
        binary: The program to look up when the command line names none.
        path: Whose ``bin`` follows the interpreter's on PATH, of `PATH_PARTS`.
        compiler: Whether CC and CXX default to the closure's gcc wrapper.
        python: The Python version ``X.Y``; None to find it out.
        python_required: Whether a closure without Python is an error.
        keep_virtualenv: Whether a virtual environment that the user has put on top of the program's
            Python is kept.
        cuda: The CUDA version ``X.Y``; None to find it out.
        cuda_required: Whether a closure without nvcc is an error.
        cache: Variable to directory below the cache directory; a value the user set wins.
        defaults: Variable to value, with names in it; a value the user set wins.
    """

    name: str
    binary: str | None = None
    path: tuple[str, ...] = ()
    compiler: bool = False
    python: str | None = None
    python_required: bool = False
    keep_virtualenv: bool = False
    cuda: str | None = None
    cuda_required: bool = False
    cache: Mapping[str, str] = MappingProxyType({})
    defaults: Mapping[str, str] = MappingProxyType({})


def load_profile(name: str) -> Profile:
    """Load a built-in profile by name, or a TOML file by path.

    Raises:
        ProfileNotFound: it is neither.
        ProfileInvalid: it is not what the schema wants.
        Unreadable: the file cannot be read.
    """
    import tomllib  # noqa: PLC0415 -- not before Nix is asked, see above

    file = os.path.join(_DIRECTORY, f"{name}.toml") if name in BUILT_IN else name
    if name not in BUILT_IN and not os.path.exists(file):
        raise ProfileNotFound(name, tuple(BUILT_IN))
    if os.path.exists(file) and not os.path.isfile(file):
        raise Unreadable(file, "it is no regular file")
    try:
        with open(file, "rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProfileInvalid(file, "", f"this is no TOML: {error}") from error
    return parse_profile(document, name)


def parse_profile(document: Mapping[str, Any], name: str) -> Profile:
    """Check a TOML document against the schema. Pure.

    Raises:
        ProfileInvalid: it names the key and what is wanted there.
    """
    table = _Table(document, name)
    python = table.table("python")
    cuda = table.table("cuda")
    cache = table.table("cache")
    defaults = table.table("defaults")
    profile = Profile(
        name=name,
        binary=table.string("binary"),
        path=table.parts("path"),
        compiler=table.boolean("compiler"),
        python=python.version("version", PYTHON_VERSION),
        python_required=python.boolean("required"),
        keep_virtualenv=python.boolean("keep-virtualenv"),
        cuda=cuda.version("version"),
        cuda_required=cuda.boolean("required"),
        cache={key: cache.subdirectory(key) for key in cache.variables()},
        defaults={key: defaults.text(key) for key in defaults.variables()},
    )
    for part in (table, python, cuda):
        part.refuse_unknown()
    for key in profile.cache.keys() & profile.defaults.keys():
        raise ProfileInvalid(name, f"defaults.{key}", "it stands under [cache] as well")
    return profile


def to_document(profile: Profile) -> dict[str, Any]:
    """Give the TOML document of a profile: what `parse_profile` takes."""
    return _told(
        binary=profile.binary,
        path=list(profile.path),
        compiler=profile.compiler,
        python={
            **_told(version=profile.python, required=profile.python_required),
            "keep-virtualenv": profile.keep_virtualenv,
        },
        cuda=_told(version=profile.cuda, required=profile.cuda_required),
        cache=dict(profile.cache),
        defaults=dict(profile.defaults),
    )


def _told(**keys: object) -> dict[str, Any]:
    # TOML has no null: what is not there is not said.
    return {key: value for key, value in keys.items() if value is not None}


class _Table:
    """One TOML table, whose keys are taken one by one, so that what is left is unknown."""

    def __init__(self, document: Mapping[str, Any], file: str, prefix: str = "") -> None:
        self._left = dict(document)
        self._known: list[str] = []
        self._file = file
        self._prefix = prefix

    def _invalid(self, key: str, detail: str) -> ProfileInvalid:
        return ProfileInvalid(self._file, f"{self._prefix}{key}", detail)

    def _take(self, key: str, kind: type, wanted: str) -> Any:
        self._known.append(key)
        value = self._left.pop(key, None)
        if value is not None and type(value) is not kind:
            raise self._invalid(key, f"wants {wanted}, not {_toml_type(value)}")
        return value

    def table(self, key: str) -> "_Table":
        return _Table(self._take(key, dict, "a table") or {}, self._file, f"{key}.")

    def boolean(self, key: str) -> bool:
        return bool(self._take(key, bool, "true or false"))

    def string(self, key: str) -> str | None:
        value = self._take(key, str, "a string")
        if value == "":
            raise self._invalid(key, "is empty")
        return None if value is None else str(value)

    def version(self, key: str, pattern: "re.Pattern[str]" = MINOR_VERSION) -> str | None:
        value = self.string(key)
        if value is not None and not pattern.fullmatch(value):
            raise self._invalid(key, f"wants a version X.Y, not {value!r}")
        return value

    def parts(self, key: str) -> tuple[str, ...]:
        values = self._take(key, list, "a list of strings") or ()
        for value in values:
            if value not in PATH_PARTS:
                raise self._invalid(key, f"knows {', '.join(PATH_PARTS)}, not {value!r}")
        return tuple(dict.fromkeys(values))

    def variables(self) -> tuple[str, ...]:
        for key in self._left:
            if not VARIABLE_NAME.fullmatch(key):
                raise self._invalid(key, "is no name of an environment variable")
            if key in RESERVED or key.startswith("__nixenv"):
                raise self._invalid(key, "is not for a profile to set")
        return tuple(self._left)

    def value(self, key: str) -> str:
        value = str(self._take(key, str, "a string") or "")
        if "\0" in value:
            raise self._invalid(key, "holds a NUL, which no environment variable can")
        return value

    def text(self, key: str) -> str:
        """Take a value with names in it (`nixenv.road.names`)."""
        from nixenv.road.names import NAMES, find_names  # noqa: PLC0415 -- not before Nix is asked

        value = self.value(key)
        for name in find_names(value):
            if name not in NAMES:
                known = ", ".join(f"{{{name}}}" for name in NAMES)
                detail = f"has an unknown name {{{name}}}; known are {known}"
                raise self._invalid(key, f"{detail}; as it stands, write {{{{{name}}}}}")
        return value

    def subdirectory(self, key: str) -> str:
        value = self.value(key)
        parts = value.split("/")
        if value.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise self._invalid(key, f"wants a plain path below the cache directory, not {value!r}")
        return value

    def refuse_unknown(self) -> None:
        for key in self._left:
            raise self._invalid(
                key, f"is no key of a profile; known here: {', '.join(self._known)}"
            )


def _toml_type(value: object) -> str:
    return _TOML_TYPES.get(type(value), "a date or time")
