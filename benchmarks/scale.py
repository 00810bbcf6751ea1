"""What nixenv takes on a closure that is larger than any: time and memory, once each.

``python -m benchmarks.scale [PATHS DISTRIBUTIONS]`` measures this alone.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Command, time_commands
from benchmarks.scenario import BASH, HOOK, Scenario, make_scenario

LARGE = (50_000, 5_000)
"""Store paths, and how many of them are Python distributions."""

SMALL = (2_000, 200)

# Of one run each: what takes seconds is told well enough by one.
_ROUNDS = 1


def measure_scale(base: Path, paths: int, distributions: int) -> str:
    """Measure on a closure of so many store paths; give a table."""
    scenario = make_scenario(base / "scale", paths, distributions)
    timings = time_commands(_commands(scenario, base), _ROUNDS)
    rows = (
        f"| {name} | {timing.median:.2f} s | {timing.memory / 1e6:.0f} MB |"
        for name, timing in timings.items()
    )
    head = (
        f"# {paths} store paths, {distributions} of them Python distributions",
        "",
        "Whole processes, one run each; layout linked. `make bench` makes this page.",
        "",
        "| | time | memory |",
        "|---|---:|---:|",
    )
    return "\n".join((*head, *rows)) + "\n"


def _commands(scenario: Scenario, base: Path) -> list[Command]:
    """List what is measured: the first makes the farms, which the others find."""
    environ = {**scenario.environ, "NIXENV_LAYOUT": "linked"}
    activate = (*BASH, "-c", f"source {HOOK}")
    nixenv = (sys.executable, "-I", "-m", "nixenv")
    inspect = (*nixenv, "inspect", "--layout", "linked")
    kept = scenario.cache / "nixenv"

    def forget_all() -> None:
        if scenario.cache.exists():
            scenario.cache.rename(base / f"used-{len(list(base.glob('used-*')))}")

    def forget_texts() -> None:
        for file in kept.glob("activation-*"):
            file.unlink()

    def asked(name: str, *arguments: str) -> Command:
        # Findings of a closure that is made up are no failure here.
        return Command(name, (*inspect, *arguments), environ, may_fail=True)

    return [
        Command("nix-store -qR", ("nix-store", "-qR", scenario.root), environ),
        Command("first, linked", activate, environ, forget_all),
        Command("cold, linked", activate, environ, forget_texts),
        Command("warm, linked", activate, environ),
        asked("inspect"),
        asked("inspect --json", "--json"),
        asked("inspect --html", "--html", str(base / "page.html")),
        asked("inspect --why", "--why", "glibc"),
        Command("snapshot", (*nixenv, "snapshot", "-o", str(base / "s.json")), environ),
    ]


def main() -> None:
    """Measure on the large closure, or on one of the sizes that are named."""
    paths, distributions = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else LARGE
    with tempfile.TemporaryDirectory(prefix="nixenv-scale-") as directory:
        print(measure_scale(Path(directory), paths, distributions))


if __name__ == "__main__":
    main()
