"""``nixenv activate``: the hook's own command, for the first activation of a root.

It is ``nixenv export`` with the hook's settings in the place of options, and it keeps the text for
the hook's next time. It has no options and no help, and so does without click: every first
activation waits for what is imported here.
"""

import contextlib
import os
import sys
from collections.abc import Mapping

from nixenv.console import emit, patience, run_program, say, say_findings
from nixenv.errors import NixenvError, OutputFailed, UsageError
from nixenv.hook.sight import Asked, Sight, look, take_moment
from nixenv.places import CacheUntrusted, Layout, LayoutUnknown
from nixenv.process import parse_limit
from nixenv.request import (
    Prepared,
    Selection,
    export,
    find_project_profile,
    find_root,
    list_inherited_settings,
    make_directories,
    take_back,
)
from nixenv.road.root import Root

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn


class NotForPeople(UsageError):
    """A command that only the hook gives, given otherwise."""

    command: str
    instead: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"`{self.command}` is what the hook on-activate.bash runs, with six arguments",
            f"take `{self.instead}`; or does the hook belong to another version of nixenv?",
        )


class TimeoutInvalid(UsageError):
    """NIXENV_TIMEOUT is no number of seconds."""

    detail: str

    def _texts(self) -> tuple[str, str]:
        return (f"NIXENV_TIMEOUT: {self.detail}", "correct it, or unset it to wait as it takes")


def main() -> "NoReturn":
    """Run ``nixenv activate NAME CACHE_DIR NIXENV LAYOUT PROFILE ROOT``; the last may be empty."""
    run_program("nixenv", lambda: _run(sys.argv[2:], os.environ))


def _run(arguments: list[str], environ: Mapping[str, str]) -> None:
    if len(arguments) != len(Asked._fields):
        raise NotForPeople("nixenv activate", "nixenv export")
    _activate(Asked(*arguments), environ)


def _activate(asked: Asked, environ: Mapping[str, str]) -> None:
    if asked.layout not in ["", *Layout]:
        raise LayoutUnknown(asked.layout)
    waiting = patience("nixenv", _limit(environ))
    environ = {**environ, **asked.settings}
    inherited = list_inherited_settings(environ)
    meant = {name: value for name, value in asked.settings.items() if name not in inherited}
    selection = Selection(
        root=meant.get("NIXENV_ROOT"),
        profile=meant.get("NIXENV_PROFILE"),
        cache_dir=asked.cache_dir,
        layout=meant.get("NIXENV_LAYOUT"),
    )
    moment = take_moment()
    root, profile = find_root(selection, environ)
    before = _look(asked, root, environ)
    text, prepared = export(selection, "bash", environ, waiting, (root, profile))
    say_findings("nixenv", prepared.findings)
    make_directories(prepared.environment)
    if prepared.can_be_kept and not inherited and before is not None:
        with contextlib.suppress(NixenvError):  # gone meanwhile: then there is nothing to keep
            root, _ = find_root(selection, environ)
            if before == _look(asked, root, environ):
                _keep(asked, before, moment, prepared, environ)
    emit(text)


def _limit(environ: Mapping[str, str]) -> float | None:
    text = environ.get("NIXENV_TIMEOUT")
    try:
        return parse_limit(text) if text else None
    except ValueError as error:
        raise TimeoutInvalid(str(error)) from error


def _look(asked: Asked, root: Root, environ: Mapping[str, str]) -> Sight | None:
    profile = asked.profile or find_project_profile(environ) or ""
    try:
        return look(asked, profile, root, take_back(environ))
    except OSError:
        return None


def _keep(
    asked: Asked, sight: Sight, moment: int, prepared: Prepared, environ: Mapping[str, str]
) -> None:
    """Keep the text for the hook's next time. That this fails costs the next time only."""
    from nixenv.hook.activation import keep_activation  # noqa: PLC0415 -- loaded by now, mostly

    try:
        keep_activation(asked, sight, moment, prepared, take_back(environ))
    except (OutputFailed, CacheUntrusted) as error:
        say("nixenv", f"warning: this activation is not cached: {error}")
