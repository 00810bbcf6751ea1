"""An activation as Flox does it, without Flox.

What is modelled, from Flox 1.14 and 1.15 (FACTS: its activate script, profile.d scripts,
flox-activations):

- *Start.* bash, umask 077, the starting environment of `Scene.starting_environment`. In dev mode
  the profile.d scripts put `$FLOX_ENV`'s include and lib on CPATH and LIBRARY_PATH. `[vars]` are
  exported over whatever was there. Then, under `set +euo pipefail` and with stdout on stderr, the
  hook is sourced: `return` ends it, `exit` ends everything. An `exit 0` counts as a failure too,
  since the script did not come to its end.
- *Capture and attach.* Who comes to an activation that is running, a second shell or a service,
  does not run the hook. Until 1.14 it is given the difference between the environments before and
  after (`attach_final`). From 1.15 a patched bash records each mutation of an exported variable,
  and one that left the old value at the end (or the start) of the new one is replayed as growth of
  the value that the newcomer has (`attach_replayed`).
- *Profile.* The user's shell sources `profile.common`, then its own part.
- *Service.* bash -c, in the environment of one who attaches, in a process group of its own.

What is not: dotfiles, prompts, layered environments, the order that Flox gives PATH at the end of
an activation, process-compose. Mutations are told apart at the grain of a command, not of an
assignment, and one that assigns the value that was there already is not seen.
"""

import itertools
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import field, frozen

PROJECT = Path(__file__).parents[2]
MANIFEST = PROJECT / ".flox/env/manifest.toml"

# Bash's own, and those that Flox leaves out of a replay.
_NOT_CAPTURED = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "SHELLOPTS"})

# $1 is the mode, $2 the file of [vars], $3 the hook, $4 where the final environment goes, $5 where
# the environment before each command goes, if anywhere. The snapshots end with an empty record.
_ACTIVATE = r"""
__mode=$1 __vars=$2 __hook=$3 __final=$4 __trace=$5
set -euo pipefail
umask 077
if [[ -n $__trace ]]; then
  set -o functrace
  trap '[[ $BASH_SUBSHELL != 0 ]] || { /usr/bin/env -0; printf "\0"; } >>"$__trace"' DEBUG
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


@frozen
class Mutation:
    """What one command did to one exported variable.

    `prefix` and `suffix` are what it grew by; both None: it was set to `value`, None for unset.
    """

    name: str
    value: str | None
    prefix: str | None = None
    suffix: str | None = None

    @classmethod
    def between(cls, name: str, before: str | None, after: str | None) -> "Mutation":
        if before is not None and after is not None:
            if after.endswith(before):
                return cls(name, after, prefix=after.removesuffix(before))
            if after.startswith(before):
                return cls(name, after, suffix=after.removeprefix(before))
        return cls(name, after)

    def apply(self, current: str | None) -> str | None:
        """Replay it on a value. One that is missing grows from nothing, as in Flox."""
        if self.prefix is not None:
            return self.prefix + (current or "")
        if self.suffix is not None:
            return (current or "") + self.suffix
        return self.value


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
        """Give the environment of one who attaches, coming from `environ`: Flox from 1.15.

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
            mutations=_mutations([*_read_snapshots(files["trace"]), *final]) if traced else (),
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
        """Start a service; `environ` is that of one who attaches."""
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


def _mutations(snapshots: Sequence[Mapping[str, str]]) -> tuple[Mutation, ...]:
    return tuple(
        Mutation.between(name, before.get(name), after.get(name))
        for before, after in itertools.pairwise(snapshots)
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
