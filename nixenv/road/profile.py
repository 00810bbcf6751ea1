"""Profiles: what an environment wants beyond what the closure says. One TOML schema for all."""

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from nixenv import __version__
from nixenv.errors import Unreadable, UsageError
from nixenv.files import read_file
from nixenv.road.built_in import SETTINGS
from nixenv.typed import NamedTuple
from nixenv.versions import PYTHON_VERSION

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from nixenv.road.profile_table import Table


class ProfileNotFound(UsageError):
    """Neither a built-in profile nor a file."""

    name: str
    built_in: Sequence[str]

    def _texts(self) -> tuple[str, str]:
        from nixenv.text import suggest  # noqa: PLC0415 -- not before Nix is asked

        return (
            f"no profile {self.name!r}: it is no file and no built-in profile"
            f"{suggest(self.name, self.built_in)}",
            f"take one of {', '.join(self.built_in)}, or the path of a TOML file",
        )


PROFILE_LIMIT = 1 << 20
"""Bytes of a profile; the longest real ones have some ten thousand."""


class Profile(NamedTuple):
    """What an environment wants. docs/profiles.md is the reference.

    Attributes:
        name: A built-in profile's name, or the file's path.
        binary: The program to look up when the command line names none.
        root: The root where the command line names none: an absolute path, or ``{flox_env}``.
        layout: The layout where the command line names none.
        path: Whose ``bin`` follows the interpreter's on PATH, of ``PATH_PARTS``.
        compiler: Whether CC and CXX default to the closure's gcc wrapper.
        python: The Python version ``X.Y``; None to find it out.
        python_required: Whether a closure without Python is an error.
        keep_virtualenv: Whether a virtual environment that the user has put on top of the program's
            Python is kept.
        cuda: The CUDA version ``X.Y``; None to find it out.
        cuda_required: Whether a closure without nvcc is an error.
        cache: Variable to directory below the cache directory; a value the user set wins.
        defaults: Variable to value, with names in it; a value the user set wins.
        fixed: Variable to value, with names in it, whatever the user has set.
        prepended: Variable to entries that come before those of the user, separated by colons.
        appended: Variable to entries that come behind those of the user.
        removed: Variables that are unset.
    """

    name: str
    binary: str | None = None
    root: str | None = None
    layout: str | None = None
    path: tuple[str, ...] = ()
    compiler: bool = False
    python: str | None = None
    python_required: bool = False
    keep_virtualenv: bool = False
    cuda: str | None = None
    cuda_required: bool = False
    cache: Mapping[str, str] = MappingProxyType({})
    defaults: Mapping[str, str] = MappingProxyType({})
    fixed: Mapping[str, str] = MappingProxyType({})
    prepended: Mapping[str, str] = MappingProxyType({})
    appended: Mapping[str, str] = MappingProxyType({})
    removed: tuple[str, ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """The variables that it has a word on."""
        tables = (self.cache, self.defaults, self.fixed, self.prepended, self.appended)
        return frozenset((*self.removed, *(name for table in tables for name in table)))


def _frozen(name: str, settings: "Mapping[str, Any]") -> Profile:
    """Make a profile that everybody shares."""
    frozen: dict[str, Any] = {
        key: MappingProxyType(value) if isinstance(value, dict) else value
        for key, value in settings.items()
    }
    return Profile(name, **frozen)


BUILT_IN: Mapping[str, Profile] = {name: _frozen(name, SETTINGS[name]) for name in SETTINGS}
"""The profiles that come with nixenv, by their names."""


def load_profile(name: str) -> Profile:
    """Load a built-in profile by name, or a TOML file by path.

    Raises:
        ProfileNotFound: it is neither.
        ProfileInvalid: it is not what the schema wants.
        Unreadable: the file cannot be read.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if not os.path.exists(name):
        raise ProfileNotFound(name, tuple(BUILT_IN))
    return read_profile(name)


def read_profile(file: str) -> Profile:
    """Read a TOML file.

    Raises:
        ProfileInvalid: it is not what the schema wants.
        Unreadable: it cannot be read.
    """
    import tomllib  # noqa: PLC0415 -- the built-in profiles do without

    from nixenv.road.profile_table import ProfileInvalid, find_line  # noqa: PLC0415 -- likewise

    try:
        text = read_file(file, PROFILE_LIMIT).decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
    # Beside what is no TOML and no UTF-8: an integer of more digits than Python reads.
    except (ValueError, RecursionError) as error:
        raise ProfileInvalid(file, "", f"this is no TOML: {error}", None) from error
    try:
        return parse_profile(document, file)
    except ProfileInvalid as error:
        line = find_line(text, error.key)
        raise ProfileInvalid(error.file, error.key, error.detail, line) from None


def parse_profile(document: "Mapping[str, Any]", name: str, base: Profile | None = None) -> Profile:
    """Check a TOML document against the schema.

    Args:
        document: The document.
        name: The profile's name, or its file.
        base: The profile that it extends, unless it names a built-in one itself.

    Raises:
        ProfileInvalid: it names the key and what is wanted there.
    """
    from nixenv.road.profile_table import Table  # noqa: PLC0415 -- the built-in ones do without

    table = Table(document, name)
    table.require_version("minimum-version", __version__)
    base = _find_base(table, base or Profile(name))
    python, cuda = table.table("python"), table.table("cuda")
    profile = Profile(
        name=name,
        binary=table.string("binary", base.binary),
        root=table.root("root", base.root),
        layout=table.layout("layout", base.layout),
        path=table.parts("path", base.path),
        compiler=table.boolean("compiler", base.compiler),
        python=python.version("version", base.python, PYTHON_VERSION),
        python_required=python.boolean("required", base.python_required),
        keep_virtualenv=python.boolean("keep-virtualenv", base.keep_virtualenv),
        cuda=cuda.version("version", base.cuda),
        cuda_required=cuda.boolean("required", base.cuda_required),
        **_parse_variables(table, base),
    )
    for part in (table, python, cuda):
        part.refuse_unknown()
    return profile


def _find_base(table: "Table", otherwise: Profile) -> Profile:
    """Find the built-in profile that another one extends, if it says so."""
    base = table.string("extends")
    if base is None:
        return otherwise
    if base not in BUILT_IN:
        raise table.invalid("extends", f"takes one of {', '.join(BUILT_IN)}, not {base!r}")
    return BUILT_IN[base]


_VARIABLE_TABLES: Mapping[str, tuple[str, str]] = {
    "cache": ("cache", "subdirectory"),
    "defaults": ("defaults", "text"),
    "set": ("fixed", "text"),
    "prepend": ("prepended", "entries"),
    "append": ("appended", "entries"),
    "unset": ("removed", "removed"),
}
"""The tables of variables: by its key, the attribute of `Profile`, and what takes its values."""


def _parse_variables(table: "Table", base: Profile) -> "dict[str, Any]":
    """Take the tables of variables: what is said of one here replaces what the base says of it."""
    own: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    for key, (attribute, kind) in _VARIABLE_TABLES.items():
        part = table.table(key)
        for name in part.variables():
            if name in places:
                raise part.invalid(name, f"it stands under [{places[name]}] as well")
            places[name] = key
        own[attribute] = {name: getattr(part, kind)(name) for name in part.variables()}
    inherited = {
        attribute: {name: value for name, value in _items(base, attribute) if name not in places}
        for attribute in own
    }
    merged = {attribute: {**inherited[attribute], **own[attribute]} for attribute in own}
    return {**merged, "removed": tuple(merged["removed"])}


def _items(profile: Profile, attribute: str) -> Iterable[tuple[str, str]]:
    held = getattr(profile, attribute)
    return held.items() if isinstance(held, Mapping) else zip(held, held, strict=True)


def to_document(profile: Profile) -> "dict[str, Any]":
    """Give the TOML document of a profile: what `parse_profile` takes, and nothing is extended."""
    return _told(
        binary=profile.binary,
        root=profile.root,
        layout=profile.layout,
        path=list(profile.path),
        compiler=profile.compiler,
        python={
            **_told(version=profile.python, required=profile.python_required),
            "keep-virtualenv": profile.keep_virtualenv,
        },
        cuda=_told(version=profile.cuda, required=profile.cuda_required),
        cache=dict(profile.cache),
        defaults=dict(profile.defaults),
        set=dict(profile.fixed),
        prepend=dict(profile.prepended),
        append=dict(profile.appended),
        unset=dict.fromkeys(profile.removed, True),
    )


def _told(**keys: object) -> "dict[str, Any]":
    # TOML has no null: what is not there is not said.
    return {key: value for key, value in keys.items() if value is not None}
