"""POSIX sh, and so dash, bash and zsh."""

from collections.abc import Callable, Iterable, Mapping

from nixenv.environment import (
    Default,
    Environment,
    MakeDirectory,
    Operation,
    Prepend,
    Set,
    Unset,
)

# Builtins only, so that sourcing the text starts no process. The list is made in a scratch
# variable: Flox 1.15 replays a self-referencing prepend, and a replay onto an empty variable would
# leave an empty entry behind.
_JOIN = """\
__nixenv_join() {
  __nixenv_list=$1
  __nixenv_rest=$2:
  while [ -n "$__nixenv_rest" ]; do
    __nixenv_entry=${__nixenv_rest%%:*}
    __nixenv_rest=${__nixenv_rest#*:}
    case ":$__nixenv_list:" in
      *":$__nixenv_entry:"*) ;;
      *) if [ -n "$__nixenv_entry" ]; then __nixenv_list=$__nixenv_list:$__nixenv_entry; fi ;;
    esac
  done
}
"""
_CLEAN_UP = """\
unset -f __nixenv_join
unset __nixenv_list __nixenv_rest __nixenv_entry
"""


def render(environment: Environment, _environ: Mapping[str, str]) -> str:
    """Write statements for any POSIX shell, to be evaluated or sourced, once or again."""
    return write_statements(environment, quote)


def write_statements(environment: Environment, word: Callable[[str], str]) -> str:
    """Write the statements, with each value as the one word that ``word`` makes of it."""
    lines = "".join(f"{line}\n" for line in _statements(environment.operations, word))
    return f"{_JOIN}{lines}{_CLEAN_UP}"


def quote(value: str) -> str:
    """Quote any value as one word.

    Always: what `shlex.quote` leaves bare, such as ``=word``, zsh expands.
    """
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _statements(operations: Iterable[Operation], word: Callable[[str], str]) -> Iterable[str]:
    for operation in operations:
        match operation:
            case Unset(name=name):
                yield f"unset {name}"
            case Set(name=name, value=value):
                yield f"unset {name}; export {name}={word(value)}"
            case Default(name=name, value=value):
                yield f'if [ -z "${{{name}+set}}" ]; then export {name}={word(value)}; fi'
            case Prepend(name=name, entries=entries):
                yield f'__nixenv_join {word(":".join(entries))} "${{{name}-}}"'
                yield f'unset {name}; export {name}="$__nixenv_list"'
            case MakeDirectory(path=path):
                yield f"[ -d {word(path)} ] || mkdir -p -- {word(path)}"
