"""``nixenv activate``: the hook's own command, for the first activation of a root.

It is ``nixenv export`` with the variables in the place of options, and it keeps the text for the
hook's next time. It has no options and no help, and so does without click: every first activation
waits for what is imported here.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from nixenv.console import emit, pass_on, run_program, say, say_findings
from nixenv.errors import OutputFailed, UsageError
from nixenv.places import LAYOUTS, LayoutUnknown
from nixenv.request import Export, Selection, export


class NotForPeople(UsageError):
    """A command that only the hook gives, given otherwise."""

    command: str
    instead: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{self.command}` is what hooks/on-activate.bash runs, with a file and a directory",
            f"take `{self.instead}`; or does the hook belong to another version of nixenv?",
        )


def main() -> NoReturn:
    """Run ``nixenv activate FILE CACHE_DIR``, with the hook's key on stdin."""
    run_program("nixenv", lambda: _activate(sys.argv[2:], os.environ))


def _activate(arguments: list[str], environ: Mapping[str, str]) -> None:
    if len(arguments) != 2:
        raise NotForPeople("nixenv activate", "nixenv export")
    file, cache_dir = arguments
    layout = environ.get("NIXENV_LAYOUT") or None
    if layout not in (None, *LAYOUTS):
        raise LayoutUnknown(layout, LAYOUTS)
    profile = environ.get("NIXENV_PROFILE") or None
    exported = export(
        Selection(profile=profile, cache_dir=cache_dir, layout=layout), "bash", environ
    )
    pass_on(exported.material.closure.diagnostics)
    say_findings("nixenv", exported.findings)
    _make_directories(exported)
    _keep(file, exported)
    emit(exported.text)


def _make_directories(exported: Export) -> None:
    """Make them for the hook: in a pod without coreutils the text finds no mkdir."""
    from nixenv.road.plan import MakeDirectory  # noqa: PLC0415 -- loaded by the road, in time

    for operation in exported.environment.operations:
        if isinstance(operation, MakeDirectory):
            with contextlib.suppress(OSError):  # the text tries again, and says what is wrong
                os.makedirs(operation.path, exist_ok=True)


def _keep(file: str, exported: Export) -> None:
    """Keep the text for the hook's next time. That this fails costs the next time only.

    The hook's key comes on stdin: it holds the profile, which may be long, or not for all eyes.
    """
    from nixenv.hook.activation import keep_activation  # noqa: PLC0415 -- as above

    key = os.fsdecode(sys.stdin.buffer.read()).rstrip("\n")
    root, environment = exported.material.root, exported.environment
    try:
        keep_activation(file, key, root, environment, exported.farms)
    except OutputFailed as error:
        say("nixenv", f"warning: this activation is not cached: {error}")
