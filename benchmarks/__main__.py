"""`make bench`: what an activation costs, against the bash walk; what imports cost, and scale."""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.imports import imports
from benchmarks.measure import Command, Timing, time_commands
from benchmarks.report import describe_machine, plot, summary, to_json, to_markdown
from benchmarks.scale import LARGE, SMALL, measure_scale
from benchmarks.scenario import activations, make_scenario

RESULTS = Path(__file__).with_name("results")
PLOT = Path(__file__).parents[1] / "docs/activation-cost.svg"

# Store paths, and rounds: the walk takes twelve seconds on the largest.
ACTIVATIONS = {600: 31, 2_000: 21, 10_000: 5}
# Site-packages directories, and rounds.
IMPORTS = {200: 11, 600: 11}


def main() -> None:
    """Measure, and write benchmarks/results/ and the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="three rounds of the smaller sizes, written nowhere"
    )
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="nixenv-bench-") as directory:
        base = Path(directory)
        activation_sizes = {600: 3, 2_000: 3} if quick else ACTIVATIONS
        import_sizes = {200: 3} if quick else IMPORTS
        activated = _measure(lambda n: activations(make_scenario(base, n)), activation_sizes)
        imported = _measure(lambda n: imports(base, n), import_sizes)
        # Behind the others: what it leaves in the page cache is theirs.
        scaled = measure_scale(base, *(SMALL if quick else LARGE))
    print(summary(activated, "store paths"))
    print(summary(imported, "site-packages directories"))
    print(scaled)
    if not quick:
        machine = describe_machine()
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "activation.json").write_text(to_json(activated, imported, machine))
        (RESULTS / "activation.md").write_text(to_markdown(activated, imported, machine))
        (RESULTS / "scale.md").write_text(scaled)
        plot(activated, PLOT)
        print(f"written to {RESULTS.name}/ and {PLOT.name}")


def _measure(
    commands: Callable[[int], list[Command]], sizes: Mapping[int, int]
) -> dict[int, dict[str, Timing]]:
    results = {}
    for size, rounds in sizes.items():
        print(f"{size}: {rounds} rounds ...", flush=True)
        results[size] = time_commands(commands(size), rounds)
    return results


if __name__ == "__main__":
    main()
