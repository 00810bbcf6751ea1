"""fish."""

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
from nixenv.shells.posix import make_directories

# `--path` variables split and join at colons by themselves; a command substitution would split at
# line breaks too.
_JOIN = """\
function __nixenv_join
    set -g --path __nixenv_list
    test -z "$argv[1]"; or set -g --path __nixenv_list $argv[1]
    set -g --path __nixenv_rest $argv[2]
    set -g --path __nixenv_gone $argv[3]
    for __nixenv_entry in $__nixenv_rest
        if test -n "$__nixenv_entry"
            and not contains -- "$__nixenv_entry" $__nixenv_list $__nixenv_gone
            set -ga __nixenv_list "$__nixenv_entry"
        end
    end
end
"""
_CLEAN_UP = """\
functions -e __nixenv_join
set -eg __nixenv_list
set -eg __nixenv_rest
set -eg __nixenv_gone
"""


def render(environment: Environment, _environ: Mapping[str, str]) -> str:
    """Write statements for fish: ``nixenv export --shell fish | source``."""
    operations = environment.operations
    lines = "".join(
        f"{line}\n" for line in (*_make_directories(operations), *_statements(operations))
    )
    return f"{_JOIN}{lines}{_CLEAN_UP}"


def quote(value: str) -> str:
    """Quote any value as one word. fish's single quotes know two escapes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _make_directories(operations: Iterable[Operation]) -> Iterable[str]:
    paths = [quote(o.path) for o in operations if isinstance(o, MakeDirectory)]
    if paths:
        there = "; and ".join(f"test -d {path}" for path in paths)
        make = quote(make_directories(('"$@"',)))
        yield f"{there}; or sh -c {make} sh {' '.join(paths)}"


def _statements(operations: Iterable[Operation]) -> Iterable[str]:
    for operation in operations:
        match operation:
            case Unset(name=name):
                yield _unset(name)
            case Set(name=name, value=value):
                yield f"set -gx {name} {quote(value)}"
            case Default(name=name, value=value):
                # Exported also where it was set and not exported.
                yield f"set -q {name}; or set -g {name} {quote(value)}"
                yield f'set -gx {name} "${name}"'
            case Prepend(name=name, entries=entries):
                yield f"""__nixenv_join {quote(":".join(entries))} "${name}" ''"""
                yield f'set -gx {name} "$__nixenv_list"'
            case Append(name=name, entries=entries):
                yield f"""__nixenv_join '' "${name}":{quote(":".join(entries))} ''"""
                yield f'set -gx {name} "$__nixenv_list"'
            case Remove(name=name, entries=entries):
                yield f"""__nixenv_join '' "${name}" {quote(":".join(entries))}"""
                yield f'if test -n "$__nixenv_list"; set -gx {name} "$__nixenv_list"'
                yield f"else; {_unset(name)}; end"


def _unset(name: str) -> str:
    # A universal variable shows through; an unexported global one hides it.
    return f"set -eg {name}; set -q {name}; and set -gu {name}"
