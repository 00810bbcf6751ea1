"""bash, for the on-activate hook alone: what every activation waits for.

The hook evaluates it in a function of its own, where IFS is local, no pattern is expanded, and what
is assigned is exported. It unsets each variable before it sets it: Flox 1.15 traces how
variables grow and replays that, and a list that grew, replayed onto an empty variable, would have
an empty entry. Not PATH, which is empty for nobody: who attaches has one of its own, and keeps it.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from nixenv.road.plan import (
    Append,
    Default,
    Environment,
    MakeDirectory,
    Operation,
    Prepend,
    Set,
    Unset,
    compute,
)
from nixenv.shells.posix import quote

Keep = Callable[[str], str]
"""Keeps a value as a record of its own, and gives the expansion that it is read back with."""

# A value of this many characters is worth a record of its own.
_LONG = 200

# A list is mostly as it was the last time; to go through its entries is then most of the work. Bash
# splits no word in an assignment or after `case`; a long value in quotes takes three times as long
# there.
_JOIN = """\
if [ "${{{name}-}}" = {before} ]; then
  {unset}{name}={after}
else
  __nixenv_list={first} __nixenv_entry={rest}
  for __nixenv_entry in $__nixenv_entry; do
    case :$__nixenv_list: in
      *":$__nixenv_entry:"*) ;;
      *) __nixenv_list+=${{__nixenv_entry:+:$__nixenv_entry}} ;;
    esac
  done
  {unset}{name}=${{__nixenv_list#:}}
fi
"""


def write_statements(environment: Environment, keep: Keep, environ: Mapping[str, str]) -> str:
    """Write the statements. Directories are not made: the hook looks whether they are there.

    Args:
        environment: The operations.
        keep: Keeps a long value.
        environ: The variables as the next activation is likely to find them.
    """
    operations = (o for o in environment.operations if not isinstance(o, MakeDirectory))
    groups = groupby(operations, lambda operation: isinstance(operation, Set | Default))
    body = "".join(
        _assign(list(group), keep) if together else _one_by_one(group, keep, environ)
        for together, group in groups
    )
    return f"IFS=:\n{body}unset __nixenv_list __nixenv_entry\n"


def _word(value: str, keep: Keep) -> str:
    """Write a value as it may stand behind ``=``, where bash splits no word."""
    return quote(value) if len(value) < _LONG else keep(value)


def _assign(operations: Iterable[Operation], keep: Keep) -> str:
    """Write several assignments as one command, which bash makes in their order."""
    names = []
    words = []
    for operation in operations:
        match operation:
            case Set(name=name, value=value):
                names.append(name)
                words.append(f"{name}={_word(value, keep)}")
            case Default(name=name, value=value):
                words.append(f"{name}=${{{name}-{_word(value, keep)}}}")
    unset = f"unset {' '.join(names)}\n" if names else ""
    return f"{unset}{' '.join(words)}\n"


def _one_by_one(operations: Iterable[Operation], keep: Keep, environ: Mapping[str, str]) -> str:
    lines = []
    for operation in operations:
        match operation:
            case Unset(name=name):
                lines.append(f"unset {name}\n")
            case Prepend() | Append():
                lines.append(_join(operation, keep, environ))
    return "".join(lines)


def _join(operation: Prepend | Append, keep: Keep, environ: Mapping[str, str]) -> str:
    """Write how a path list comes by its new value."""
    name = operation.name
    before = environ.get(name)
    after = compute(Environment((operation,)), environ)[name] or ""
    entries, held = _word(":".join(operation.entries), keep), f"${{{name}-}}"
    return _JOIN.format(
        name=name,
        before=f'"{keep(before)}"' if before else "''",
        after=_word(after, keep),
        first=entries if isinstance(operation, Prepend) else "",
        rest=held if isinstance(operation, Prepend) else f"{held}:{entries}",
        unset="" if name == "PATH" else f"unset {name}; ",
    )
