"""An activation as Flox does it, without Flox.

What is modelled, from the source of Flox 1.14 and of its main branch (its activate script, the
profile.d scripts, flox-activations, the tracer in its bash):

- *Start.* bash, umask 077, the starting environment of `Scene.starting_environment`. In dev mode
  the profile.d scripts put `$FLOX_ENV`'s include and lib on CPATH and LIBRARY_PATH. `[vars]` are
  exported over whatever was there. Then, under `set +euo pipefail` and with stdout on stderr, the
  hook is sourced: `return` ends it, `exit` ends everything. An `exit 0` counts as a failure too,
  since the script did not come to its end.
- *Capture.* Until 1.14: the environments before and after. Since then a patched bash records each
  mutation of an exported variable: `set`, `unset`, `prepend` or `append` where the old value is at
  one end of the new one, `updated` for any other change, and for a value that was there already
  `set-if-absent`, or `reset` where it comes from `[vars]`.
- *Attach.* Who comes to an activation that is running, a second shell, does not run the hook. Until
  1.14 it is given the final values of what has changed (`attach_final`). Since then the mutations
  are replayed on what it has itself (`attach_replayed`); so they are on the first shell.
- *Profile.* The user's shell sources `profile.common`, then its own part.
- *Service.* bash -c, in a process group of its own, in the environment that the first shell would
  have been given: what a second shell has is nothing to a service.

What is not: dotfiles, prompts, layered environments, the order that Flox gives PATH at the end of
an activation, process-compose. Mutations are told apart at the grain of a command, not of an
assignment.
"""

import itertools
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import field, frozen

PROJECT = Path(__file__).parents[2]
MANIFEST = PROJECT / ".flox/env/manifest.toml"

# Bash's own, and those that Flox leaves out of a replay.
_NOT_CAPTURED = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "SHELLOPTS"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")

# $1 is the mode, $2 the file of [vars], $3 the hook, $4 where the final environment goes, $5 where
# the environment before each command goes, if anywhere, with the command in front, as a variable of
# that name. The snapshots end with an empty record.
_ACTIVATE = r"""
__mode=$1 __vars=$2 __hook=$3 __final=$4 __trace=$5
set -euo pipefail
umask 077
if [[ -n $__trace ]]; then
  set -o functrace
  trap '[[ $BASH_SUBSHELL != 0 ]] ||
    { printf "__command=%s\0" "$BASH_COMMAND"; /usr/bin/env -0; printf "\0"; } >>"$__trace"' DEBUG
fi
if [[ $__mode == dev ]]; then
  export CPATH="$FLOX_ENV/include${CPATH:+:$CPATH}"
  export LIBRARY_PATH="$FLOX_ENV/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
fi
source "$__vars"
set +euo pipefail
source "$__hook" 1>&2
trap - DEBUG
set -euo pipefail
{ /usr/bin/env -0; printf "\0"; } >"$__final"
"""


class Mode(Enum):
    """How an environment is activated: to develop with it, or to run what is in it."""

    DEV = "dev"
    RUN = "run"


@frozen
class Manifest:
    """What of a manifest an activation uses."""

    variables: Mapping[str, str]
    on_activate: str
    profile: Mapping[str, str]
    services: Mapping[str, str]

    @classmethod
    def read(cls, path: Path = MANIFEST) -> "Manifest":
        document: dict[str, Any] = tomllib.loads(path.read_text())
        services: dict[str, dict[str, str]] = document.get("services", {})
        return cls(
            variables=document.get("vars", {}),
            on_activate=document["hook"]["on-activate"],
            profile=document["profile"],
            services={name: service["command"] for name, service in services.items()},
        )


class ActivationFailed(Exception):
    """The hook ended the activation."""

    def __init__(self, status: int, stderr: str) -> None:
        super().__init__(f"status {status}: {stderr}")
        self.status = status
        self.stderr = stderr


class Change(Enum):
    """How a command changed an exported variable, as Flox's tracer has it."""

    SET = "set"
    SET_IF_ABSENT = "set-if-absent"
    RESET = "reset"
    PREPEND = "prepend"
    APPEND = "append"
    UPDATED = "updated"
    UNSET = "unset"


@frozen
class Mutation:
    """What one command did to one exported variable.

    The operand is what was added at an end, else the whole value; there is none for `unset`.
    """

    change: Change
    name: str
    operand: str = ""

    @classmethod
    def between(cls, name: str, before: str | None, after: str | None) -> "Mutation":
        """Tell what happened to a value that is another one now."""
        if after is None:
            return cls(Change.UNSET, name)
        if before is None:
            return cls(Change.SET, name, after)
        if after.startswith(before):
            return cls(Change.APPEND, name, after.removeprefix(before))
        if after.endswith(before):
            return cls(Change.PREPEND, name, after.removesuffix(before))
        return cls(Change.UPDATED, name, after)

    def apply(self, current: str | None) -> str | None:
        """Replay it on a value. One that is missing grows from nothing, as in Flox."""
        match self.change:
            case Change.UNSET:
                return None
            case Change.PREPEND:
                return self.operand + (current or "")
            case Change.APPEND:
                return (current or "") + self.operand
            case Change.SET_IF_ABSENT if current is not None:
                return current
            case _:
                return self.operand


@frozen
class Activation:
    """An activation that succeeded."""

    scene: "Scene"
    before: Mapping[str, str]
    environ: Mapping[str, str]
    stderr: str
    mutations: tuple[Mutation, ...]

    def attach_final(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the environment of one who attaches, coming from `environ`: Flox until 1.14."""
        gone = self.before.keys() - self.environ.keys()
        changed = {
            name: value for name, value in self.environ.items() if self.before.get(name) != value
        }
        start = self.scene.starting_environment(environ)
        return {name: value for name, value in start.items() if name not in gone} | changed

    def attach_replayed(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the environment of one who attaches, coming from `environ`: Flox since then.

        The activation must have been traced.
        """
        final: dict[str, str | None] = dict(self.scene.starting_environment(environ))
        for mutation in self.mutations:
            final[mutation.name] = mutation.apply(final.get(mutation.name))
        return {name: value for name, value in final.items() if value is not None}


@frozen
class Scene:
    """A Flox environment that is built, and the manifest it was built from."""

    flox_env: Path
    cache: Path
    project: Path | None
    manifest: Manifest = field(factory=Manifest.read)
    mode: Mode = Mode.DEV

    def starting_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give what the activate script starts with, for one who comes from `environ`."""
        start = dict(environ) | {
            "FLOX_ENV": str(self.flox_env),
            "FLOX_ENV_CACHE": str(self.cache),
            "FLOX_ENV_DESCRIPTION": "sglang",
            "FLOX_ENV_DIRS": str(self.flox_env),
            "PATH": f"{self.flox_env}/bin:{environ.get('PATH', '')}".removesuffix(":"),
        }
        return start if self.project is None else start | {"FLOX_ENV_PROJECT": str(self.project)}

    def activate(
        self, environ: Mapping[str, str], scratch: Path, *, traced: bool = False
    ) -> Activation:
        """Start an activation from `environ`; files of its own go to `scratch`.

        Raises:
            ActivationFailed: The hook called `exit`, or bash gave up.
        """
        files = {name: scratch / name for name in ("vars", "hook", "final", "trace")}
        for file in files.values():
            file.unlink(missing_ok=True)
        files["vars"].write_text(
            "".join(f'export {name}="{value}"\n' for name, value in self.manifest.variables.items())
        )
        files["hook"].write_text(self.manifest.on_activate)
        before = self.starting_environment(environ)
        script_arguments = (
            self.mode.value,
            str(files["vars"]),
            str(files["hook"]),
            str(files["final"]),
            str(files["trace"]) if traced else "",
        )
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-c", _ACTIVATE, "bash", *script_arguments],
            env=before,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not files["final"].exists():
            raise ActivationFailed(done.returncode, done.stderr)
        assert done.stdout == "", "the hook's stdout is redirected"
        final = _read_snapshots(files["final"])
        return Activation(
            scene=self,
            before=_captured(before),
            environ=final[-1],
            stderr=done.stderr,
            mutations=tuple(
                _mutations([*_read_snapshots(files["trace"]), *final], self.manifest.variables)
            ),
        )

    def run_profile(
        self, environ: Mapping[str, str], shell: str, scratch: Path
    ) -> "subprocess.CompletedProcess[str]":
        """Source the profile in one of the user's shells, as an activation's last step."""
        parts: list[str] = []
        for name in ("common", shell):
            if name in self.manifest.profile:
                file = scratch / f"profile-{name}"
                file.write_text(self.manifest.profile[name])
                parts.append(f"source '{file}'")
        return subprocess.run(
            [*SHELLS[shell], "-c", "; ".join(parts)],
            env=environ,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )

    def start_service(self, name: str, environ: Mapping[str, str]) -> "subprocess.Popen[str]":
        """Start a service; `environ` is what the first shell was given."""
        return subprocess.Popen(
            ["/bin/bash", "-c", self.manifest.services[name]],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


SHELLS: Mapping[str, Sequence[str]] = {
    "bash": ("bash", "--noprofile", "--norc"),
    "zsh": ("zsh", "-f"),
    "fish": ("fish", "--no-config"),
    "tcsh": ("tcsh", "-f"),
}


def link_flox_env(directory: Path, *packages: Path) -> Path:
    """Lay out what Flox builds of packages: a link farm of all of them."""
    for package in packages:
        for part in ("bin", "share"):
            (directory / part).mkdir(parents=True, exist_ok=True)
            for found in (package / part).iterdir():
                (directory / part / found.name).symlink_to(found)
        requisites = package / "requisites.txt"
        if requisites.exists():
            (directory / requisites.name).symlink_to(requisites)
    return directory


def _read_snapshots(file: Path) -> list[dict[str, str]]:
    """Read environments as `env -0` writes them, each ended by an empty record."""
    if not file.exists():
        return []
    snapshots = os.fsdecode(file.read_bytes()).split("\0\0")[:-1]
    return [
        _captured(dict(record.split("=", 1) for record in snapshot.split("\0")))
        for snapshot in snapshots
    ]


def _captured(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name not in _NOT_CAPTURED and not name.startswith("BASH_FUNC_")
    }


def _mutations(
    snapshots: Sequence[Mapping[str, str]], declared: Container[str]
) -> Iterator[Mutation]:
    """Tell what each command did to the variables.

    Args:
        snapshots: The environment before each command, with the command.
        declared: The variables of `[vars]`.
    """
    for before, after in itertools.pairwise(snapshots):
        for name in sorted((before.keys() | after.keys()) - {"__command"}):
            if before.get(name) != after.get(name):
                yield Mutation.between(name, before.get(name), after.get(name))
        for name in _assigned(before["__command"]):
            if name in before and before[name] == after.get(name):
                change = Change.RESET if name in declared else Change.SET_IF_ABSENT
                yield Mutation(change, name, before[name])


def _assigned(command: str) -> Iterator[str]:
    """Name the variables that a simple command assigns, or exports with a value."""
    try:
        words = shlex.split(command)
    except ValueError:
        return  # a command of another kind
    if words[:1] == ["export"]:
        words = words[1:]
    for word in itertools.takewhile(_ASSIGNMENT.match, words):
        yield word.partition("=")[0].removesuffix("+")
