"""``nixenv activate``: the hook's own command, for the first activation of a root.

It is ``nixenv export`` with the variables in the place of options, and it keeps the text for the
hook's next time. It has no options and no help, and so does without click: every first activation
waits for what is imported here.
"""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from nixenv.console import emit, patience, run_program, say, say_findings
from nixenv.errors import OutputFailed, UsageError
from nixenv.places import Layout, LayoutUnknown
from nixenv.process import parse_limit
from nixenv.request import Prepared, Selection, export, make_directories


class NotForPeople(UsageError):
    """A command that only the hook gives, given otherwise."""

    command: str
    instead: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{self.command}` is what hooks/on-activate.bash runs, with a file and a directory",
            f"take `{self.instead}`; or does the hook belong to another version of nixenv?",
        )


class TimeoutInvalid(UsageError):
    """NIXENV_TIMEOUT is no number of seconds."""

    detail: str

    def _texts(self) -> tuple[str, str]:
        return (f"NIXENV_TIMEOUT: {self.detail}", "correct it, or unset it to wait as it takes")


def main() -> NoReturn:
    """Run ``nixenv activate FILE CACHE_DIR``, with the hook's key on stdin."""
    run_program("nixenv", lambda: _activate(sys.argv[2:], os.environ))


def _activate(arguments: list[str], environ: Mapping[str, str]) -> None:
    if len(arguments) != 2:
        raise NotForPeople("nixenv activate", "nixenv export")
    file, cache_dir = arguments
    layout = environ.get("NIXENV_LAYOUT") or None
    if layout is not None and layout not in [*Layout]:
        raise LayoutUnknown(layout)
    profile = environ.get("NIXENV_PROFILE") or None
    selection = Selection(profile=profile, cache_dir=cache_dir, layout=layout)
    waiting = patience("nixenv", _limit(environ))
    text, prepared = export(selection, "bash", environ, waiting)
    say_findings("nixenv", prepared.findings)
    make_directories(prepared.environment)
    _keep(file, prepared)
    emit(text)


def _limit(environ: Mapping[str, str]) -> float | None:
    text = environ.get("NIXENV_TIMEOUT")
    try:
        return parse_limit(text) if text else None
    except ValueError as error:
        raise TimeoutInvalid(str(error)) from error


def _keep(file: str, prepared: Prepared) -> None:
    """Keep the text for the hook's next time. That this fails costs the next time only.

    The hook's key comes on stdin: it holds the profile, which may be long, or not for all eyes.
    """
    from nixenv.hook.activation import keep_activation  # noqa: PLC0415 -- as above

    key = os.fsdecode(sys.stdin.buffer.read()).rstrip("\n")
    root, environment = prepared.material.root, prepared.environment
    try:
        keep_activation(file, key, root, environment, prepared.farms)
    except OutputFailed as error:
        say("nixenv", f"warning: this activation is not cached: {error}")
