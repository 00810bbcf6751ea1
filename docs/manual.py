"""Man pages and completions of the programs, out of what their ``--help`` is made of.

``python -m docs.manual DIRECTORY`` writes them below a directory, as a wheel has them below share/.
"""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from nixenv import __version__
from nixenv.cli import cli
from nixenv.sglang.resolve import cli as resolve_model
from nixenv.sglang.serve import cli as serve

PROGRAMS = {"nixenv": cli, "sglang-resolve-model": resolve_model, "sglang-serve": serve}

# The program that is installed writes them: they fit its click, which is not that of the build.
_COMPLETIONS = {
    "bash-completion/completions/{name}": 'eval "$({variable}=bash_source {name})"\n',
    "fish/vendor_completions.d/{name}.fish": "{variable}=fish_source {name} | source\n",
    # The first time, zsh calls this file for a completion.
    "zsh/site-functions/_{name}": '#compdef {name}\neval "$({variable}=zsh_source {name})"\n'
    '{function} "$@"\n',
}


def render_files() -> dict[str, str]:
    """Render all of them: the text of each by its path below ``share``."""
    files = {}
    for name, program in PROGRAMS.items():
        identifier = name.replace("-", "_")
        words = {
            "name": name,
            "variable": f"_{identifier.upper()}_COMPLETE",
            "function": f"_{identifier}_completion",
        }
        for path, text in _COMPLETIONS.items():
            files[path.format_map(words)] = text.format_map(words)
        for context in _contexts(name, program):
            title = context.command_path.replace(" ", "-")
            files[f"man/man1/{title}.1"] = render_page(context)
    return files


def render_page(context: click.Context) -> str:
    """Render the man page of a program, or of one of its commands."""
    command, path = context.command, context.command_path
    title = path.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {_escape(title.upper())} 1 "" "nixenv {_escape(__version__)}" "nixenv"',
        *(".SH NAME", f"{_escape(title)} \\- {_escape(_summary(command))}"),
        *(".SH SYNOPSIS", f"\\fB{_escape(path)}\\fP {_escape(usage)}"),
        *(".SH DESCRIPTION", *_paragraphs(command.help), *_paragraphs(command.epilog)),
        *(".SH OPTIONS", *_options(context)),
        *_commands(context),
    ]
    return "\n".join(lines) + "\n"


def _contexts(name: str, command: click.Command) -> Iterator[click.Context]:
    context = _context(name, command)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield _context(child, found, context)


def _context(
    name: str, command: click.Command, parent: click.Context | None = None
) -> click.Context:
    return click.Context(command, parent, name, **command.context_settings)


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(limit=200).removesuffix(".")


def _paragraphs(text: str | None) -> Iterator[str]:
    """Set the paragraphs of a help text; one that begins with ``\\b`` keeps its lines."""
    for paragraph in [] if text is None else re.split(r"\n\s*\n", cleandoc(text)):
        yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *map(_escape, paragraph.removeprefix("\b\n").splitlines()), ".fi")
        else:
            yield _escape(" ".join(paragraph.split()))


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from _entry(*record)


def _commands(context: click.Context) -> Iterator[str]:
    children = list(_contexts(context.info_name or "", context.command))[1:]
    if children:
        yield ".SH COMMANDS"
    for child in children:
        yield from _entry(
            child.command_path.replace(" ", "-"), child.command.get_short_help_str(200)
        )


def _entry(term: str, text: str) -> tuple[str, ...]:
    return ".TP", f"\\fB{_escape(term)}\\fP", _escape(text)


def _escape(text: str) -> str:
    """Give a line as roff takes it: nothing in it is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    for path, text in render_files().items():
        file = Path(sys.argv[1], path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
