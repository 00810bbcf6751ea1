"""POSIX sh, and so dash, bash and zsh."""

from collections.abc import Callable, Iterable, Mapping

from nixenv.road.plan import (
    Default,
    Environment,
    MakeDirectory,
    Operation,
    Prepend,
    Set,
    Unset,
)

# Put the entries of __nixenv_rest behind those of __nixenv_list, each once. Builtins only, so that
# sourcing the text starts no process.
_JOIN = """\
__nixenv_join() {
  __nixenv_rest=$__nixenv_rest:
  while [ -n "$__nixenv_rest" ]; do
    __nixenv_entry=${__nixenv_rest%%:*}
    __nixenv_rest=${__nixenv_rest#*:}
    case ":$__nixenv_list:" in
      *":$__nixenv_entry:"*) ;;
      *) __nixenv_list=$__nixenv_list${__nixenv_entry:+:$__nixenv_entry} ;;
    esac
  done
}
"""
# The same for bash, which every activation waits for: it splits a list in less than half the time,
# and takes three times as long over a long value in quotes. It splits no word in an assignment or
# after `case`, whatever its options; zsh may.
_JOIN_IN_BASH = """\
__nixenv_join() {
  [[ -n $__nixenv_rest ]] || return 0
  local - IFS=:
  set -f
  for __nixenv_entry in $__nixenv_rest; do
    case :$__nixenv_list: in
      *":$__nixenv_entry:"*) ;;
      *) __nixenv_list+=${__nixenv_entry:+:$__nixenv_entry} ;;
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


def render_bash(environment: Environment, _environ: Mapping[str, str]) -> str:
    """Write statements for bash, in a Flox hook or anywhere else."""
    return write_statements(environment, quote, in_bash=True)


def write_statements(
    environment: Environment, word: Callable[[str], str], *, in_bash: bool = False
) -> str:
    """Write the statements.

    Args:
        environment: The operations.
        word: Makes of a value what may stand behind ``=``, where bash splits no word.
        in_bash: Whether only bash is to read it. A variable is then unset before it is set: Flox
            1.15 traces how bash's variables grow, and replays it: a list that grew, replayed onto
            an empty variable, would have an empty entry. In zsh it would undo the user's
            `typeset -T`.
    """
    operations = environment.operations
    lines = [
        *_make_directories(operations),
        *_statements(operations, word, in_bash=in_bash),
        *_export_defaults(operations),
    ]
    join = _JOIN_IN_BASH if in_bash else _JOIN
    return join + "".join(f"{line}\n" for line in lines) + _CLEAN_UP


def quote(value: str) -> str:
    """Quote any value as one word.

    Always: what `shlex.quote` leaves bare, such as ``=word``, zsh expands.
    """
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _statements(
    operations: Iterable[Operation], word: Callable[[str], str], *, in_bash: bool
) -> Iterable[str]:
    for operation in operations:
        match operation:
            case Unset(name=name):
                yield f"unset {name}"
            case Set(name=name, value=value):
                yield _assignment(name, word(value), in_bash=in_bash)
            case Default(name=name, value=value):
                yield (
                    f"{name}=${{{name}-{word(value)}}}"
                    if in_bash
                    else f'[ -n "${{{name}+set}}" ] || {name}={word(value)}'
                )
            case Prepend(name=name, entries=entries):
                mark = "" if in_bash else '"'
                yield f"__nixenv_list={word(':'.join(entries))}"
                yield f"__nixenv_rest={mark}${{{name}-}}{mark}"
                yield "__nixenv_join"
                yield _assignment(name, f"{mark}$__nixenv_list{mark}", in_bash=in_bash)
            case MakeDirectory():
                pass


def _make_directories(operations: Iterable[Operation]) -> Iterable[str]:
    """Make them first, in one process if any is missing.

    One that cannot be made is mkdir's to complain of, and no reason to stop.
    """
    paths = [
        quote(operation.path) for operation in operations if isinstance(operation, MakeDirectory)
    ]
    if paths:
        there = " && ".join(f"[ -d {path} ]" for path in paths)
        yield f"{there} || command mkdir -p -- {' '.join(paths)} || :"


def _export_defaults(operations: Iterable[Operation]) -> Iterable[str]:
    """Export all that have a default, also those that were set and not exported."""
    names = dict.fromkeys(
        operation.name for operation in operations if isinstance(operation, Default)
    )
    if names:
        yield f"export {' '.join(names)}"


def _assignment(name: str, word: str, *, in_bash: bool) -> str:
    # Not `export NAME=$value`: dash splits that.
    statement = f"{name}={word}; export {name}"
    return f"unset {name}; {statement}" if in_bash else statement
