"""`python -m benchmarks.tricks`: what each trick of a first activation saves.

One program for each trick does without it; docs/architecture.md has the figures. On a machine that
does other things at the time, `chrt -r 10` in front keeps them out of the figures.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Command, time_commands
from benchmarks.scenario import Scenario, make_scenario

_ROUNDS = 40
_SIZES = ((600, "store"), (2_000, "store"), (600, "linked"))

_AS_IT_IS = "as it is"

# Statements in front of a program's own, which undo one trick.
_WITHOUT = {
    _AS_IT_IS: "",
    "stations imported before Nix is asked": "import nixenv.stations",
    "nothing looked at while Nix works": """\
import nixenv.request, nixenv.road.query
def query(*arguments):
    def load(listen):
        nixenv.request.stations.resolve
    return nixenv.road.query.query_closure(*arguments[:4], load)
nixenv.request.query_closure = query""",
    "no look at what Flox recorded": """\
import nixenv.request
nixenv.request.list_expected = lambda *arguments: ()""",
    "profile read from its TOML file": """\
import os, nixenv.request, nixenv.road.profile
def load(name):
    directory = os.path.dirname(nixenv.request.__file__)
    return nixenv.road.profile.read_profile(f"{directory}/profiles/{name}.toml")
nixenv.request.load_profile = load""",
    "named tuples of typing": """\
import typing, nixenv.typed
nixenv.typed.NamedTuple = typing.NamedTuple""",
    "builder of farms imported": "import nixenv.linked.build",
    "subprocess imported": "import subprocess",
    "garbage collected": "import gc\ngc.disable = lambda: None",
    "left in good order": "import os, sys\nos._exit = sys.exit",
}


def main() -> None:
    """Measure, and print a table for each size and layout."""
    for size, layout in _SIZES:
        with tempfile.TemporaryDirectory(prefix="nixenv-bench-") as directory:
            commands = _without_each(make_scenario(Path(directory), size), Path(directory), layout)
            timings = time_commands(commands, _ROUNDS)
        print(f"{size} store paths, layout {layout}, {_ROUNDS} rounds, medians in ms")
        for name, timing in timings.items():
            more = timing.median - timings[_AS_IT_IS].median
            print(f"  {name:40}{1000 * timing.median:7.1f}{1000 * more:+7.1f}")


def _without_each(scenario: Scenario, base: Path, layout: str) -> list[Command]:
    file = scenario.cache / "nixenv/activation-trick"
    asked = (file.name, str(scenario.cache), sys.executable, layout, "", "")

    commands = []
    for number, (name, statements) in enumerate(_WITHOUT.items()):
        program = base / f"without-{number}.py"
        program.write_text(f"{statements}\nfrom nixenv import entry\nentry.nixenv()\n")
        argv = (sys.executable, "-I", str(program), "activate", *asked)
        forget = partial(file.unlink, missing_ok=True)
        commands.append(Command(name, argv, scenario.environ, forget))
    return commands


if __name__ == "__main__":
    main()
