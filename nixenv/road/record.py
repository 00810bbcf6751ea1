"""The activation record: what an activation has set, told to the next one. Pure.

The text of an activation sets one variable, NIXENV_ACTIVATION. It is data: parsed strictly, and
never executed. Of values and of the entries of path lists it holds digests: what somebody has
changed since is not ours any more. It is one line::

    1 root:/nix/store/…-sglang-0.5.9 profile:sglang python:/nix/store/…/bin/python3.12
    environment:/…/.flox/run/x86_64-linux.x cache:/…/.flox/cache layout:store
    NIXENV_PROFILE@6-0f1a22e3/1c-77aa01b2 CUDA_HOME=4f-a3b1c2d3 PATH+=2a-0b1c2d3e,31-8f7e6d5c

Who makes a text while a record is there takes back what it tells of. What a user's variable held
before that is not known any more.
"""

import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping

from nixenv.road.plan import Append, Environment, Operation, Prepend, Remove, Unset, compute
from nixenv.road.variables import RECORD_VARIABLE
from nixenv.text import decode_word, encode_word
from nixenv.typed import NamedTuple

SETTINGS = ("NIXENV_PROFILE", "NIXENV_LAYOUT", "NIXENV_ROOT")
"""Variables that are meant for one activation, and that a nested environment inherits."""

_VERSION = "1"

# Ours have a few kilobytes.
_LIMIT = 64 << 10

# Compiled where a record is there to be read: in a first activation there is none.
_DIGEST = r"[0-9a-f]+-[0-9a-f]{8}"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FIELD = r"([a-z]+):(\S*)"
_SETTING = rf"({'|'.join(SETTINGS)})@({_DIGEST})/({_DIGEST})"
_VALUE = rf"({_NAME})=({_DIGEST})"
_ENTRIES = rf"({_NAME})\+=({_DIGEST}(?:,{_DIGEST})*)"


class ActivationRecord(NamedTuple):
    """What an activation has set.

    Attributes:
        root: The root's store path.
        profile: The profile's name, or its file.
        python: The interpreter's file.
        environment: ``$FLOX_ENV``; empty outside of Flox.
        cache: The cache directory.
        layout: ``store`` or ``linked``.
        settings: Of `SETTINGS`, the digest of the value and of the environment that it is for.
        values: Variable to digest of the value that was set.
        entries: Variable to digests of the entries that were added to it.
    """

    root: str
    profile: str
    python: str
    environment: str
    cache: str
    layout: str
    settings: Mapping[str, tuple[str, str]]
    values: Mapping[str, str]
    entries: Mapping[str, tuple[str, ...]]


_FIELDS = ActivationRecord._fields[:6]


def make_record(
    environment: Environment,
    fields: tuple[str, str, str, str, str, str],
    environ: Mapping[str, str],
    earlier: ActivationRecord | None = None,
) -> ActivationRecord:
    """Make the record of an environment.

    Args:
        environment: The operations, without those that take an earlier activation back.
        fields: The record's first six attributes.
        environ: The variables before; entries that are in them already are not ours.
        earlier: The record of the activation in whose environment this one is made.
    """
    lists = _list_entries(environment)
    held = {name: environ.get(name, "").split(os.pathsep) for name in lists}
    entries = {
        name: tuple(_digest(entry) for entry in ours if entry not in held[name])
        for name, ours in lists.items()
    }
    # As if the user had set none of them: of one that the user did set, the digest differs.
    values = {
        name: _digest(value)
        for name, value in compute(environment, {}).items()
        if value is not None and name not in lists
    }
    settings = {
        name: _attribute(name, environ[name], fields[3], earlier)
        for name in SETTINGS
        if environ.get(name)
    }
    return ActivationRecord(*fields, settings, values, {n: e for n, e in entries.items() if e})


def holds_all(record: ActivationRecord, environment: Environment) -> bool:
    """Say whether every entry of the environment's path lists is the record's: none was there."""
    lists = _list_entries(environment)
    return all(len(record.entries.get(name, ())) == len(ours) for name, ours in lists.items())


def format_record(record: ActivationRecord) -> str:
    """Write a record as the one line that `parse_record` takes."""
    return " ".join(
        (
            _VERSION,
            *(f"{name}:{encode_word(getattr(record, name))}" for name in _FIELDS),
            *(f"{name}@{'/'.join(pair)}" for name, pair in record.settings.items()),
            *(f"{name}={digest}" for name, digest in record.values.items()),
            *(f"{name}+={','.join(digests)}" for name, digests in record.entries.items()),
        )
    )


def parse_record(text: str) -> ActivationRecord:
    """Read a record: exactly what `format_record` writes.

    Raises:
        ValueError: anything else; another version's, too.
    """
    if len(text) > _LIMIT:
        raise ValueError("it is too long for an activation record")
    version, *words = text.split(" ")
    if version != _VERSION:
        raise ValueError("it is no activation record of this version")
    fields = {m[1]: decode_word(m[2]) for m in _matches(_FIELD, words)}
    root, profile, python, environment, cache, layout = (fields.get(n, "") for n in _FIELDS)
    record = ActivationRecord(
        root,
        profile,
        python,
        environment,
        cache,
        layout,
        {m[1]: (m[2], m[3]) for m in _matches(_SETTING, words)},
        {m[1]: m[2] for m in _matches(_VALUE, words)},
        {m[1]: tuple(m[2].split(",")) for m in _matches(_ENTRIES, words)},
    )
    # Unknown and doubled words, another order, needless escapes, what no path or variable can hold.
    if format_record(record) != text or "\0" in "".join(fields.values()):
        raise ValueError("it is not as nixenv writes it")
    return record


def read_record(environ: Mapping[str, str]) -> ActivationRecord | None:
    """Read the record of the activation that made this environment; None without a usable one."""
    try:
        return parse_record(environ.get(RECORD_VARIABLE, ""))
    except ValueError:
        return None


def plan_undo(record: ActivationRecord, environ: Mapping[str, str]) -> tuple[Operation, ...]:
    """Plan to take back what an activation has set, where it is still as it was set."""
    held = {name: value for name, value in environ.items() if name in record.values}
    lists = {name: environ.get(name, "").split(os.pathsep) for name in record.entries}
    ours = {
        name: tuple(e for e in dict.fromkeys(lists[name]) if e and _digest(e) in digests)
        for name, digests in record.entries.items()
    }
    return (
        *(Unset(name) for name, value in held.items() if _digest(value) == record.values[name]),
        *(Remove(name, entries) for name, entries in ours.items() if entries),
    )


def list_inherited(record: ActivationRecord, environ: Mapping[str, str]) -> tuple[str, ...]:
    """List those of `SETTINGS` whose value was meant for another environment than this one."""
    here = _digest(environ.get("FLOX_ENV", ""))
    return tuple(
        name
        for name, (value, environment) in record.settings.items()
        if environment != here and _digest(environ.get(name, "")) == value
    )


def _list_entries(environment: Environment) -> dict[str, list[str]]:
    """Give, of each path list, the entries that the environment adds."""
    alone = compute(environment, {})
    names = (o.name for o in environment.operations if isinstance(o, Prepend | Append))
    return {name: (alone[name] or "").split(os.pathsep) for name in names}


def _attribute(
    name: str, value: str, environment: str, earlier: ActivationRecord | None
) -> tuple[str, str]:
    """Say for which environment a setting is: for the first that had it with this value."""
    known = earlier.settings.get(name) if earlier else None
    if known is not None and known[0] == _digest(value):
        return known
    return _digest(value), _digest(environment)


def _digest(value: str) -> str:
    # Nobody gains by a value that is taken for ours: it is unset. And hashlib takes 3 ms to load.
    raw = os.fsencode(value)
    return f"{len(raw):x}-{zlib.crc32(raw):08x}"


def _matches(pattern: str, words: Iterable[str]) -> Iterator[re.Match[str]]:
    return filter(None, (re.fullmatch(pattern, word) for word in words))
