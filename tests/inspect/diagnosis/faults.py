"""Put one fault into a healthy environment, look at it, and do what the remedy says."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from tests.inspect.diagnosis.remedies import command_in
from tests.machine import in_namespace

_ACTIVATE = 'e=$(nixenv export) && eval "$e"'
_INSPECT = "nixenv inspect --json"


def inspect(environ: Mapping[str, str], *steps: str) -> list[dict[str, Any]]:
    """Activate, take these steps, and give what inspect finds: all in one bash.

    What is mounted on the way is mounted for it alone.
    """
    mounts = any("mount " in step for step in steps)
    script = "\n".join(("set -e", _ACTIVATE, *steps, _INSPECT))
    done = subprocess.run(
        [*(in_namespace() if mounts else ()), "bash", "--norc", "--noprofile", "-c", script],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return findings


def codes(findings: list[dict[str, Any]]) -> list[str]:
    """Give the codes of findings."""
    return [finding["code"] for finding in findings]


def assert_found_and_cured(environ: Mapping[str, str], code: str, *fault: str) -> None:
    """A fault triggers this finding and no other; after the remedy all is as before."""
    healthy = codes(inspect(environ))
    found = inspect(environ, *fault)
    new = [finding for finding in found if finding["code"] not in healthy]
    assert codes(new) == [code], found
    left = inspect(environ, *fault, command_in(new[0]["remedy"]))
    assert sorted(codes(left)) == sorted(healthy)
