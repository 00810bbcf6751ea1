"""bash, for the on-activate hook alone: what every activation waits for.

The hook evaluates it in a function of its own, where IFS is a colon, no pattern is expanded, and
what is assigned is exported. It unsets each variable before it sets it: Flox 1.15 traces how
variables grow and replays that, and a list that grew, replayed onto an empty variable, would have
an empty entry. Not PATH, which is empty for nobody: who attaches has one of its own, and keeps it.
"""

from collections.abc import Callable, Iterable
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
)

# Bash splits no word in an assignment or after `case`; a long value in quotes takes three times as
# long there.
_JOIN = """\
for __nixenv_entry in ${{{rest}-}}; do
  case :$__nixenv_list: in
    *":$__nixenv_entry:"*) ;;
    *) __nixenv_list+=${{__nixenv_entry:+:$__nixenv_entry}} ;;
  esac
done
{unset}{name}=${{__nixenv_list#:}}
"""


def write_statements(environment: Environment, word: Callable[[str], str]) -> str:
    """Write the statements. Directories are not made: the hook looks whether they are there.

    Args:
        environment: The operations.
        word: Makes of a value what may stand behind ``=``, where bash splits no word.
    """
    operations = (o for o in environment.operations if not isinstance(o, MakeDirectory))
    groups = groupby(operations, lambda operation: isinstance(operation, Set | Default))
    body = "".join(
        _assign(list(group), word) if together else _one_by_one(group, word)
        for together, group in groups
    )
    return f"{body}unset __nixenv_list __nixenv_entry\n"


def _assign(operations: Iterable[Operation], word: Callable[[str], str]) -> str:
    """Write several assignments as one command, which bash makes in their order."""
    names = []
    words = []
    for operation in operations:
        match operation:
            case Set(name=name, value=value):
                names.append(name)
                words.append(f"{name}={word(value)}")
            case Default(name=name, value=value):
                words.append(f"{name}=${{{name}-{word(value)}}}")
            case _:
                pass
    unset = f"unset {' '.join(names)}\n" if names else ""
    return f"{unset}{' '.join(words)}\n"


def _one_by_one(operations: Iterable[Operation], word: Callable[[str], str]) -> str:
    lines = []
    for operation in operations:
        match operation:
            case Unset(name=name):
                lines.append(f"unset {name}\n")
            case Prepend(name=name, entries=entries):
                lines.append(f"__nixenv_list={word(':'.join(entries))}\n")
                unset = "" if name == "PATH" else f"unset {name}\n"
                lines.append(_JOIN.format(name=name, rest=name, unset=unset))
            case Append(name=name, entries=entries):
                lines.append(
                    f"__nixenv_list= __nixenv_entry=${{{name}-}}:{word(':'.join(entries))}\n"
                )
                rest = "__nixenv_entry"
                lines.append(_JOIN.format(name=name, rest=rest, unset=f"unset {name}\n"))
            case _:
                pass
    return "".join(lines)
