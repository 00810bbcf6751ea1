"""Activations by the hook: real bash, which sources it as Flox does."""

import shlex
import subprocess
from pathlib import Path

import nixenv as package

PACKAGE = Path(package.__file__).parent
HOOK = PACKAGE.parent / "hooks/on-activate.bash"
Environ = dict[str, str]

# As Flox does it: sourced, these options, this umask, stdout sent to stderr.
PREAMBLE = "set +euo pipefail; umask 077; exec 3>&1 >&2"


def activate(
    environ: Environ, after: str = "env -0 >&3", before: str = ":"
) -> "subprocess.CompletedProcess[str]":
    script = (
        f"{PREAMBLE}; {before}; source {shlex.quote(str(HOOK))}; status=$?; {after}; exit $status"
    )
    return subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


def environment_after(done: "subprocess.CompletedProcess[str]") -> Environ:
    pairs = (item.split("=", 1) for item in done.stdout.rstrip("\0").split("\0"))
    return {name: value for name, value in pairs if name not in ("_", "SHLVL", "PWD")}


def activation_file(environ: Environ) -> Path:
    """Give the one activation file that is there."""
    (file,) = Path(environ["FLOX_ENV_CACHE"], "nixenv").glob("activation-*")
    return file
