"""POSIX sh, and so dash, bash and zsh: one text that is right in each of them.

It keeps no scratch variable, so that nothing shows where a user has zsh tell of each new one, and
starts no process unless a directory is missing.
"""

from collections.abc import Iterable, Mapping

from nixenv.road.plan import (
    Append,
    Default,
    Environment,
    MakeDirectory,
    Operation,
    Prepend,
    Remove,
    Set,
    Unset,
)

# A variable is unset before it is set: Flox 1.15 traces how bash's variables grow, and replays it;
# a list that grew, replayed onto an empty variable, would have an empty entry. Not in zsh, where it
# would undo the user's `typeset -T`; nor PATH, which is empty for nobody: who attaches has one of
# its own, and keeps it.
_SET = """\
__nixenv_set() {
  [ -n "${ZSH_VERSION-}" ] || [ "$1" = PATH ] || unset "$1"
  export "$1=$2"
}
"""
# NAME LIST REST GONE: set NAME to LIST and those entries of REST that are neither in it yet nor in
# GONE. The two colons at the end are an empty entry, which counts as there.
_JOIN = """\
__nixenv_join() {
  set -- "$1" "$2" "$3:" "$4"
  while [ -n "$3" ]; do
    case ":$2:$4::" in
      *":${3%%:*}:"*) set -- "$1" "$2" "${3#*:}" "$4" ;;
      *) set -- "$1" "$2${2:+:}${3%%:*}" "${3#*:}" "$4" ;;
    esac
  done
  if [ -n "$2" ]; then __nixenv_set "$1" "$2"; else unset "$1"; fi
}
"""
_CLEAN_UP = "unset -f __nixenv_set __nixenv_join\n"


def render(environment: Environment, _environ: Mapping[str, str]) -> str:
    """Write statements for any POSIX shell, to be evaluated or sourced, once or again."""
    operations = environment.operations
    lines = (*_make_directories(operations), *_statements(operations))
    return _SET + _JOIN + "".join(f"{line}\n" for line in lines) + _CLEAN_UP


def quote(value: str) -> str:
    """Quote any value as one word.

    Always: what `shlex.quote` leaves bare, such as ``=word``, zsh expands.
    """
    return "'" + value.replace("'", "'\"'\"'") + "'"


def make_directories(paths: Iterable[str]) -> str:
    """Write the command that makes directories, for a shell of its own.

    mkdir complains of each: of many below one that cannot be written the first is told.

    Args:
        paths: Their paths, each as one word.
    """
    tell = "IFS= read -r line && printf '%s\\n' \"$line\" >&2; while read -r line; do :; done"
    return f"command mkdir -p -m 700 -- {' '.join(paths)} 2>&1 | {{ {tell}; }}"


def _statements(operations: Iterable[Operation]) -> Iterable[str]:
    for operation in operations:
        match operation:
            case Unset(name=name):
                yield f"unset {name}"
            case Set(name=name, value=value):
                yield f"__nixenv_set {name} {quote(value)}"
            case Default(name=name, value=value):
                # Exported also where it was set and not exported; with its value, for Flox to tell
                # a second shell what the user gave the first.
                yield (
                    f'if [ -n "${{{name}+set}}" ]; then export {name}="${name}"; '
                    f"else __nixenv_set {name} {quote(value)}; fi"
                )
            case Prepend(name=name, entries=entries):
                yield f"""__nixenv_join {name} {quote(":".join(entries))} "${{{name}-}}" ''"""
            case Append(name=name, entries=entries):
                yield f"""__nixenv_join {name} '' "${{{name}-}}":{quote(":".join(entries))} ''"""
            case Remove(name=name, entries=entries):
                yield f"""__nixenv_join {name} '' "${{{name}-}}" {quote(":".join(entries))}"""


def _make_directories(operations: Iterable[Operation]) -> Iterable[str]:
    """Make them first, in one process if any is missing.

    One that cannot be made is mkdir's to complain of, once for all of them, and no reason to stop.
    """
    paths = [
        quote(operation.path) for operation in operations if isinstance(operation, MakeDirectory)
    ]
    if paths:
        there = " && ".join(f"[ -d {path} ]" for path in paths)
        yield f"{there} || ({make_directories(paths)}) || :"
